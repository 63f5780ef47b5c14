//! One wish to have an action run.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::digest::Digest;

/// The action, and what its backend calls the run of it; a clone is the same wish.
#[derive(Clone, Debug)]
pub struct Execution {
    /// The action's digest.
    pub action: Digest,
    /// Whether the backend must run it even where it knows a result.
    pub skip_cache_lookup: bool,
    operation: Arc<Mutex<Option<String>>>,
}

impl Execution {
    /// One that no backend knows yet.
    #[must_use]
    pub fn new(action: Digest, skip_cache_lookup: bool) -> Self {
        Self { action, skip_cache_lookup, operation: Arc::default() }
    }

    /// The operation's name, once the backend has told it.
    #[must_use]
    pub fn operation(&self) -> Option<String> {
        self.name().clone()
    }

    /// Remembers the operation's name; `None` when the backend has forgotten it.
    pub fn set_operation(&self, name: Option<&str>) {
        let mut known = self.name();
        if known.as_deref() != name {
            *known = name.map(ToOwned::to_owned);
        }
    }

    fn name(&self) -> MutexGuard<'_, Option<String>> {
        self.operation.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
