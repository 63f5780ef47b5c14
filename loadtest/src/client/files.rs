//! Input files: their keys, and what the client believes the server has of them.
//!
//! Shared by all compiles of a process, so a header is hashed once and sent once.

use std::collections::{HashMap, HashSet};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use goma_common::FileKey;
use goma_common::file_key::CHUNK_SIZE;
use tokio::time::Instant;

use crate::error::{Error, Result};
use crate::lock::lock;

/// Where the bytes of an input come from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// An absolute path.
    Disk(PathBuf),
    /// Given instead of the file's own bytes.
    Memory(Bytes),
}

/// What a file hashes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hashed {
    pub(crate) key: FileKey,
    pub(crate) size: u64,
    /// Of a file over 2 MiB: its pieces. Else empty.
    pub(crate) chunks: Vec<FileKey>,
}

/// What is known of a file when a request is made.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) hashed: Arc<Hashed>,
    pub(crate) age: Option<Duration>,
    /// The server is believed to have this very file.
    pub(crate) accepted: bool,
    /// When its contents last left, if they did.
    pub(crate) sent_at: Option<Instant>,
    /// Some file of this key was accepted.
    pub(crate) key_known: bool,
    /// It was accepted with other contents before.
    pub(crate) changed: bool,
}

/// What one client process remembers about files.
#[derive(Debug, Default)]
pub(crate) struct Files {
    by_path: Mutex<HashMap<PathBuf, Entry>>,
    accepted_keys: Mutex<HashSet<FileKey>>,
}

#[derive(Clone, Debug)]
struct Entry {
    stat: Stat,
    hashed: Arc<Hashed>,
    accepted: bool,
    sent_at: Option<Instant>,
    /// The key that was accepted before the file changed.
    changed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    size: u64,
    modified: Option<SystemTime>,
}

impl Files {
    /// Hashes a file unless that was done since it last changed.
    pub(crate) fn look(&self, source: &Source) -> Result<Facts> {
        let path = match source {
            Source::Memory(_) => {
                let hashed = Arc::new(hash(source)?);
                let key_known = lock(&self.accepted_keys).contains(&hashed.key);
                return Ok(Facts {
                    hashed,
                    // As if written this moment: what nobody can have seen must be sent.
                    age: Some(Duration::ZERO),
                    accepted: false,
                    sent_at: None,
                    key_known,
                    changed: false,
                });
            }
            Source::Disk(path) => path,
        };
        let stat = stat(path)?;
        let before = lock(&self.by_path).get(path).cloned();
        let entry = match before {
            Some(entry) if entry.stat == stat => entry,
            before => {
                let hashed = Arc::new(hash(source)?);
                let changed =
                    before.is_some_and(|before| before.accepted && before.hashed.key != hashed.key);
                let entry = Entry { stat, hashed, accepted: false, sent_at: None, changed };
                lock(&self.by_path).insert(path.clone(), entry.clone());
                entry
            }
        };
        Ok(Facts {
            key_known: lock(&self.accepted_keys).contains(&entry.hashed.key),
            age: stat.modified.and_then(|at| SystemTime::now().duration_since(at).ok()),
            hashed: entry.hashed,
            accepted: entry.accepted,
            sent_at: entry.sent_at,
            changed: entry.changed,
        })
    }

    /// From now on the server is believed to have this file.
    pub(crate) fn accept(&self, source: &Source, key: FileKey, sent_at: Option<Instant>) {
        lock(&self.accepted_keys).insert(key);
        if let Source::Disk(path) = source
            && let Some(entry) = lock(&self.by_path).get_mut(path)
            && entry.hashed.key == key
        {
            entry.accepted = true;
            entry.sent_at = entry.sent_at.max(sent_at);
        }
    }
}

impl Source {
    /// The whole contents.
    pub(crate) fn read(&self) -> Result<Bytes> {
        match self {
            Self::Memory(bytes) => Ok(bytes.clone()),
            Self::Disk(path) => {
                std::fs::read(path).map(Bytes::from).map_err(|e| Error::file(path, e))
            }
        }
    }

    /// The `index`th piece of 2 MiB; empty after the end.
    pub(crate) fn read_chunk(&self, index: u64) -> Result<Bytes> {
        let offset = index * CHUNK_SIZE;
        match self {
            Self::Memory(bytes) => {
                let start = bytes.len().min(offset as usize);
                let end = bytes.len().min(start + CHUNK_SIZE as usize);
                Ok(bytes.slice(start..end))
            }
            Self::Disk(path) => read_at(path, offset).map_err(|e| Error::file(path, e)),
        }
    }
}

fn read_at(path: &Path, offset: u64) -> std::io::Result<Bytes> {
    let mut file = std::fs::File::open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut piece = Vec::new();
    file.take(CHUNK_SIZE).read_to_end(&mut piece)?;
    Ok(piece.into())
}

fn stat(path: &Path) -> Result<Stat> {
    let metadata = std::fs::metadata(path).map_err(|e| Error::file(path, e))?;
    Ok(Stat { size: metadata.len(), modified: metadata.modified().ok() })
}

fn hash(source: &Source) -> Result<Hashed> {
    let contents = source.read()?;
    Ok(hash_contents(&contents))
}

/// Key and, for a large file, the keys of its pieces.
pub(crate) fn hash_contents(contents: &[u8]) -> Hashed {
    let size = contents.len() as u64;
    if size <= CHUNK_SIZE {
        return Hashed { key: FileKey::of_file(contents), size, chunks: Vec::new() };
    }
    let chunks: Vec<FileKey> = contents
        .chunks(CHUNK_SIZE as usize)
        .zip(0..)
        .map(|(piece, index): (_, u64)| {
            FileKey::of_chunk(index * CHUNK_SIZE, piece, piece.len() as u64)
        })
        .collect();
    Hashed { key: FileKey::of_manifest(size, &chunks), size, chunks }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_accepted_until_it_changes() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("a.h");
        std::fs::write(&path, "one").expect("written");
        let files = Files::default();
        let source = Source::Disk(path.clone());
        let facts = files.look(&source).expect("read");
        assert!(!facts.accepted && !facts.key_known && !facts.changed);
        files.accept(&source, facts.hashed.key, None);
        let facts = files.look(&source).expect("read");
        assert!(facts.accepted && facts.key_known);
        std::fs::write(&path, "other").expect("written");
        let facts = files.look(&source).expect("read");
        assert!(!facts.accepted && !facts.key_known && facts.changed);
    }

    #[test]
    fn a_large_file_is_its_chunks() {
        let contents = Bytes::from(vec![1; CHUNK_SIZE as usize + 5]);
        let hashed = hash_contents(&contents);
        assert_eq!(hashed.chunks.len(), 2);
        let source = Source::Memory(contents);
        assert_eq!(source.read_chunk(1).expect("in memory").len(), 5);
        assert_eq!(source.read_chunk(2).expect("in memory").len(), 0);
        assert!(hash_contents(&[0; CHUNK_SIZE as usize]).chunks.is_empty());
    }
}
