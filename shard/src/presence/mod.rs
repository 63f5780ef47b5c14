//! What the CAS was seen to hold: a hint that saves asking it again.
//!
//! Memory first, the store of facts second. Only positive answers are kept, and only after the CAS
//! gave them for that very blob; whoever learns that one was wrong drops it from both. [`breaker`]
//! decides when the hint is worth nothing; [`refresh`] asks again about what is hot before the
//! backend, which never hears of it otherwise, forgets it.

mod breaker;
mod drops;
mod refresh;

use std::sync::Arc;
use std::time::Duration;

use goma_common::{Digest, Result, Tenant};
use tokio::time::Instant;

use crate::counts::{Counts, What};
use crate::facts::Facts;
use crate::sync::{AtomicU64, Cache, Mutex, MutexGuard, Ordering, PoisonError};
use breaker::Breaker;
use drops::Drops;
pub(crate) use refresh::{Due, refresh};

/// How long memory is believed before the store is asked again.
const MEMORY_LIFE: Duration = Duration::from_secs(5 * 60);

/// The two tiers together.
pub(crate) struct Presence {
    /// By the first half of the hash. Two blobs that share it would be one by chance never; somebody
    /// who makes them so fools but the hint, and recovery does not ask it.
    memory: Cache<u128, Seen>,
    facts: Arc<dyn Facts>,
    /// How long the store believes.
    life: Duration,
    started: Instant,
    epoch: AtomicU64,
    drops: Mutex<Drops>,
    false_positives: AtomicU64,
    breaker: Mutex<Breaker>,
    due: Due,
    counts: Counts,
}

/// When a blob was confirmed, until when memory believes it, both in seconds from the start of the
/// process, and in which epoch (the low half). 12 bytes: there are millions of them.
#[derive(Clone, Copy)]
struct Seen {
    confirmed: i32,
    until: u32,
    epoch: u32,
}

/// When somebody was asked about blobs: in which epoch, and after which drops. An answer is believed of
/// those blobs alone that were not dropped since.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Asked {
    epoch: u64,
    drops: u64,
}

impl Presence {
    /// At most `entries` in memory. The store believes for `life`.
    pub(crate) fn new(entries: usize, life: Duration, facts: Arc<dyn Facts>) -> Self {
        Self {
            memory: Cache::new(entries.max(1)),
            facts,
            life,
            started: Instant::now(),
            epoch: AtomicU64::new(0),
            drops: Mutex::default(),
            false_positives: AtomicU64::new(0),
            breaker: Mutex::default(),
            due: Due::default(),
            counts: Counts::default(),
        }
    }

    /// Which of these a tenant believes to be in the CAS, in order.
    pub(crate) async fn check(&self, tenant: Tenant, digests: &[Digest]) -> Vec<bool> {
        let known = self.believed(tenant, digests).await;
        self.counts.add(What::Blobs, known.len());
        self.counts.add(What::BelievedBlobs, known.iter().filter(|known| **known).count());
        known
    }

    async fn believed(&self, tenant: Tenant, digests: &[Digest]) -> Vec<bool> {
        if self.breaker().is_open(Instant::now()) {
            return vec![false; digests.len()];
        }
        let in_memory = |digest: &Digest| self.in_memory(tenant, *digest);
        let mut known: Vec<bool> = digests.iter().map(in_memory).collect();
        let unknown: Vec<usize> = (0..known.len()).filter(|&at| !known[at]).collect();
        if unknown.is_empty() {
            return known;
        }
        let began = self.asked();
        let asked: Vec<Digest> = unknown.iter().map(|&at| tenant.digest(digests[at])).collect();
        let ages = self.facts.present(&asked).await;
        for ((at, kept), age) in unknown.into_iter().zip(&asked).zip(ages) {
            let Some(age) = age.filter(|age| *age < self.life) else { continue };
            self.remember(kept, age, began.epoch);
            // Whoever drops it meanwhile counts that first, and then removes what is remembered.
            if self.was_dropped(kept, began) {
                self.memory.remove(&short(kept));
                continue;
            }
            self.note_age(tenant, digests[at], age);
            known[at] = true;
        }
        known
    }

    /// Now, for [`Presence::confirm`]: to be had before the CAS is asked.
    pub(crate) fn asked(&self) -> Asked {
        let drops = self.drops().count();
        Asked { epoch: self.epoch.load(Ordering::SeqCst), drops }
    }

    /// The CAS has said of each of these that it is there, when asked then. What was dropped since, or
    /// asked in another epoch, is not believed.
    pub(crate) async fn confirm(&self, tenant: Tenant, digests: &[Digest], asked: Asked) {
        let mut kept: Vec<Digest> = digests.iter().map(|digest| tenant.digest(*digest)).collect();
        kept.retain(|digest| !self.was_dropped(digest, asked));
        if kept.is_empty() {
            return;
        }
        for digest in &kept {
            self.remember(digest, Duration::ZERO, asked.epoch);
        }
        self.facts.put_present(kept.clone()).await;
        // While it was written somebody may have learnt better.
        kept.retain(|digest| self.was_dropped(digest, asked));
        if !kept.is_empty() {
            self.drop(&kept).await;
        }
    }

