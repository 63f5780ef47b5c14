//! Makes blobs present in the CAS: each is asked for and uploaded once, however many want it.
//!
//! [`batcher`] has the calls, [`stage`] gathers the blobs of all requests into few of them,
//! each source in its turn; [`room`] bounds what is on its way.

mod batcher;
mod room;
mod stage;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::join_all;
use goma_common::reapi::Backend;
use goma_common::shards::{Blob, Source, Trust};
use goma_common::{Deadline, Digest, Result, Tenant};

use crate::contents::Contents;
use crate::presence::{Asked, Presence};
use crate::single_flight::SingleFlight;
use batcher::Batcher;
use room::Room;

/// What became of a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The CAS said that it has it, or took it, when asked then.
    Present(Asked),
    /// The CAS lacks it and no contents were offered.
    Missing,
}

/// The uploads of one shard.
pub(crate) struct Uploads {
    presence: Arc<Presence>,
    contents: Arc<Contents>,
    batcher: Batcher,
    room: Room,
    /// Keyed by trust too: recovery must not wait for a flight that began before the loss was seen.
    flights: SingleFlight<(Digest, Trust), Outcome>,
}

impl Uploads {
    /// Uploads to `backend`, at most so many bytes of contents at a time; what it confirms goes to
    /// `presence`, what passes through to `contents`.
    pub(crate) fn new(
        backend: Backend,
        presence: Arc<Presence>,
        contents: Arc<Contents>,
        max_bytes: u64,
    ) -> Self {
        let batcher = Batcher::start(backend, presence.clone(), contents.clone());
        let room = Room::new(max_bytes);
        Self { presence, contents, batcher, room, flights: SingleFlight::default() }
    }

    /// See [`goma_common::shards::Shards::ensure`].
    pub(crate) async fn ensure(
        &self,
        blobs: Vec<Blob>,
        trust: Trust,
        source: Source,
        tenant: Tenant,
        deadline: Deadline,
    ) -> Result<Vec<Digest>> {
        let unknown = self.unknown(blobs, trust, tenant).await;
        let flights = unknown.into_iter().map(|(digest, contents)| async move {
            let outcome = self.one(digest, contents, trust, source).await?;
            Ok((digest, outcome))
        });
        let ended = deadline.bound("uploads", async {
            let ended: Result<Vec<_>> = join_all(flights).await.into_iter().collect();
            ended
        });
        let (mut present, mut missing) = (BTreeMap::<_, Vec<Digest>>::new(), Vec::new());
        for (digest, outcome) in ended.await? {
            match outcome {
                Outcome::Present(asked) => present.entry(asked).or_default().push(digest),
                Outcome::Missing => missing.push(digest),
            }
        }
        if !tenant.is_common() {
            // The calls are those of all tenants, and have told what all have in common. One that was
            // joined may have asked before this tenant learnt of a loss.
            for (asked, present) in present {
                self.presence.confirm(tenant, &present, asked).await;
            }
        }
        Ok(missing)
    }

    /// The distinct blobs of which presence knows nothing, or all of them where it is not believed.
    async fn unknown(
        &self,
        blobs: Vec<Blob>,
        trust: Trust,
        tenant: Tenant,
    ) -> BTreeMap<Digest, Option<Bytes>> {
        let mut wanted = BTreeMap::new();
        for blob in blobs {
            // Every CAS holds the empty blob by definition, until a worker says that it does not.
            if blob.digest.is_empty() && trust == Trust::Presence {
                continue;
            }
            let contents = wanted.entry(blob.digest).or_insert(None);
            if contents.is_none() {
                *contents = blob.contents.or_else(|| blob.digest.is_empty().then(Bytes::new));
            }
        }
        if trust == Trust::Nothing {
            return wanted;
        }
        let digests: Vec<Digest> = wanted.keys().copied().collect();
        for (digest, present) in digests.iter().zip(self.presence.check(tenant, &digests).await) {
            if present {
                wanted.remove(digest);
            }
        }
        wanted
    }

    async fn one(
        &self,
        digest: Digest,
        contents: Option<Bytes>,
        trust: Trust,
        source: Source,
    ) -> Result<Outcome> {
        let held = match &contents {
            Some(contents) => {
                self.contents.keep(digest, contents);
                self.room.take(source, contents.len() as u64).await.map(Arc::new)
            }
            None => None,
        };
        // A question that is under way may be older than the loss that is to be repaired.
        let mut may_be_stale = trust == Trust::Nothing;
        loop {
            let work = || {
                let present = self.batcher.make_present(digest, contents.clone(), source);
                let held = held.clone();
                async move {
                    let outcome = present.await;
                    drop(held);
                    outcome
                }
            };
            let (flight, joined) = self.flights.join((digest, trust), work);
            match flight.await? {
                _ if joined && std::mem::take(&mut may_be_stale) => {}
                // Somebody asked without contents; we have them.
                Outcome::Missing if joined && contents.is_some() => {}
                outcome => return Ok(outcome),
            }
        }
    }
}
