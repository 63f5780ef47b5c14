//! A decorator of [`Shards`]: where the backend is used on a user's own account, what it holds for others
//! says nothing of what that user may see there.
//!
//! So each question goes to the backend, from the task of the request, whose calls carry the user's
//! token. Mappings are shared as ever: they are facts about keys, not about a backend.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use goma_common::reapi::limits::{PER_BLOB, pack};
use goma_common::reapi::{Backend, Upload, is_other_account};
use goma_common::shards::{Blob, Shards, Source, Trust};
use goma_common::turn::{Lease, Turn};
use goma_common::{Deadline, Digest, FileEntry, FileKey, Result, Tenant};

/// The shards for what is done on our account, and the backend itself for the rest.
pub(crate) struct PerAccount {
    pub(crate) shards: Arc<dyn Shards>,
    pub(crate) backend: Backend,
}

impl PerAccount {
    async fn upload(&self, blobs: Vec<(Digest, Bytes)>, deadline: Deadline) -> Result<()> {
        let Backend { cas, limits, .. } = &self.backend;
        let (small, large): (Vec<_>, Vec<_>) =
            blobs.into_iter().partition(|(digest, _)| limits.fits_batch(digest.size));
        let size = |blob: &(Digest, Bytes)| blob.0.size + PER_BLOB;
        for batch in pack(small, size, limits.batch_bytes()) {
            cas.upload_batch(&batch, deadline).await?.into_iter().collect::<Result<Vec<()>>>()?;
        }
        for (digest, contents) in large {
            cas.upload_stream(&Upload::of(digest, contents), deadline).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl Shards for PerAccount {
    async fn resolve(
        &self,
        keys: &[FileKey],
        deadline: Deadline,
    ) -> Result<Vec<Option<FileEntry>>> {
        self.shards.resolve(keys, deadline).await
    }

    async fn record(&self, files: Vec<(FileKey, FileEntry)>, deadline: Deadline) -> Result<()> {
        self.shards.record(files, deadline).await
    }

    async fn ensure(
        &self,
        blobs: Vec<Blob>,
        trust: Trust,
        source: Source,
        deadline: Deadline,
    ) -> Result<Vec<Digest>> {
        if !is_other_account() {
            return self.shards.ensure(blobs, trust, source, deadline).await;
        }
        let mut contents: HashMap<Digest, Option<Bytes>> = HashMap::with_capacity(blobs.len());
        for blob in blobs.into_iter().filter(|blob| !blob.digest.is_empty()) {
            let held = contents.entry(blob.digest).or_default();
            *held = held.take().or(blob.contents);
        }
        if contents.is_empty() {
            return Ok(Vec::new());
        }
        let cas = &self.backend.cas;
        let asked: Vec<Digest> = contents.keys().copied().collect();
        let missing = cas.find_missing(&asked, deadline).await?;
        let (mut uploads, mut nowhere) = (Vec::new(), Vec::new());
        for digest in missing {
            match contents.remove(&digest).flatten() {
                Some(contents) => uploads.push((digest, contents)),
                None => nowhere.push(digest),
            }
        }
        self.upload(uploads, deadline).await?;
        Ok(nowhere)
    }

    /// Nothing for a user: what a shard holds came from somebody else, perhaps.
    async fn load(&self, digest: Digest, deadline: Deadline) -> Result<Option<Bytes>> {
        match is_other_account() {
            true => Ok(None),
            false => self.shards.load(digest, deadline).await,
        }
    }

    /// Users run their actions each by himself: whose account pays, and who may see them, differs.
    async fn join(&self, action: Digest, skip_cache_lookup: bool, deadline: Deadline) -> Turn {
        match is_other_account() {
            true => Turn::Run(Lease::alone()),
            false => self.shards.join(action, skip_cache_lookup, deadline).await,
        }
    }

    async fn forget(&self, digests: &[Digest], deadline: Deadline) -> Result<()> {
        match is_other_account() {
            true => Ok(()),
            false => self.shards.forget(digests, deadline).await,
        }
    }

    fn of_tenant(self: Arc<Self>, tenant: Tenant) -> Arc<dyn Shards> {
        let shards = self.shards.clone().of_tenant(tenant);
        Arc::new(Self { shards, backend: self.backend.clone() })
    }
}
