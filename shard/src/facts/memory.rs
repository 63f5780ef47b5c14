//! Facts that end with the process.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use goma_common::{Digest, FileEntry, FileKey, Result};

use super::Facts;

/// Unbounded: for tests, where it also stands in for a store that survives a restart of its shard.
#[derive(Default)]
pub struct Memory {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    mappings: HashMap<FileKey, FileEntry>,
    present: HashSet<Digest>,
}

impl Memory {
    fn state(&self) -> MutexGuard<'_, State> {
        // Each critical section is one map operation, so a panic cannot leave it half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Facts for Memory {
    async fn mappings(&self, keys: &[FileKey]) -> Result<Vec<Option<FileEntry>>> {
        let state = self.state();
        Ok(keys.iter().map(|key| state.mappings.get(key).cloned()).collect())
    }

    async fn put_mappings(&self, mappings: Vec<(FileKey, FileEntry)>) -> Result<()> {
        self.state().mappings.extend(mappings);
        Ok(())
    }

    async fn present(&self, digests: &[Digest]) -> Vec<bool> {
        let state = self.state();
        digests.iter().map(|digest| state.present.contains(digest)).collect()
    }

    async fn put_present(&self, digests: Vec<Digest>) {
        self.state().present.extend(digests);
    }

    async fn drop_present(&self, digests: Vec<Digest>) {
        let mut state = self.state();
        for digest in digests {
            state.present.remove(&digest);
        }
    }

    async fn flush(&self) {}
}
