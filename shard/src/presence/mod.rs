//! What the CAS was seen to hold: a hint that saves asking it again.
//!
//! Memory first, the store of facts second. Only positive answers are kept, and only after the CAS
//! gave them for that very blob; whoever learns that one was wrong drops it from both.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use goma_common::Digest;
use quick_cache::sync::Cache;
use tokio::time::Instant;

use crate::facts::Facts;

/// How long memory is believed before the store is asked again.
const MEMORY_LIFE: Duration = Duration::from_secs(5 * 60);

/// The two tiers together.
pub(crate) struct Presence {
    memory: Cache<Digest, Instant>,
    facts: Arc<dyn Facts>,
    false_positives: AtomicU64,
}

impl Presence {
    /// At most `entries` in memory.
    pub(crate) fn new(entries: usize, facts: Arc<dyn Facts>) -> Self {
        Self { memory: Cache::new(entries), facts, false_positives: AtomicU64::new(0) }
    }

    /// Which of these are believed to be in the CAS, in order.
    pub(crate) async fn check(&self, digests: &[Digest]) -> Vec<bool> {
        let now = Instant::now();
        let mut known: Vec<bool> =
            digests.iter().map(|d| self.memory.get(d).is_some_and(|until| until > now)).collect();
        let unknown: Vec<usize> = (0..known.len()).filter(|&at| !known[at]).collect();
        if unknown.is_empty() {
            return known;
        }
        let asked: Vec<Digest> = unknown.iter().map(|&at| digests[at]).collect();
        for (at, present) in unknown.into_iter().zip(self.facts.present(&asked).await) {
            if present {
                self.memory.insert(digests[at], now + MEMORY_LIFE);
                known[at] = true;
            }
        }
        known
    }

    /// The CAS has just said of each of these that it is there.
    pub(crate) async fn confirm(&self, digests: Vec<Digest>) {
        let until = Instant::now() + MEMORY_LIFE;
        for digest in &digests {
            self.memory.insert(*digest, until);
        }
        self.facts.put_present(digests).await;
    }

    /// The CAS was seen to lack these.
    pub(crate) async fn forget(&self, digests: &[Digest]) {
        let mut wrong = 0;
        for digest in digests {
            wrong += u64::from(self.memory.remove(digest).is_some());
        }
        if wrong > 0 {
            let total = self.false_positives.fetch_add(wrong, Ordering::Relaxed) + wrong;
            tracing::warn!(wrong, total, "the backend lost blobs that it was seen to hold");
        }
        self.facts.drop_present(digests.to_vec()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Memory;

    #[tokio::test]
    async fn what_is_forgotten_is_gone_from_every_tier() {
        let facts = Arc::new(Memory::default());
        let presence = Presence::new(100, facts.clone());
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        presence.confirm(vec![a, b]).await;
        presence.forget(&[a]).await;
        assert_eq!(presence.check(&[a, b]).await, [false, true]);
        // Another process with the same store sees the same.
        assert_eq!(Presence::new(100, facts).check(&[a, b]).await, [false, true]);
    }
}
