//! What a running action holds of the store: not evicted until the action is done.

use std::sync::Arc;

use goma_common::Digest;

use super::index::{Key, Kind};
use super::store::Store;

/// Keeps files from eviction until it is dropped.
pub(super) struct Pins {
    store: Arc<Store>,
    keys: Vec<Key>,
}

impl Pins {
    /// Holds nothing yet.
    pub(super) fn new(store: &Arc<Store>) -> Self {
        Self { store: Arc::clone(store), keys: Vec::new() }
    }

    /// Keeps one more, if it is there.
    pub(super) fn add(&mut self, key: Key) -> bool {
        let there = self.store.pin(&key);
        if there {
            self.keys.push(key);
        }
        there
    }

    /// Keeps these blobs and tells which of them are not there.
    pub(super) fn add_blobs(&mut self, digests: impl IntoIterator<Item = Digest>) -> Vec<Digest> {
        let mut missing = Vec::new();
        for digest in digests {
            if !self.add(Key { kind: Kind::Blob, digest }) {
                missing.push(digest);
            }
        }
        missing
    }
}

impl Drop for Pins {
    fn drop(&mut self) {
        self.store.unpin(&self.keys);
    }
}
