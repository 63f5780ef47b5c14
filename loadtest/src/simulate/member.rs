//! A shard of the simulation: the real one, a network away, until it is lost.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use goma_common::shards::{Blob, Shards, Source, Trust};
use goma_common::turn::{Lease, Turn};
use goma_common::{Code, Deadline, Digest, Error, FileEntry, FileKey, Result, Tenant};
use goma_shard::LocalShard;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::counts::Ledger;

/// A question of a gateway there and back.
const TRIP: Duration = Duration::from_micros(500);

pub(super) struct Member {
    pub(super) number: usize,
    pub(super) shard: LocalShard,
    pub(super) ledger: Arc<Ledger>,
    /// Told when it is lost.
    pub(super) lost: CancellationToken,
}

impl Member {
    pub(super) fn name(&self) -> String {
        format!("shard-{}", self.number)
    }

    async fn ask<T>(&self, items: usize, answer: impl Future<Output = Result<T>>) -> Result<T> {
        self.ledger.asked(self.number, items);
        let there_and_back = async {
            sleep(TRIP).await;
            answer.await
        };
        let away = || Error::new(Code::Unavailable, format!("{} was lost", self.name()));
        self.lost.run_until_cancelled(there_and_back).await.ok_or_else(away)?
    }
}

#[async_trait]
impl Shards for Member {
    async fn resolve(
        &self,
        keys: &[FileKey],
        deadline: Deadline,
    ) -> Result<Vec<Option<FileEntry>>> {
        self.ask(keys.len(), self.shard.resolve(keys, deadline)).await
    }

    async fn record(&self, files: Vec<(FileKey, FileEntry)>, deadline: Deadline) -> Result<()> {
        self.ask(files.len(), self.shard.record(files, deadline)).await
    }

    async fn ensure(
        &self,
        blobs: Vec<Blob>,
        trust: Trust,
        source: Source,
        deadline: Deadline,
    ) -> Result<Vec<Digest>> {
        self.ask(blobs.len(), self.shard.ensure(blobs, trust, source, deadline)).await
    }

    async fn load(&self, digest: Digest, deadline: Deadline) -> Result<Option<Bytes>> {
        self.ask(1, self.shard.load(digest, deadline)).await
    }

    async fn join(&self, action: Digest, skip_cache_lookup: bool, deadline: Deadline) -> Turn {
        let turn = async { Ok(self.shard.join(action, skip_cache_lookup, deadline).await) };
        self.ask(1, turn).await.unwrap_or_else(|_| Turn::Run(Lease::alone()))
    }

    async fn forget(&self, digests: &[Digest], deadline: Deadline) -> Result<()> {
        self.ask(digests.len(), self.shard.forget(digests, deadline)).await
    }

    fn of_tenant(self: Arc<Self>, _: Tenant) -> Arc<dyn Shards> {
        self
    }
}
