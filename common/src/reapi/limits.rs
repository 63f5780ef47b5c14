//! How large a message to the backend may be, by its own word.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use goma_proto::reapi::CacheCapabilities;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::Health;
use crate::deadline::Deadline;
use crate::error::Code;

/// gRPC's own bound on a message, in bytes. Backends that name no limit of theirs still have this
/// one (buildbox-casd says 0 and refuses more), and some name a larger one than they take.
pub const MAX_MESSAGE: u64 = 4 << 20;
/// Room in a message for all that is not contents: digests, tags and the instance's name.
const HEADROOM: u64 = 64 << 10;
/// Bytes that a digest and its tags take in a batch message beside its contents.
pub const PER_BLOB: u64 = 160;
/// A call waits no longer than this for the limits to be told.
const TELLING: Duration = Duration::from_secs(2);
/// After a question without an answer calls go on for so many times as long as it took.
const PAUSE_FACTOR: u32 = 10;

/// The limits of one backend, as known so far. Contents beyond them go as streams.
#[derive(Debug)]
pub struct Limits {
    /// Whatever the backend says.
    most: u64,
    batch_bytes: AtomicU64,
    settled: AtomicBool,
    /// Held while the backend is asked: when it may be asked again.
    ask: Mutex<Option<Instant>>,
}

impl Default for Limits {
    fn default() -> Self {
        Self::at_most(None)
    }
}

impl Limits {
    /// Those of a backend that takes no more than this in a batch, whatever it says of itself.
    #[must_use]
    pub fn at_most(batch_bytes: Option<u64>) -> Self {
        let most = batch_bytes.unwrap_or(u64::MAX).min(MAX_MESSAGE - HEADROOM);
        Self {
            most,
            batch_bytes: AtomicU64::new(most),
            settled: AtomicBool::new(false),
            ask: Mutex::default(),
        }
    }

    /// Most bytes of contents and [`PER_BLOB`]s in one batch call, either way.
    #[must_use]
    pub fn batch_bytes(&self) -> u64 {
        self.batch_bytes.load(Ordering::Relaxed)
    }

    /// Whether a blob of this size may go in a batch.
    #[must_use]
    pub fn fits_batch(&self, size: u64) -> bool {
        size + PER_BLOB <= self.batch_bytes()
    }

    /// Takes over what the backend says of itself.
    pub fn learn(&self, capabilities: &CacheCapabilities) {
        let told = u64::try_from(capabilities.max_batch_total_size_bytes).unwrap_or(0);
        let limit = match told {
            0 => self.most,
            told => told.min(self.most),
        };
        self.batch_bytes.store(limit, Ordering::Relaxed);
        self.settled.store(true, Ordering::Release);
    }

    /// What is known may not be so any more: the next call asks. Until it is told, what is known holds.
    pub(super) fn ask_again(&self) {
        self.settled.store(false, Ordering::Release);
    }

    /// Asks the backend, unless it has told its limits: those of gRPC may be more than it takes.
    /// Equal questions at once are one. Where there is no answer within [`TELLING`] the caller goes
    /// on with what is known.
    pub(super) async fn settle(&self, health: &dyn Health, deadline: Deadline) {
        if self.settled.load(Ordering::Acquire) {
            return;
        }
        let ask = async {
            let mut again = self.ask.lock().await;
            let began = Instant::now();
            if self.settled.load(Ordering::Acquire) || again.is_some_and(|again| began < again) {
                return Ok(());
            }
            // Counts also if nobody waits for the end of it.
            *again = Some(began + TELLING * PAUSE_FACTOR);
            let told = health.check(deadline.at_most(TELLING)).await;
            *again = Some(Instant::now() + began.elapsed() * PAUSE_FACTOR);
            told
        };
        match deadline.at_most(TELLING).bound("GetCapabilities", ask).await {
            // A backend that has no such call has nothing to tell.
            Err(error) if error.code == Code::Unimplemented => {
                self.settled.store(true, Ordering::Release);
            }
            Err(error) => tracing::debug!(%error, "the backend's limits are not known"),
            Ok(()) => {}
        }
    }
}

/// Groups blobs so that each group keeps within `limit` bytes, in their order. A blob that is over
/// the limit by itself has a group of its own. Pure.
pub fn pack<T>(blobs: Vec<T>, size: impl Fn(&T) -> u64, limit: u64) -> Vec<Vec<T>> {
    let mut groups: Vec<Vec<T>> = Vec::new();
    let mut room = 0;
    for blob in blobs {
        let cost = size(&blob) + PER_BLOB;
        match groups.last_mut() {
            Some(group) if cost <= room => group.push(blob),
            _ => {
                groups.push(vec![blob]);
                room = limit;
            }
        }
        room = room.saturating_sub(cost);
    }
    groups
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use async_trait::async_trait;
    use futures::future::{join_all, pending};

    use super::*;
    use crate::error::{Error, Result};

    /// Never answers, or refuses, or has no such call.
    struct Away(AtomicU32, Option<Code>);

    #[async_trait]
    impl Health for Away {
        async fn check(&self, _: Deadline) -> Result<()> {
            self.0.fetch_add(1, Ordering::SeqCst);
            match self.1 {
                Some(code) => Err(Error::new(code, "away")),
                None => pending().await,
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_backend_that_does_not_tell_its_limits_holds_up_few_calls_and_not_for_long() {
        let (limits, silent) = (Limits::default(), Away(AtomicU32::new(0), None));
        let deadline = Deadline::after(Duration::from_secs(600));
        let started = Instant::now();
        join_all((0..100).map(|_| limits.settle(&silent, deadline))).await;
        assert!(started.elapsed() <= TELLING, "{:?}", started.elapsed());
        for _ in 0..100 {
            limits.settle(&silent, deadline).await;
        }
        assert!(started.elapsed() <= TELLING, "{:?}", started.elapsed());
        assert_eq!(silent.0.load(Ordering::SeqCst), 1);
        tokio::time::sleep(TELLING * PAUSE_FACTOR).await;
        limits.settle(&silent, deadline).await;
        assert_eq!(silent.0.load(Ordering::SeqCst), 2, "asked again later");
    }

    #[tokio::test(start_paused = true)]
    async fn a_backend_that_has_no_such_call_is_asked_once() {
        let limits = Limits::default();
        let old = Away(AtomicU32::new(0), Some(Code::Unimplemented));
        for _ in 0..3 {
            limits.settle(&old, Deadline::after(Duration::from_secs(1))).await;
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
        assert_eq!(old.0.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn groups_keep_within_the_limit_and_lose_nothing() {
        let sizes: Vec<u64> = (0..100).map(|n| n % 7 * 100).collect();
        let groups = pack(sizes.clone(), |size| *size, 2_000);
        for group in &groups {
            assert!(group.iter().map(|size| size + PER_BLOB).sum::<u64>() <= 2_000);
        }
        assert_eq!(groups.concat(), sizes);
        assert_eq!(pack(vec![9_000, 1], |size| *size, 2_000), [[9_000], [1]]);
    }

    #[test]
    fn an_unset_limit_is_grpcs_and_a_larger_one_is_not_believed() {
        let limits = Limits::default();
        let told = |max_batch_total_size_bytes| CacheCapabilities {
            max_batch_total_size_bytes,
            ..Default::default()
        };
        for (say, expect) in
            [(0, MAX_MESSAGE - HEADROOM), (64 << 10, 64 << 10), (1 << 30, MAX_MESSAGE - HEADROOM)]
        {
            limits.learn(&told(say));
            assert_eq!(limits.batch_bytes(), expect);
        }
    }
}
