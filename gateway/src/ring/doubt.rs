//! A word from whoever calls a shard to whoever watches it: its connection broke.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// Of one link; a clone is the same.
#[derive(Clone)]
pub(super) struct Doubt {
    raised: Arc<AtomicBool>,
    look: Arc<Notify>,
}

impl Doubt {
    /// Wakes whoever waits for `look`.
    pub(super) fn new(look: Arc<Notify>) -> Self {
        Self { raised: Arc::default(), look }
    }

    /// The link is not to be used for anything new.
    pub(super) fn raise(&self) {
        self.raised.store(true, Ordering::Relaxed);
        self.look.notify_one();
    }

    /// Whether it was ever raised.
    pub(super) fn is_raised(&self) -> bool {
        self.raised.load(Ordering::Relaxed)
    }
}
