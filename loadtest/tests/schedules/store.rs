//! A store of facts as Redis is one: shared, away at times, slow, emptied, and late with its answers.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use goma_common::{Code, Digest, Error, FileEntry, FileKey, Result};
use goma_shard::facts::Facts;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::chance::{self, Chance};
use crate::checker::{Checker, attempt};

/// A shard does without presence that does not come within this, as over Redis.
const PATIENCE: Duration = Duration::from_millis(25);

/// What all shards share.
pub struct Store {
    state: Mutex<State>,
    chance: Arc<Chance>,
    checker: Arc<Checker>,
}

struct State {
    mappings: HashMap<FileKey, (FileEntry, Instant)>,
    /// By the epoch and the time at which it was written.
    present: HashMap<Digest, (u64, Instant)>,
    epoch: u64,
    /// Another one each time the store was emptied.
    marker: u64,
    away_until: Instant,
    slow_until: Instant,
}

impl Store {
    pub fn new(chance: Arc<Chance>, checker: Arc<Checker>) -> Self {
        let now = Instant::now();
        let state = State {
            mappings: HashMap::new(),
            present: HashMap::new(),
            epoch: 1,
            marker: 0,
            away_until: now,
            slow_until: now,
        };
        Self { state: Mutex::new(state), chance, checker }
    }

    /// Loses everything but its epoch, which the shards write back.
    pub fn flush(&self) {
        let mut state = self.state();
        state.mappings.clear();
        state.present.clear();
        state.marker += 1;
    }

    pub fn go_away(&self, length: Duration) {
        self.state().away_until = Instant::now() + length;
    }

    pub fn be_slow(&self, length: Duration) {
        self.state().slow_until = Instant::now() + length;
    }

    /// Since when a key has been known.
    pub fn known_since(&self, key: &FileKey) -> Option<Instant> {
        self.state().mappings.get(key).map(|(_, since)| *since)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_away(&self) -> bool {
        Instant::now() < self.state().away_until
    }

    /// Half of the way there and back.
    async fn travel(&self, of: impl Hash) {
        let slow = Instant::now() < self.state().slow_until;
        let longest = Duration::from_millis(if slow { 400 } else { 20 });
        sleep(self.chance.delay(longest, ("store", of))).await;
    }
}

/// What is asked, and about which keys: a [`chance::set`] of them.
type Question = (&'static str, u64);

fn mapped<'a>(keys: impl Iterator<Item = &'a FileKey>) -> u64 {
    chance::set(keys.map(|key| Digest { hash: key.0, size: 0 }))
}

/// The store as one shard sees it, until that shard's end.
pub struct Link {
    shard: usize,
    store: Arc<Store>,
    life: CancellationToken,
    epoch: AtomicU64,
    pending_drops: Mutex<HashSet<Digest>>,
    marker: Mutex<Option<u64>>,
}

impl Link {
    pub fn new(shard: usize, store: Arc<Store>, life: CancellationToken) -> Self {
        Self {
            shard,
            store,
            life,
            epoch: AtomicU64::new(0),
            pending_drops: Mutex::default(),
            marker: Mutex::default(),
        }
    }

