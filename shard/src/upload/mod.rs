//! Makes blobs present in the CAS: each is asked for and uploaded once, however many want it.
//!
//! [`batcher`] gathers the questions of all requests into few calls.

mod batcher;

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::join_all;
use goma_common::reapi::Backend;
use goma_common::shards::{Blob, Source, Trust};
use goma_common::{Deadline, Digest, Result};

use crate::contents::Contents;
use crate::presence::Presence;
use crate::single_flight::SingleFlight;
use batcher::Batcher;

/// What became of a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The CAS said that it has it, or took it.
    Present,
    /// The CAS lacks it and no contents were offered.
    Missing,
}

/// The uploads of one shard.
pub(crate) struct Uploads {
    presence: Arc<Presence>,
    contents: Arc<Contents>,
    batcher: Batcher,
    /// Keyed by trust too: recovery must not wait for a flight that began before the loss was seen.
    flights: SingleFlight<(Digest, Trust), Outcome>,
}

impl Uploads {
    /// Uploads to `backend`; what it confirms goes to `presence`.
    pub(crate) fn new(backend: Backend, presence: Arc<Presence>, contents: Arc<Contents>) -> Self {
        let batcher = Batcher::start(backend, presence.clone());
        Self { presence, contents, batcher, flights: SingleFlight::default() }
    }

    /// See [`goma_common::shards::Shards::ensure`].
    pub(crate) async fn ensure(
        &self,
        blobs: Vec<Blob>,
        trust: Trust,
        source: Source,
        deadline: Deadline,
    ) -> Result<Vec<Digest>> {
        let unknown = self.unknown(blobs, trust).await;
        let flights = unknown.into_iter().map(|(digest, contents)| async move {
            let outcome = self.one(digest, contents, trust).await?;
            Ok((outcome == Outcome::Missing).then_some(digest))
        });
        deadline
            .bound("uploads", async {
                let ended: Result<Vec<_>> = join_all(flights).await.into_iter().collect();
                Ok(ended?.into_iter().flatten().collect())
            })
            .await
    }

    /// The distinct blobs of which presence knows nothing, or all of them where it is not believed.
    async fn unknown(&self, blobs: Vec<Blob>, trust: Trust) -> HashMap<Digest, Option<Bytes>> {
        let mut wanted = HashMap::with_capacity(blobs.len());
        for blob in blobs.into_iter().filter(|blob| !blob.digest.is_empty()) {
            let contents = wanted.entry(blob.digest).or_insert(None);
            if contents.is_none() {
                *contents = blob.contents;
            }
        }
        if trust == Trust::Nothing {
            return wanted;
        }
        let digests: Vec<Digest> = wanted.keys().copied().collect();
        for (digest, present) in digests.iter().zip(self.presence.check(&digests).await) {
            if present {
                wanted.remove(digest);
            }
        }
        wanted
    }

    async fn one(&self, digest: Digest, contents: Option<Bytes>, trust: Trust) -> Result<Outcome> {
        loop {
            let work = || self.batcher.make_present(digest, contents.clone());
            let (flight, joined) = self.flights.join((digest, trust), work);
            match flight.await? {
                // Somebody asked without contents; we have them.
                Outcome::Missing if joined && contents.is_some() => {}
                outcome => return Ok(outcome),
            }
        }
    }
}
