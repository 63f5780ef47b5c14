//! Looks at a remote worker's files by an action that hashes its include directories.
//!
//! The first compile of a platform waits for it, about as long as `sha256sum` takes over the headers
//! of a distribution; its answer serves all compiles for some minutes.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use goma_common::reapi::{Backend, fetch_all};
use goma_common::shards::{Shards, Source, Trust};
use goma_common::{Code, Deadline, Digest, Error, Result};
use goma_proto::reapi::Directory;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::{Properties, Sha256, WorkerFiles};
use crate::command_blob::{ActionBlob, CommandBlob, blob};

/// How long a worker is taken to stay as it was seen. An image never changes under its name; a
/// worker without one may be upgraded.
const LIFE: Duration = Duration::from_secs(5 * 60);
/// A worker's time for hashing.
const TIMEOUT: Duration = Duration::from_secs(120);
const OUTPUT: &str = "system-files";
/// `find -L` follows symlinks, as compilers do; what cannot be read is as good as absent.
const SCRIPT: &str = "command -v find sha256sum > /dev/null || exit 1\n\
                      find -L \"$@\" -type f -exec sha256sum {} + > system-files 2> /dev/null\n\
                      exit 0\n";

/// The files of remote workers, as of a few minutes ago.
pub struct Probed {
    backend: Backend,
    shards: Arc<dyn Shards>,
    seen: Mutex<HashMap<Properties, Seen>>,
}

/// What was seen on the workers of one platform.
struct Seen {
    until: Instant,
    /// Files and directories that were looked at: what lies under them and is not in `files` is
    /// absent.
    roots: BTreeSet<String>,
    files: HashMap<String, Sha256>,
}

impl Probed {
    /// Runs its actions on `backend`, uploading them through `shards`.
    #[must_use]
    pub fn new(backend: Backend, shards: Arc<dyn Shards>) -> Self {
        Self { backend, shards, seen: Mutex::default() }
    }

    async fn probe(
        &self,
        platform: &Properties,
        roots: &BTreeSet<String>,
        deadline: Deadline,
    ) -> Result<HashMap<String, Sha256>> {
        let action = self.upload(platform, roots, deadline).await?;
        // The worker is to look, not the cache.
        let executed = self.backend.executor.execute(action, true, deadline).await?;
        if executed.result.exit_code != 0 {
            return Err(Error::new(
                Code::Unimplemented,
                format!(
                    "the worker cannot list its files, for which it needs sh, find and sha256sum \
                     (exit {})",
                    executed.result.exit_code
                ),
            ));
        }
        let listed = executed.result.output_files.iter().find(|file| file.path == OUTPUT);
        let Some(file) = listed else { return Ok(HashMap::new()) };
        if !file.contents.is_empty() {
            return Ok(parse(&file.contents));
        }
        let Some(digest) = &file.digest else { return Ok(HashMap::new()) };
        let digest = Digest::try_from(digest)?;
        let contents = fetch_all(&self.backend, &[digest], deadline).await?;
        Ok(contents.get(&digest).map(|contents| parse(contents)).unwrap_or_default())
    }

    async fn upload(
        &self,
        platform: &Properties,
        roots: &BTreeSet<String>,
        deadline: Deadline,
    ) -> Result<Digest> {
        let mut arguments = ["/bin/sh", "-c", SCRIPT, "sh"].map(ToOwned::to_owned).to_vec();
        arguments.extend(roots.iter().cloned());
        let command = CommandBlob {
            arguments,
            env: vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned())],
            working_directory: String::new(),
            outputs: vec![OUTPUT.to_owned()],
            properties: platform,
        }
        .encode();
        let root = blob(&Directory::default());
        let action = ActionBlob {
            command: command.digest,
            root: root.digest,
            timeout: TIMEOUT,
            properties: platform,
            salt: Vec::new(),
            do_not_cache: true,
        }
        .encode();
        let digest = action.digest;
        let blobs = vec![command, root, action];
        self.shards.ensure(blobs, Trust::Nothing, Source::default(), deadline).await?;
        Ok(digest)
    }
}

#[async_trait]
impl WorkerFiles for Probed {
    async fn hashes(
        &self,
        platform: &Properties,
        paths: &[String],
        deadline: Deadline,
    ) -> Result<Vec<Option<Sha256>>> {
        // One probe at a time: whoever waits finds its answer.
        let mut seen = self.seen.lock().await;
        let now = Instant::now();
        seen.retain(|_, seen| seen.until > now);
        let wanted: BTreeSet<String> = paths.iter().map(|path| root_of(path)).collect();
        let known = seen.get(platform);
        if !known.is_some_and(|seen| wanted.is_subset(&seen.roots)) {
            let mut roots = wanted;
            roots.extend(known.iter().flat_map(|seen| seen.roots.iter().cloned()));
            let files = self
                .probe(platform, &roots, deadline)
                .await
                .map_err(|error| error.context("looking at the worker's system files"))?;
            tracing::info!(files = files.len(), ?roots, "looked at the worker's system files");
            seen.insert(platform.clone(), Seen { until: now + LIFE, roots, files });
        }
        let seen = seen.get(platform);
        Ok(paths.iter().map(|path| seen.and_then(|seen| seen.files.get(path).copied())).collect())
    }
}

/// The topmost include directory that holds the path, so that few probes answer for many compiles;
/// the path itself if none does. Pure.
fn root_of(path: &str) -> String {
    let mut end = 0;
    for part in path.split_inclusive('/') {
        end += part.len();
        if matches!(part, "include/" | "include-fixed/") {
            return path[..end - 1].to_owned();
        }
    }
    path.to_owned()
}

/// Reads what `sha256sum` prints. It marks names with odd characters by a backslash in front; no
/// header has such a name.
fn parse(listing: &[u8]) -> HashMap<String, Sha256> {
    String::from_utf8_lossy(listing)
        .lines()
        .filter_map(|line| {
            let (hash, name) = line.split_once("  ")?;
            let mut sha256 = Sha256::default();
            hex::decode_to_slice(hash, &mut sha256).ok()?;
            Some((name.to_owned(), sha256))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_roots_hold_all_headers() {
        assert_eq!(root_of("/usr/include/c++/12/include/x"), "/usr/include");
        assert_eq!(
            root_of("/usr/lib/gcc/x86_64-linux-gnu/12/include/stddef.h"),
            "/usr/lib/gcc/x86_64-linux-gnu/12/include"
        );
        assert_eq!(root_of("/usr/bin/gcc-12"), "/usr/bin/gcc-12");
    }

    #[test]
    fn a_listing_is_read_by_line() {
        let hash = "ab".repeat(32);
        let listing = format!("{hash}  /usr/include/a b.h\n\\{hash}  /odd\\nname\nnonsense\n");
        let files = parse(listing.as_bytes());
        assert_eq!(files, HashMap::from([("/usr/include/a b.h".to_owned(), [0xab; 32])]));
    }
}
