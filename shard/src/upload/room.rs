//! Room for contents on their way to the CAS: so many bytes in all, and half of that for one source.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use goma_common::shards::Source;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::sync::{Mutex, PoisonError};

/// Bytes are counted in these, so that a large budget fits a semaphore.
const UNIT: u64 = 4096;

/// The room of one shard.
pub(super) struct Room {
    all: Arc<Semaphore>,
    units: u32,
    sources: Mutex<HashMap<Source, Weak<Semaphore>>>,
}

/// Room for one blob until it is dropped.
pub(super) struct Held {
    _own: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
    /// Keeps the source's share alive for as long as somebody holds or waits for a part of it.
    _share: Arc<Semaphore>,
}

impl Room {
    pub(super) fn new(bytes: u64) -> Self {
        let units = u32::try_from(bytes / UNIT).unwrap_or(u32::MAX >> 4).clamp(2, u32::MAX >> 4);
        Self { all: Arc::new(Semaphore::new(units as usize)), units, sources: Mutex::default() }
    }

    /// Waits for room. A blob that is larger than its share waits until it is alone in it. `None`
    /// when the process ends.
    pub(super) async fn take(&self, source: Source, bytes: u64) -> Option<Held> {
        let half = self.units / 2;
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX).clamp(1, half);
        let share = self.share(source, half);
        let own = share.clone().acquire_many_owned(units).await.ok()?;
        let all = self.all.clone().acquire_many_owned(units).await.ok()?;
        Some(Held { _own: own, _all: all, _share: share })
    }

    fn share(&self, source: Source, units: u32) -> Arc<Semaphore> {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = sources.get(&source).and_then(Weak::upgrade) {
            return share;
        }
        sources.retain(|_, share| share.strong_count() > 0);
        let share = Arc::new(Semaphore::new(units as usize));
        sources.insert(source, Arc::downgrade(&share));
        share
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn one_source_fills_half_of_it() {
        let room = Room::new(8 * UNIT);
        let mut held = Vec::new();
        for _ in 0..4 {
            held.push(room.take(Source(1), 1).now_or_never().expect("room"));
        }
        assert!(room.take(Source(1), 1).now_or_never().is_none(), "its half is full");
        let large = room.take(Source(2), u64::MAX).now_or_never().expect("the other half");
        assert!(room.take(Source(3), 1).now_or_never().is_none(), "all is full");
        drop((large, held));
        assert!(room.take(Source(3), 1).now_or_never().is_some());
        assert_eq!(room.sources.lock().expect("no panic").len(), 1, "no trace of the others");
    }
}