    /// A process that was killed does nothing any more.
    async fn alive(&self) {
        if self.life.is_cancelled() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits for a store that is away.
    async fn persistent<T>(&self, of: Question, call: impl FnOnce(&mut State) -> T) -> T {
        self.alive().await;
        self.store.travel((self.shard, attempt(), of)).await;
        while self.store.is_away() {
            sleep(Duration::from_millis(200)).await;
        }
        self.alive().await;
        let answer = call(&mut self.store.state());
        self.store.travel((self.shard, attempt(), of)).await;
        self.alive().await;
        answer
    }

    /// `None` where the answer takes too long; the question may be answered all the same.
    async fn impatient<T>(&self, of: Question, call: impl FnOnce(&mut State) -> T) -> Option<T> {
        self.alive().await;
        if self.store.is_away() {
            sleep(PATIENCE).await;
            return None;
        }
        let asked = Instant::now();
        self.store.travel((self.shard, attempt(), of)).await;
        self.alive().await;
        let answer = call(&mut self.store.state());
        self.store.travel((self.shard, attempt(), of)).await;
        self.alive().await;
        (asked.elapsed() <= PATIENCE).then_some(answer)
    }

    fn pending(&self) -> MutexGuard<'_, HashSet<Digest>> {
        self.pending_drops.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Facts for Link {
    async fn mappings(&self, keys: &[FileKey]) -> Result<Vec<Option<FileEntry>>> {
        let told = self.persistent(("mappings", mapped(keys.iter())), |state| {
            keys.iter().map(|key| state.mappings.get(key).map(|(entry, _)| entry.clone())).collect()
        });
        Ok(told.await)
    }

    async fn put_mappings(&self, mappings: Vec<(FileKey, FileEntry)>) -> Result<()> {
        self.alive().await;
        for (key, entry) in &mappings {
            self.store.checker.put_mapping(*key, entry);
        }
        let put = self.persistent(("map", mapped(mappings.iter().map(|(key, _)| key))), |state| {
            let now = Instant::now();
            for (key, entry) in mappings {
                let since = state.mappings.get(&key).map_or(now, |(_, since)| *since);
                state.mappings.insert(key, (entry, since));
            }
        });
        put.await;
        Ok(())
    }

    async fn present(&self, digests: &[Digest]) -> Vec<Option<Duration>> {
        let epoch = self.epoch.load(Ordering::SeqCst);
        let set = chance::set(digests.iter().copied());
        let told = self.impatient(("present", set), |state| {
            digests.iter().map(|digest| state.present.get(digest).copied()).collect::<Vec<_>>()
        });
        let told = told.await.unwrap_or_else(|| vec![None; digests.len()]);
        let pending = self.pending();
        digests
            .iter()
            .zip(told)
            .map(|(digest, told)| {
                let (written, at) = told?;
                (written == epoch && !pending.contains(digest)).then(|| at.elapsed())
            })
            .collect()
    }

    async fn put_present(&self, digests: Vec<Digest>) {
        self.alive().await;
        let epoch = self.epoch.load(Ordering::SeqCst);
        self.store.checker.put_present(&digests, epoch);
        self.pending().retain(|digest| !digests.contains(digest));
        let set = chance::set(digests.iter().copied());
        self.impatient(("confirm", set), |state| {
            let now = Instant::now();
            state.present.extend(digests.into_iter().map(|digest| (digest, (epoch, now))));
        })
        .await;
    }

    async fn drop_present(&self, digests: Vec<Digest>) {
        self.alive().await;
        self.store.checker.drop_present(&digests);
        let set = chance::set(digests.iter().copied());
        let dropped = self.impatient(("drop", set), |state| {
            state.present.retain(|digest, _| !digests.contains(digest));
        });
        if dropped.await.is_none() {
            self.pending().extend(digests);
        }
    }

    async fn epoch(&self) -> Result<u64> {
        let pending = self.pending().clone();
        if self.store.is_away() {
            return Err(Error::new(Code::Unavailable, "the store is away"));
        }
        let told = self.persistent(("epoch", 0), |state| {
            state.present.retain(|digest, _| !pending.contains(digest));
            state.epoch
        });
        let epoch = told.await;
        self.pending().retain(|digest| !pending.contains(digest));
        self.epoch.store(epoch, Ordering::SeqCst);
        Ok(epoch)
    }

    async fn bump_epoch(&self) -> Result<u64> {
        self.alive().await;
        if self.store.is_away() {
            return Err(Error::new(Code::Unavailable, "the store is away"));
        }
        let epoch = {
            let mut state = self.store.state();
            state.epoch += 1;
            state.epoch
        };
        self.store.checker.epoch(epoch);
        self.store.checker.count("epochs");
        self.epoch.store(epoch, Ordering::SeqCst);
        Ok(epoch)
    }

    async fn was_emptied(&self) -> bool {
        if self.store.is_away() {
            return false;
        }
        let told = self.persistent(("marker", 0), |state| state.marker).await;
        let mut known = self.marker.lock().unwrap_or_else(PoisonError::into_inner);
        known.replace(told).is_some_and(|known| known != told)
    }

    async fn flush(&self) {}
}
