//! What `shard/src/sync.rs` names, by shuttle: before each of these another task may be let run.

use std::hash::Hash;
use std::time::Duration;

pub(crate) use shuttle::future::spawn;
pub(crate) use shuttle::sync::atomic::{AtomicU64, Ordering};
pub(crate) use shuttle::sync::{Mutex, MutexGuard, PoisonError};

use shuttle::rand::{Rng, thread_rng};

/// No time passes here: whoever waits for less than this may find it over at any moment.
pub(crate) const FOR_EVER: Duration = Duration::from_secs(1_000_000);

/// Lets others run for a while.
pub(crate) async fn sleep(_: Duration) {
    others_run().await;
}

/// Lets others run, or not.
pub(crate) async fn others_run() {
    for _ in 0..thread_rng().gen_range(0..3) {
        shuttle::future::yield_now().await;
    }
}

/// Waits for `work`, or for so long that it seems to be too long.
///
/// # Errors
/// When it did.
pub(crate) async fn timeout<F: Future>(time: Duration, work: F) -> Result<F::Output, ()> {
    if time > FOR_EVER / 2 {
        return Ok(work.await);
    }
    let over = std::pin::pin!(async {
        for _ in 0..thread_rng().gen_range(0..5) {
            shuttle::future::yield_now().await;
        }
    });
    match futures::future::select(std::pin::pin!(work), over).await {
        futures::future::Either::Left((answer, _)) => Ok(answer),
        futures::future::Either::Right(_) => Err(()),
    }
}

/// A cache, of which only the steps matter here.
pub(crate) struct Cache<K, V>(quick_cache::sync::Cache<K, V>);

impl<K: Eq + Hash + Clone, V: Clone> Cache<K, V> {
    pub(crate) fn new(entries: usize) -> Self {
        Self(quick_cache::sync::Cache::new(entries))
    }

    pub(crate) fn get(&self, key: &K) -> Option<V> {
        shuttle::thread::yield_now();
        self.0.get(key)
    }

    pub(crate) fn insert(&self, key: K, value: V) {
        shuttle::thread::yield_now();
        self.0.insert(key, value);
    }

    pub(crate) fn remove(&self, key: &K) -> Option<(K, V)> {
        shuttle::thread::yield_now();
        self.0.remove(key)
    }

    pub(crate) fn clear(&self) {
        shuttle::thread::yield_now();
        self.0.clear();
    }
}
