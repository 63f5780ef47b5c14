//! A shard that is killed and started again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use goma_common::reapi::{Cas, Upload};
use goma_common::shards::{Blob, Shards, Source, Trust};
use goma_common::turn::{Lease, Turn};
use goma_common::{Code, Deadline, Digest, Error, FileEntry, FileKey, Result, Tenant, View};
use goma_shard::{LocalShard, ShardConfig};
use tokio_util::sync::CancellationToken;

use crate::farm::Farm;
use crate::store::{Link, Store};

/// A place on the ring, and the process that has it now.
pub struct Member {
    number: usize,
    config: ShardConfig,
    store: Arc<Store>,
    farm: Farm,
    /// Between the shard and its storage.
    wrap: fn(Arc<dyn Cas>) -> Arc<dyn Cas>,
    running: Mutex<Option<(Arc<LocalShard>, CancellationToken)>>,
}

impl Member {
    pub fn new(
        number: usize,
        config: ShardConfig,
        store: Arc<Store>,
        farm: Farm,
        wrap: fn(Arc<dyn Cas>) -> Arc<dyn Cas>,
    ) -> Self {
        let member = Self { number, config, store, farm, wrap, running: Mutex::default() };
        member.start();
        member
    }

    /// A new process, which knows what is in the store.
    pub fn start(&self) {
        let life = CancellationToken::new();
        let facts = Arc::new(Link::new(self.number, self.store.clone(), life.clone()));
        let cas = Mortal { inner: Arc::new(self.farm.clone()), life: life.clone() };
        let backend = self.farm.backend((self.wrap)(Arc::new(cas)));
        let shard = LocalShard::start(self.config.clone(), facts, backend).expect("no disk");
        *self.running() = Some((Arc::new(shard), life));
    }

    /// Ends the process in the middle of whatever it does.
    pub fn kill(&self) {
        if let Some((_, life)) = self.running().take() {
            life.cancel();
        }
    }

    pub fn is_running(&self) -> bool {
        self.running().is_some()
    }

    pub async fn bump_epoch(&self) {
        let bumped = self.call(|shard| async move { shard.bump_epoch().await }).await;
        // A store that is away cannot be told: an operator would try again.
        drop(bumped);
    }

    async fn call<T, F>(&self, call: impl FnOnce(Arc<LocalShard>) -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let away = || Error::new(Code::Unavailable, format!("shard {} is away", self.number));
        let running = self.running().clone();
        let (shard, life) = running.ok_or_else(away)?;
        life.run_until_cancelled(call(shard)).await.ok_or_else(away)?
    }

    fn running(&self) -> MutexGuard<'_, Option<(Arc<LocalShard>, CancellationToken)>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Shards for Member {
    async fn resolve(&self, keys: &[FileKey], by: Deadline) -> Result<Vec<Option<FileEntry>>> {
        self.call(|shard| async move { shard.resolve(keys, by).await }).await
    }

    async fn record(&self, files: Vec<(FileKey, FileEntry)>, by: Deadline) -> Result<()> {
        self.call(|shard| async move { shard.record(files, by).await }).await
    }

    async fn ensure(
        &self,
        blobs: Vec<Blob>,
        trust: Trust,
        source: Source,
        by: Deadline,
    ) -> Result<Vec<Digest>> {
        self.call(|shard| async move { shard.ensure(blobs, trust, source, by).await }).await
    }

    async fn load(&self, digest: Digest, by: Deadline) -> Result<Option<Bytes>> {
        self.call(|shard| async move { shard.load(digest, by).await }).await
    }

    async fn join(&self, action: Digest, skip_cache_lookup: bool, by: Deadline) -> Turn {
        let turn = |shard: Arc<LocalShard>| async move {
            Ok(shard.join(action, skip_cache_lookup, by).await)
        };
        self.call(turn).await.unwrap_or_else(|_| Turn::Run(Lease::alone()))
    }

    async fn forget(&self, digests: &[Digest], by: Deadline) -> Result<()> {
        self.call(|shard| async move { shard.forget(digests, by).await }).await
    }

    fn of_tenant(self: Arc<Self>, _: Tenant) -> Arc<dyn Shards> {
        self
    }
}

/// A storage as a process sees it until it is killed; the calls of one that was are never answered.
struct Mortal {
    inner: Arc<dyn Cas>,
    life: CancellationToken,
}

impl Mortal {
    async fn call<T>(&self, call: impl Future<Output = T>) -> T {
        match self.life.run_until_cancelled(call).await {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }
}

#[async_trait]
impl Cas for Mortal {
    async fn find_missing(&self, digests: &[Digest], by: Deadline) -> Result<Vec<Digest>> {
        self.call(self.inner.find_missing(digests, by)).await
    }

    async fn upload_batch(
        &self,
        blobs: &[(Digest, Bytes)],
        by: Deadline,
    ) -> Result<Vec<Result<()>>> {
        self.call(self.inner.upload_batch(blobs, by)).await
    }

    async fn upload_stream(&self, upload: &Upload, by: Deadline) -> Result<()> {
        self.call(self.inner.upload_stream(upload, by)).await
    }

    async fn download_batch(&self, digests: &[Digest], by: Deadline) -> Result<Vec<Result<Bytes>>> {
        self.call(self.inner.download_batch(digests, by)).await
    }

    async fn download_stream(
        &self,
        view: View,
        by: Deadline,
    ) -> Result<BoxStream<'static, Result<Bytes>>> {
        self.call(self.inner.download_stream(view, by)).await
    }
}
