//! A look at a remote worker's files by an action that hashes its include directories.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use goma_common::preset::OutputFields;
use goma_common::reapi::{Backend, Execution, fetch_all};
use goma_common::shards::{Shards, Source, Trust};
use goma_common::{Code, Deadline, Digest, Error, Result};
use goma_proto::reapi::Directory;

use super::{Properties, Sha256};
use crate::command_blob::{ActionBlob, CommandBlob, blob};

/// A worker's time for hashing.
const TIMEOUT: Duration = Duration::from_secs(120);
pub(super) const OUTPUT: &str = "system-files";
/// `find -L` follows symlinks, as compilers do; what cannot be read is as good as absent.
const SCRIPT: &str = "command -v find sha256sum > /dev/null || exit 1\n\
                      find -L \"$@\" -type f -exec sha256sum {} + > system-files 2> /dev/null\n\
                      exit 0\n";
/// The largest listing, in bytes. One of 100,000 headers has about 13 MB.
const MAX_LISTING: u64 = 64 << 20;

/// Has a worker look at its own files.
pub(super) struct Prober {
    pub(super) backend: Backend,
    pub(super) shards: Arc<dyn Shards>,
}

impl Prober {
    /// The hash of each file that a worker of this platform has under these roots.
    pub(super) async fn probe(
        &self,
        platform: &Properties,
        roots: &BTreeSet<String>,
        deadline: Deadline,
    ) -> Result<HashMap<String, Sha256>> {
        let action = self.upload(platform, roots, deadline).await?;
        // The worker is to look, not the cache.
        let executed =
            self.backend.executor.execute(&Execution::new(action, true), deadline).await?;
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
        if digest.size > MAX_LISTING {
            let why = format!("the worker lists {} bytes of files", digest.size);
            return Err(Error::new(Code::ResourceExhausted, why));
        }
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
            output_dirs: Vec::new(),
            // Whatever the backend is: one of them it knows.
            output_fields: OutputFields::Both,
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

/// The topmost include directory that holds the path, so that few probes answer for many compiles;
/// the path itself if none does. Pure.
pub(super) fn root_of(path: &str) -> String {
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
