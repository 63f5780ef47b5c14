//! What real servers do that no other does, and what a scripted one was told.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tonic::Status;

use crate::digest::Digest;

/// The quirks of a server; a clone is the same ones.
#[derive(Clone, Default)]
pub struct Quirks(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    refuses_parts: bool,
    forged: HashMap<Digest, Bytes>,
    instances: BTreeSet<String>,
    resources: BTreeSet<String>,
}

impl Quirks {
    /// From now on a read by stream that has a limit fails, as with BuildGrid.
    pub fn refuse_parts(&self) {
        self.state().refuses_parts = true;
    }

    /// From now on gives these bytes for that digest, as a CAS that took them unverified.
    pub fn forge(&self, digest: Digest, contents: Bytes) {
        self.state().forged.insert(digest, contents);
    }

    /// The instances that were named so far.
    #[must_use]
    pub fn instances(&self) -> BTreeSet<String> {
        self.state().instances.clone()
    }

    /// The resources of streams that were named so far.
    #[must_use]
    pub fn resources(&self) -> BTreeSet<String> {
        self.state().resources.clone()
    }

    pub(super) fn instance(&self, name: &str) {
        self.state().instances.insert(name.to_owned());
    }

    pub(super) fn resource(&self, name: &str) {
        self.state().resources.insert(name.to_owned());
    }

    /// Whether a read with this limit is served.
    pub(super) fn limit(&self, limit: i64) -> Result<(), Status> {
        match limit != 0 && self.state().refuses_parts {
            true => Err(Status::data_loss("expected to read more")),
            false => Ok(()),
        }
    }

    /// What is given in place of a blob.
    pub(super) fn forged(&self, digest: Digest) -> Option<Bytes> {
        self.state().forged.get(&digest).cloned()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
