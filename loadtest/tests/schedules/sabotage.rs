//! Safeguards turned off one at a time, to see that the checker notices.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use goma_common::reapi::{Cas, Upload};
use goma_common::shards::{Blob, Shards, Source, Trust};
use goma_common::turn::Turn;
use goma_common::{Deadline, Digest, FileEntry, FileKey, Result, Tenant, View};

/// What is done wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    Nothing,
    /// Recovery believes presence.
    TrustAlways,
    /// What a worker found gone is believed on.
    NeverForget,
    /// A key is told to be its neighbour's contents.
    MixKeys,
    /// Keys are told before their contents are in the CAS.
    RecordFirst,
    /// Presence is written without asking the CAS.
    ConfirmUnasked,
    /// An answer of another run is never passed on.
    NeverAnswer,
}

impl Sabotage {
    /// The shards, as the gateway gets them.
    pub fn shards(self, inner: Arc<dyn Shards>) -> Arc<dyn Shards> {
        match self {
            Self::Nothing | Self::ConfirmUnasked => inner,
            sabotage => Arc::new(Broken { inner, sabotage }),
        }
    }

    /// The storage, as a shard gets it.
    pub fn cas(self) -> fn(Arc<dyn Cas>) -> Arc<dyn Cas> {
        match self {
            Self::ConfirmUnasked => |inner| Arc::new(Unasked(inner)),
            _ => |inner| inner,
        }
    }
}

struct Broken {
    inner: Arc<dyn Shards>,
    sabotage: Sabotage,
}

#[async_trait]
impl Shards for Broken {
    async fn resolve(&self, keys: &[FileKey], by: Deadline) -> Result<Vec<Option<FileEntry>>> {
        self.inner.resolve(keys, by).await
    }

    async fn record(&self, mut files: Vec<(FileKey, FileEntry)>, by: Deadline) -> Result<()> {
        if self.sabotage == Sabotage::MixKeys && files.len() > 1 {
            let first = files[0].1.clone();
            files[0].1 = std::mem::replace(&mut files[1].1, first);
        }
        self.inner.record(files, by).await
    }

    async fn ensure(
        &self,
        blobs: Vec<Blob>,
        mut trust: Trust,
        source: Source,
        by: Deadline,
    ) -> Result<Vec<Digest>> {
        if self.sabotage == Sabotage::TrustAlways {
            trust = Trust::Presence;
        }
        if self.sabotage == Sabotage::RecordFirst {
            let entry = |contents: &Bytes| (FileKey::of_file(contents), Digest::of(contents));
            let told = blobs.iter().filter_map(|blob| Some(entry(blob.contents.as_ref()?)));
            let told = told.map(|(key, digest)| (key, FileEntry::File(digest)));
            self.inner.record(told.collect(), by).await?;
        }
        self.inner.ensure(blobs, trust, source, by).await
    }

    async fn load(&self, digest: Digest, by: Deadline) -> Result<Option<Bytes>> {
        self.inner.load(digest, by).await
    }

    async fn join(&self, action: Digest, skip_cache_lookup: bool, by: Deadline) -> Turn {
        match self.inner.join(action, skip_cache_lookup, by).await {
            Turn::Ran(_) if self.sabotage == Sabotage::NeverAnswer => std::future::pending().await,
            turn => turn,
        }
    }

    async fn forget(&self, digests: &[Digest], by: Deadline) -> Result<()> {
        match self.sabotage {
            Sabotage::NeverForget => Ok(()),
            _ => self.inner.forget(digests, by).await,
        }
    }

    fn of_tenant(self: Arc<Self>, _: Tenant) -> Arc<dyn Shards> {
        self
    }
}

/// Says of everything that it is there.
struct Unasked(Arc<dyn Cas>);

#[async_trait]
impl Cas for Unasked {
    async fn find_missing(&self, _: &[Digest], _: Deadline) -> Result<Vec<Digest>> {
        Ok(Vec::new())
    }

    async fn upload_batch(
        &self,
        blobs: &[(Digest, Bytes)],
        by: Deadline,
    ) -> Result<Vec<Result<()>>> {
        self.0.upload_batch(blobs, by).await
    }

    async fn upload_stream(&self, upload: &Upload, by: Deadline) -> Result<()> {
        self.0.upload_stream(upload, by).await
    }

    async fn download_batch(&self, digests: &[Digest], by: Deadline) -> Result<Vec<Result<Bytes>>> {
        self.0.download_batch(digests, by).await
    }

    async fn download_stream(
        &self,
        view: View,
        by: Deadline,
    ) -> Result<BoxStream<'static, Result<Bytes>>> {
        self.0.download_stream(view, by).await
    }
}