    /// The CAS was seen to lack these. A burst of those that were believed ends belief for a while.
    pub(crate) async fn forget(&self, tenant: Tenant, digests: &[Digest]) {
        if digests.is_empty() {
            return;
        }
        let kept: Vec<Digest> = digests.iter().map(|digest| tenant.digest(*digest)).collect();
        let wrong = self.drop(&kept).await;
        if wrong == 0 {
            return;
        }
        self.counts.add(What::FalsePositives, usize::try_from(wrong).unwrap_or(usize::MAX));
        let total = self.false_positives.fetch_add(wrong, Ordering::Relaxed) + wrong;
        tracing::warn!(wrong, total, "the backend lost blobs that it was seen to hold");
        let opened = self.breaker().wrong(wrong, Instant::now());
        if let Some(pause) = opened {
            Counts::breaker(true);
            tracing::error!(
                seconds = pause.as_secs(),
                "too many of them: asking the backend about everything for a while"
            );
            if let Err(error) = self.bump_epoch().await {
                tracing::warn!(%error, "other shards could not be told to forget");
            }
        }
    }

    /// Believes nothing that was confirmed before now, in any shard that shares the store.
    ///
    /// # Errors
    /// When the store cannot be told.
    pub(crate) async fn bump_epoch(&self) -> Result<u64> {
        // Ours at once, whatever becomes of the store.
        self.drops().add_all();
        self.memory.clear();
        let epoch = self.facts.bump_epoch().await?;
        self.epoch.store(epoch, Ordering::SeqCst);
        Ok(epoch)
    }

    /// Follows the epoch of the store; asked every second, so that is how long another shard's bump
    /// may take to get here.
    pub(crate) async fn follow_epoch(&self) {
        match self.facts.epoch().await {
            Ok(epoch) if epoch != self.epoch.swap(epoch, Ordering::SeqCst) => {
                tracing::debug!(epoch, "epoch");
            }
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, "the epoch cannot be read now"),
        }
        let closed = self.breaker().closed(Instant::now());
        if closed {
            Counts::breaker(false);
            tracing::info!("presence is believed again");
        }
    }

    /// What this shard counts.
    pub(crate) fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Whether the CAS is asked about everything now.
    pub(crate) fn is_off(&self) -> bool {
        self.breaker().is_open(Instant::now())
    }

    /// What is to be asked about soon.
    pub(crate) fn due(&self) -> &Due {
        &self.due
    }

    /// How many entries turned out wrong.
    #[cfg(test)]
    pub(crate) fn false_positives(&self) -> u64 {
        self.false_positives.load(Ordering::Relaxed)
    }

    /// Whether what was learnt of it then is not to be believed.
    fn was_dropped(&self, digest: &Digest, asked: Asked) -> bool {
        let epoch = self.epoch.load(Ordering::SeqCst);
        asked.epoch != epoch || self.drops().have(short(digest), asked.drops)
    }

    /// Drops these from every tier; how many of them memory believed in.
    async fn drop(&self, digests: &[Digest]) -> u64 {
        let believed = self.drop_from_memory(digests);
        self.facts.drop_present(digests.to_vec()).await;
        // Until then the store may have told somebody that they are there.
        self.drop_from_memory(digests);
        believed
    }

    /// First counted, then removed: whoever remembers one does these in the other order.
    fn drop_from_memory(&self, digests: &[Digest]) -> u64 {
        self.drops().add(digests.iter().map(short));
        let removed = digests.iter().filter_map(|digest| self.memory.remove(&short(digest)));
        removed.filter(|(_, seen)| self.is_valid(seen)).count() as u64
    }

    fn in_memory(&self, tenant: Tenant, digest: Digest) -> bool {
        let Some(seen) = self.memory.get(&short(&tenant.digest(digest))) else { return false };
        if !self.is_valid(&seen) {
            return false;
        }
        self.note_age(tenant, digest, self.age(&seen));
        true
    }

    fn is_valid(&self, seen: &Seen) -> bool {
        seen.epoch == low_half(self.epoch.load(Ordering::SeqCst)) && self.now() < seen.until
    }

    fn age(&self, seen: &Seen) -> Duration {
        let age = i64::from(self.now()) - i64::from(seen.confirmed);
        Duration::from_secs(u64::try_from(age).unwrap_or(0))
    }

    /// What is past half its life and still asked for is asked about in the background.
    fn note_age(&self, tenant: Tenant, digest: Digest, age: Duration) {
        if age > self.life / 2 {
            self.due.add(tenant, digest);
        }
    }

    fn remember(&self, digest: &Digest, age: Duration, epoch: u64) {
        let left = self.life.saturating_sub(age).min(MEMORY_LIFE);
        let now = self.now();
        let ago = i32::try_from(age.as_secs()).unwrap_or(i32::MAX);
        let seen = Seen {
            confirmed: i32::try_from(now).unwrap_or(i32::MAX).saturating_sub(ago),
            until: now.saturating_add(u32::try_from(left.as_secs()).unwrap_or(u32::MAX)),
            epoch: low_half(epoch),
        };
        self.memory.insert(short(digest), seen);
    }

    fn now(&self) -> u32 {
        u32::try_from(self.started.elapsed().as_secs()).unwrap_or(u32::MAX)
    }

    fn drops(&self) -> MutexGuard<'_, Drops> {
        // Each critical section is a few map operations, so a panic cannot leave it half done.
        self.drops.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        // Each critical section is a few assignments, so a panic cannot leave it half done.
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn short(digest: &Digest) -> u128 {
    digest.hash.iter().take(16).fold(0, |short, byte| short << 8 | u128::from(*byte))
}

fn low_half(epoch: u64) -> u32 {
    // The high half changes every 50 days of milliseconds.
    (epoch & u64::from(u32::MAX)) as u32
}

#[cfg(test)]
mod tests;
