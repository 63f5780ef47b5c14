//! What is hot is asked about before half its life is over, in the background, within a budget.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use goma_common::reapi::Backend;
use goma_common::{Deadline, Digest};

use super::Presence;

/// Blobs that may wait to be asked about; more wait for their next use.
const MAX_DUE: usize = 100_000;
/// Blobs in one question, one question a second: 2 million within an eighth of a life of 4 hours.
const BUDGET: usize = 1000;
const TIMEOUT: Duration = Duration::from_secs(30);

/// Blobs that are to be asked about, each once.
#[derive(Default)]
pub(crate) struct Due(Mutex<HashSet<Digest>>);

impl Due {
    pub(super) fn add(&self, digest: Digest) {
        let mut due = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if due.len() < MAX_DUE {
            due.insert(digest);
        }
    }

    /// At most so many of them, which are no longer due.
    pub(crate) fn take(&self, most: usize) -> Vec<Digest> {
        let mut due = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let taken: Vec<Digest> = due.iter().take(most).copied().collect();
        for digest in &taken {
            due.remove(digest);
        }
        taken
    }
}

/// Asks once about as much of what is due as the budget allows.
pub(crate) async fn refresh(presence: &Presence, backend: &Backend) {
    let due = presence.due().take(BUDGET);
    if due.is_empty() {
        return;
    }
    let epoch = presence.epoch();
    match backend.cas.find_missing(&due, Deadline::after(TIMEOUT)).await {
        Ok(missing) => {
            let gone: HashSet<Digest> = missing.iter().copied().collect();
            let there = due.into_iter().filter(|digest| !gone.contains(digest)).collect();
            presence.confirm(there, epoch).await;
            presence.forget(&missing).await;
        }
        // It is still believed; its next use makes it due again.
        Err(error) => tracing::debug!(%error, "hot blobs could not be asked about"),
    }
}
