//! What is hot is asked about before half its life is over, in the background, within a budget.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use goma_common::reapi::Backend;
use goma_common::{Deadline, Digest, Tenant};

use super::Presence;
use crate::sync::{Mutex, PoisonError};

/// Blobs that may wait to be asked about; more wait for their next use.
const MAX_DUE: usize = 100_000;
/// Blobs in one question, one question a second: 2 million within an eighth of a life of 4 hours.
const BUDGET: usize = 1000;
const TIMEOUT: Duration = Duration::from_secs(30);

/// Blobs that are to be asked about, each once a tenant.
#[derive(Default)]
pub(crate) struct Due(Mutex<HashSet<(Tenant, Digest)>>);

impl Due {
    pub(super) fn add(&self, tenant: Tenant, digest: Digest) {
        let mut due = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if due.len() < MAX_DUE {
            due.insert((tenant, digest));
        }
    }

    /// At most so many of them, which are no longer due, by tenant.
    pub(crate) fn take(&self, most: usize) -> HashMap<Tenant, Vec<Digest>> {
        let mut due = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let taken: Vec<_> = due.iter().take(most).copied().collect();
        let mut by_tenant: HashMap<Tenant, Vec<Digest>> = HashMap::new();
        for entry @ (tenant, digest) in taken {
            due.remove(&entry);
            by_tenant.entry(tenant).or_default().push(digest);
        }
        by_tenant
    }
}

/// Asks once about as much of what is due as the budget allows.
pub(crate) async fn refresh(presence: &Presence, backend: &Backend) {
    for (tenant, mut due) in presence.due().take(BUDGET) {
        let asked = presence.asked();
        match backend.cas.find_missing(&due, Deadline::after(TIMEOUT)).await {
            Ok(missing) => {
                let gone: HashSet<Digest> = missing.iter().copied().collect();
                due.retain(|digest| !gone.contains(digest));
                presence.confirm(tenant, &due, asked).await;
                presence.forget(tenant, &missing).await;
            }
            // It is still believed; its next use makes it due again.
            Err(error) => tracing::debug!(%error, "hot blobs could not be asked about"),
        }
    }
}
