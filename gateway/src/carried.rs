//! A decorator of [`Shards`]: clients' files are kept in one place, and those that another place lacks
//! are brought there when a compile needs them.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use goma_common::shards::{Blob, Shards, Source, Trust};
use goma_common::turn::Turn;
use goma_common::{Deadline, Digest, FileEntry, FileKey, Result, Tenant};

use crate::place::Place;

/// The shards of `to`, for compiles whose files are at `home`.
pub(crate) struct Carried {
    pub(crate) home: Place,
    pub(crate) to: Place,
}

#[async_trait]
impl Shards for Carried {
    async fn resolve(
        &self,
        keys: &[FileKey],
        deadline: Deadline,
    ) -> Result<Vec<Option<FileEntry>>> {
        self.home.shards.resolve(keys, deadline).await
    }

    async fn record(&self, files: Vec<(FileKey, FileEntry)>, deadline: Deadline) -> Result<()> {
        self.home.shards.record(files, deadline).await
    }

    async fn ensure(
        &self,
        blobs: Vec<Blob>,
        trust: Trust,
        source: Source,
        deadline: Deadline,
    ) -> Result<Vec<Digest>> {
        let missing = self.to.shards.ensure(blobs, trust, source, deadline).await?;
        if missing.is_empty() {
            return Ok(missing);
        }
        tracing::debug!(count = missing.len(), "blobs are brought to another backend");
        self.to.bring(&missing, &self.home, source, deadline).await
    }

    async fn load(&self, digest: Digest, deadline: Deadline) -> Result<Option<Bytes>> {
        match self.to.shards.load(digest, deadline).await? {
            None => self.home.shards.load(digest, deadline).await,
            held => Ok(held),
        }
    }

    async fn join(&self, action: Digest, skip_cache_lookup: bool, deadline: Deadline) -> Turn {
        self.to.shards.join(action, skip_cache_lookup, deadline).await
    }

    async fn forget(&self, digests: &[Digest], deadline: Deadline) -> Result<()> {
        self.to.shards.forget(digests, deadline).await?;
        // What is asked of the client again must not be taken to be at home still.
        self.home.shards.forget(digests, deadline).await
    }

    fn of_tenant(self: Arc<Self>, tenant: Tenant) -> Arc<dyn Shards> {
        Arc::new(Self { home: self.home.of_tenant(tenant), to: self.to.of_tenant(tenant) })
    }
}
