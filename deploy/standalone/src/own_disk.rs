//! System files of a backend that runs commands on this very machine: its own disk is looked at.
//!
//! A file is hashed once and again when its inode, size or times change. The keys under which Goma
//! clients know these files are computed too, so that a client on the same distribution sends none
//! of them.

use std::collections::HashMap;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use goma_common::file_key::CHUNK_SIZE;
use goma_common::{Code, Deadline, Digest, Error, FileKey, Result};
use goma_gateway::worker::{Properties, Sha256, WorkerFiles};

/// Directories and names of compilers that are registered for clients which name theirs by hash.
const COMPILER_DIRS: [&str; 2] = ["/usr/local/bin", "/usr/bin"];
const COMPILERS: [&str; 9] =
    ["gcc", "g++", "clang", "clang++", "clang-cl", "cc", "c++", "javac", "clang-tidy"];
/// Hashes kept; beyond it they are forgotten and made anew.
const MAX_ENTRIES: usize = 200_000;

/// The disk of this machine.
#[derive(Default)]
pub struct OwnDisk {
    files: Arc<Files>,
    compilers: Vec<Compiler>,
}

struct Compiler {
    path: String,
    name: &'static str,
    hash: Sha256,
}

#[derive(Default)]
struct Files {
    seen: Mutex<HashMap<String, Seen>>,
}

#[derive(Clone, Copy)]
struct Seen {
    stamp: Stamp,
    digest: Digest,
    /// Of a file that clients send whole.
    key: Option<FileKey>,
}

/// Changes whenever a file does.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl OwnDisk {
    /// Finds and hashes this machine's compilers.
    ///
    /// # Errors
    /// When the work could not be run.
    pub async fn look() -> Result<Self> {
        let files = Arc::<Files>::default();
        let looking = files.clone();
        let compilers = blocking(move || compilers(&looking)).await?;
        for compiler in &compilers {
            let hash = hex::encode(compiler.hash);
            tracing::info!(path = compiler.path, hash, "registered a compiler");
        }
        Ok(Self { files, compilers })
    }
}

#[async_trait]
impl WorkerFiles for OwnDisk {
    async fn hashes(
        &self,
        _platform: &Properties,
        paths: &[String],
        deadline: Deadline,
    ) -> Result<Vec<Option<Sha256>>> {
        let (files, paths) = (self.files.clone(), paths.to_vec());
        let look = blocking(move || {
            paths.iter().map(|path| files.see(path).map(|seen| seen.digest.hash)).collect()
        });
        deadline.bound("looking at system files", look).await
    }

    async fn known(&self, asked: &[(String, FileKey)]) -> Vec<Option<Digest>> {
        let (files, questions) = (self.files.clone(), asked.to_vec());
        let look = blocking(move || {
            let digest = |(path, key): &(String, FileKey)| {
                files.see(path).filter(|seen| seen.key == Some(*key)).map(|seen| seen.digest)
            };
            questions.iter().map(digest).collect()
        });
        look.await.unwrap_or_else(|error| {
            tracing::warn!(%error, "cannot look at system files");
            vec![None; asked.len()]
        })
    }

    fn registered_compiler(&self, name: &str, hash: &Sha256) -> Option<String> {
        // The name clang-cl is another command line, not another suffix.
        let is_cl = |name: &str| name == "clang-cl";
        let alike = |compiler: &&Compiler| is_cl(compiler.name) == is_cl(name);
        let same = || self.compilers.iter().filter(|compiler| compiler.hash == *hash).filter(alike);
        // gcc and g++ differ by their names alone where they are links to one program.
        let cxx = name.ends_with("++");
        let found = same()
            .find(|c| c.name == name)
            .or_else(|| same().find(|c| c.name.ends_with("++") == cxx));
        found.map(|compiler| compiler.path.clone())
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Error::new(Code::Internal, error.to_string()))
}

fn compilers(files: &Files) -> Vec<Compiler> {
    let mut found = Vec::new();
    for dir in COMPILER_DIRS {
        for name in COMPILERS {
            let path = PathBuf::from(dir).join(name);
            let Some(path) = path.to_str() else { continue };
            if let Some(seen) = files.see(path) {
                found.push(Compiler { path: path.to_owned(), name, hash: seen.digest.hash });
            }
        }
    }
    found
}

impl Files {
    /// The file as it is now; `None` if there is none, or it cannot be read.
    fn see(&self, path: &str) -> Option<Seen> {
        let metadata = fs::metadata(path).ok().filter(Metadata::is_file)?;
        let stamp = Stamp::of(&metadata);
        let known = self.lock().get(path).copied();
        if let Some(seen) = known.filter(|seen| seen.stamp == stamp) {
            return Some(seen);
        }
        let contents = fs::read(path).ok()?;
        let digest = Digest::of(&contents);
        // A file that changes while it is read has another stamp by now, and is read again.
        let after = Stamp::of(&fs::metadata(path).ok()?);
        let key = (digest.size <= CHUNK_SIZE).then(|| FileKey::of_file(&contents));
        let seen = Seen { stamp, digest, key };
        if after == stamp {
            let mut all = self.lock();
            if all.len() >= MAX_ENTRIES {
                all.clear();
            }
            all.insert(path.to_owned(), seen);
        }
        Some(seen)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_changed_file_is_seen_as_it_is_now() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("a.h").to_str().expect("text").to_owned();
        let disk = OwnDisk::default();
        let deadline = || Deadline::after(Duration::from_secs(10));
        for contents in [&b"one"[..], b"two", b"three"] {
            fs::write(&path, contents).expect("written");
            let platform = Properties::new();
            let hashes = disk.hashes(&platform, std::slice::from_ref(&path), deadline());
            let digest = Digest::of(contents);
            assert_eq!(hashes.await.expect("looks"), [Some(digest.hash)]);
            let (good, bad) = (FileKey::of_file(contents), FileKey::of_file(b"other"));
            let known = disk.known(&[(path.clone(), good), (path.clone(), bad)]).await;
            assert_eq!(known, [Some(digest), None]);
        }
        fs::remove_file(&path).expect("removed");
        let hashes = disk.hashes(&Properties::new(), &[path], deadline()).await.expect("looks");
        assert_eq!(hashes, [None]);
    }
}
