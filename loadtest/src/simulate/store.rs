//! The Redis of the simulation, shared by all shards. It counts what it is asked.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use goma_common::{Digest, FileEntry, FileKey, Result};
use goma_shard::facts::Facts;
use tokio::time::{Instant, sleep};

use super::counts::Ledger;

/// A question there and back.
const TRIP: Duration = Duration::from_micros(500);

pub(super) struct Store {
    ledger: Arc<Ledger>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    mappings: HashMap<FileKey, FileEntry>,
    present: HashMap<Digest, Instant>,
    epoch: u64,
}

impl Store {
    pub(super) fn new(ledger: Arc<Ledger>) -> Self {
        Self { ledger, state: Mutex::default() }
    }

    async fn trip(&self, items: usize) -> MutexGuard<'_, State> {
        self.ledger.count(|counts| {
            counts.redis_questions += 1;
            counts.redis_items += items as u64;
        });
        sleep(TRIP).await;
        self.state()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Facts for Store {
    async fn mappings(&self, keys: &[FileKey]) -> Result<Vec<Option<FileEntry>>> {
        let state = self.trip(keys.len()).await;
        Ok(keys.iter().map(|key| state.mappings.get(key).cloned()).collect())
    }

    async fn put_mappings(&self, mappings: Vec<(FileKey, FileEntry)>) -> Result<()> {
        self.trip(mappings.len()).await.mappings.extend(mappings);
        Ok(())
    }

    async fn present(&self, digests: &[Digest]) -> Vec<Option<Duration>> {
        let state = self.trip(digests.len()).await;
        digests.iter().map(|digest| Some(state.present.get(digest)?.elapsed())).collect()
    }

    async fn put_present(&self, digests: Vec<Digest>) {
        let mut state = self.trip(digests.len()).await;
        let now = Instant::now();
        state.present.extend(digests.into_iter().map(|digest| (digest, now)));
    }

    async fn drop_present(&self, digests: Vec<Digest>) {
        let mut state = self.trip(digests.len()).await;
        digests.iter().for_each(|digest| {
            state.present.remove(digest);
        });
    }

    // Each shard follows the epoch once a second, however many developers there are: not counted.
    async fn epoch(&self) -> Result<u64> {
        Ok(self.state().epoch)
    }

    async fn bump_epoch(&self) -> Result<u64> {
        let mut state = self.state();
        state.epoch += 1;
        Ok(state.epoch)
    }

    async fn was_emptied(&self) -> bool {
        false
    }

    async fn flush(&self) {}
}
