//! Facts that end with the process.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use goma_common::{Digest, FileEntry, FileKey, Result};
use quick_cache::sync::Cache;
use tokio::time::Instant;

use super::Facts;

/// Bounded by entries: what is pushed out is asked of clients and of the CAS again. In tests it also
/// stands in for a store that survives a restart of its shard.
pub struct Memory {
    mappings: Cache<FileKey, FileEntry>,
    present: Mutex<Present>,
}

#[derive(Default)]
struct Present {
    seen: HashMap<Digest, Instant>,
    epoch: u64,
    emptied: bool,
}

/// Presence has a memory tier of its own in front of this one; here a full table starts anew.
const PRESENT: usize = 1_000_000;

impl Default for Memory {
    fn default() -> Self {
        Self::new(1_000_000)
    }
}

impl Memory {
    /// At most so many mappings.
    #[must_use]
    pub fn new(entries: usize) -> Self {
        Self { mappings: Cache::new(entries.max(1)), present: Mutex::default() }
    }

    /// Forgets everything, as `FLUSHALL` does.
    pub fn empty(&self) {
        self.mappings.clear();
        let mut present = self.lock();
        present.seen.clear();
        present.emptied = true;
    }

    fn lock(&self) -> MutexGuard<'_, Present> {
        // Each critical section is a map operation, so a panic cannot leave it half done.
        self.present.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Facts for Memory {
    async fn mappings(&self, keys: &[FileKey]) -> Result<Vec<Option<FileEntry>>> {
        Ok(keys.iter().map(|key| self.mappings.get(key)).collect())
    }

    async fn put_mappings(&self, mappings: Vec<(FileKey, FileEntry)>) -> Result<()> {
        for (key, entry) in mappings {
            self.mappings.insert(key, entry);
        }
        Ok(())
    }

    async fn present(&self, digests: &[Digest]) -> Vec<Option<Duration>> {
        let present = self.lock();
        digests.iter().map(|digest| Some(present.seen.get(digest)?.elapsed())).collect()
    }

    async fn put_present(&self, digests: Vec<Digest>) {
        let mut present = self.lock();
        if present.seen.len() + digests.len() > PRESENT {
            present.seen.clear();
        }
        let now = Instant::now();
        present.seen.extend(digests.into_iter().map(|digest| (digest, now)));
    }

    async fn drop_present(&self, digests: Vec<Digest>) {
        let mut present = self.lock();
        for digest in digests {
            present.seen.remove(&digest);
        }
    }

    async fn epoch(&self) -> Result<u64> {
        Ok(self.lock().epoch)
    }

    async fn bump_epoch(&self) -> Result<u64> {
        let mut present = self.lock();
        present.seen.clear();
        present.epoch += 1;
        Ok(present.epoch)
    }

    async fn was_emptied(&self) -> bool {
        std::mem::take(&mut self.lock().emptied)
    }

    async fn flush(&self) {}
}
