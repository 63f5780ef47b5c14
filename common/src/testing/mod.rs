//! A backend in memory for tests: it counts what it is asked, and loses or refuses what it is told to.
//! [`Server`] is one on a real port, which does wrong what it is told to.

mod authority;
mod cut;
mod execution_service;
mod faults;
pub mod frames;
mod given_up;
mod port;
mod quirks;
mod server;
mod services;
mod writes;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use goma_proto::reapi::{ActionResult, CacheCapabilities};

use crate::deadline::Deadline;
use crate::digest::Digest;
use crate::entry::{FileEntry, View};
use crate::error::{Code, Error, Result};
use crate::file_key::FileKey;
use crate::reapi::limits::PER_BLOB;
use crate::reapi::{
    ActionCache, Backend, Cas, Executed, Execution, Executor, Health, Limits, Upload,
};
use crate::shards::{Blob, Shards, Source, Trust};
use crate::tenant::Tenant;
use crate::turn::{Lease, Turn};

pub use authority::Authority;
pub use execution_service::{Executions, Step};
pub use faults::{Fault, Faults};
pub use given_up::bears_given_up_calls;
pub use port::free_port;
pub use quirks::Quirks;
pub use server::{Server, deadline};
pub use services::Services;
pub use writes::Writes;

/// Bytes in one message of a download stream.
const PIECE: usize = 64 << 10;

/// The scripted backend; a clone is the same one.
#[derive(Clone, Default)]
pub struct ScriptedBackend {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    blobs: HashMap<Digest, Bytes>,
    results: HashMap<Digest, ActionResult>,
    /// Of every other action.
    any_result: Option<ActionResult>,
    /// How long a download takes to begin.
    slow: Duration,
    refused: HashSet<Digest>,
    /// Not taken so many times in a row.
    busy: HashMap<Digest, usize>,
    /// Batches with more bytes are refused.
    most: Option<u64>,
    /// Streams that will break half way, of each kind.
    broken_downloads: usize,
    calls: Calls,
}

/// What the backend was asked so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    /// FindMissingBlobs calls.
    pub find_missing: usize,
    /// BatchUpdateBlobs calls.
    pub upload_batches: usize,
    /// The largest sum of contents and [`PER_BLOB`]s in one of them, in bytes.
    pub largest_batch: u64,
    /// Every upload of a blob, by either way, in order.
    pub uploads: Vec<Digest>,
    /// ByteStream uploads.
    pub upload_streams: usize,
    /// BatchReadBlobs calls.
    pub download_batches: usize,
    /// ByteStream downloads.
    pub download_streams: usize,
    /// Keys that it was told of, as shards, in order.
    pub recorded: Vec<FileKey>,
}

impl ScriptedBackend {
    /// The backend as the product sees it, with batches of at most so many bytes.
    #[must_use]
    pub fn backend(&self, batch_bytes: i64) -> Backend {
        let limits = Limits::default();
        limits.learn(&CacheCapabilities {
            max_batch_total_size_bytes: batch_bytes,
            ..Default::default()
        });
        let this = Arc::new(self.clone());
        Backend {
            cas: this.clone(),
            action_cache: this.clone(),
            executor: this.clone(),
            health: this,
            limits: Arc::new(limits),
        }
    }

    /// Puts a blob there, as somebody else would.
    pub fn put(&self, contents: impl Into<Bytes>) -> Digest {
        let contents = contents.into();
        let digest = Digest::of(&contents);
        self.state().blobs.insert(digest, contents);
        digest
    }

    /// Loses a blob without telling anybody.
    pub fn evict(&self, digest: Digest) {
        self.state().blobs.remove(&digest);
    }

    /// From now on refuses this blob, or takes it again.
    pub fn refuse(&self, digest: Digest, refuse: bool) {
        let mut state = self.state();
        if refuse {
            state.refused.insert(digest);
        } else {
            state.refused.remove(&digest);
        }
    }

    /// Is too busy to take this blob, so many times.
    pub fn be_busy(&self, digest: Digest, times: usize) {
        self.state().busy.insert(digest, times);
    }

    /// Takes no batch with more bytes of contents and [`PER_BLOB`]s, whatever it says of itself.
    pub fn limit_batches(&self, bytes: u64) {
        self.state().most = Some(bytes);
    }

    /// Breaks so many of the next downloads by stream, after their first piece.
    pub fn break_downloads(&self, count: usize) {
        self.state().broken_downloads = count;
    }

    /// Whether a blob is there.
    #[must_use]
    pub fn has(&self, digest: Digest) -> bool {
        self.state().blobs.contains_key(&digest)
    }

    /// Caches a result.
    pub fn put_result(&self, action: Digest, result: ActionResult) {
        self.state().results.insert(action, result);
    }

    /// Caches a result for every action that has none of its own.
    pub fn put_any_result(&self, result: ActionResult) {
        self.state().any_result = Some(result);
    }

    /// From now on takes so long to begin a download.
    pub fn slow_downloads(&self, delay: Duration) {
        self.state().slow = delay;
    }

    /// What it was asked so far.
    #[must_use]
    pub fn calls(&self) -> Calls {
        self.state().calls.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, digest: Digest, contents: Bytes) -> Result<()> {
        let mut state = self.state();
        state.calls.uploads.push(digest);
        if state.refused.contains(&digest) {
            return Err(Error::new(Code::Internal, "refused on purpose"));
        }
        if let Some(times) = state.busy.get_mut(&digest)
            && take_one(times)
        {
            return Err(Error::new(Code::Unavailable, "busy on purpose"));
        }
        if Digest::of(&contents) != digest {
            return Err(Error::new(Code::InvalidArgument, "other bytes than the digest's"));
        }
        state.blobs.insert(digest, contents);
        Ok(())
    }

    async fn be_slow(&self, deadline: Deadline) -> Result<()> {
        let slow = tokio::time::sleep(self.state().slow);
        let begun = async {
            slow.await;
            Ok(())
        };
        deadline.bound("download", begun).await
    }

    fn read(&self, digest: &Digest) -> Result<Bytes> {
        let gone = || Error::new(Code::NotFound, format!("no blob {digest}"));
        self.state().blobs.get(digest).cloned().ok_or_else(gone)
    }
}

/// Counts down; whether there was one left.
fn take_one(left: &mut usize) -> bool {
    let one = *left > 0;
    *left = left.saturating_sub(1);
    one
}

/// Shards that know no file key and put all contents straight into the CAS.
#[async_trait]
impl Shards for ScriptedBackend {
    async fn resolve(&self, keys: &[FileKey], _: Deadline) -> Result<Vec<Option<FileEntry>>> {
        Ok(vec![None; keys.len()])
    }

    async fn record(&self, files: Vec<(FileKey, FileEntry)>, _: Deadline) -> Result<()> {
        self.state().calls.recorded.extend(files.iter().map(|(key, _)| *key));
        Ok(())
    }

    async fn ensure(
        &self,
        blobs: Vec<Blob>,
        _: Trust,
        _: Source,
        _: Deadline,
    ) -> Result<Vec<Digest>> {
        for contents in blobs.iter().filter_map(|blob| blob.contents.clone()) {
            self.put(contents);
        }
        let missing = blobs.iter().map(|blob| blob.digest).filter(|digest| !self.has(*digest));
        Ok(missing.collect())
    }

    async fn load(&self, _: Digest, _: Deadline) -> Result<Option<Bytes>> {
        Ok(None)
    }

    async fn join(&self, _: Digest, _: bool, _: Deadline) -> Turn {
        Turn::Run(Lease::alone())
    }

    async fn forget(&self, _: &[Digest], _: Deadline) -> Result<()> {
        Ok(())
    }

    fn of_tenant(self: Arc<Self>, _: Tenant) -> Arc<dyn Shards> {
        self
    }
}

#[async_trait]
impl Cas for ScriptedBackend {
    async fn find_missing(&self, digests: &[Digest], _deadline: Deadline) -> Result<Vec<Digest>> {
        // Lets what else is ready go first, as a network would.
        tokio::task::yield_now().await;
        let mut state = self.state();
        state.calls.find_missing += 1;
        Ok(digests.iter().filter(|digest| !state.blobs.contains_key(digest)).copied().collect())
    }

    async fn upload_batch(
        &self,
        blobs: &[(Digest, Bytes)],
        _deadline: Deadline,
    ) -> Result<Vec<Result<()>>> {
        tokio::task::yield_now().await;
        {
            let size: u64 = blobs.iter().map(|(digest, _)| digest.size + PER_BLOB).sum();
            let mut state = self.state();
            if state.most.is_some_and(|most| size > most) {
                return Err(Error::new(Code::ResourceExhausted, "larger than max"));
            }
            let calls = &mut state.calls;
            calls.upload_batches += 1;
            calls.largest_batch = calls.largest_batch.max(size);
        }
        Ok(blobs.iter().map(|(digest, contents)| self.take(*digest, contents.clone())).collect())
    }

    async fn upload_stream(&self, upload: &Upload, _deadline: Deadline) -> Result<()> {
        self.state().calls.upload_streams += 1;
        let pieces: Vec<Bytes> = upload.read(0).try_collect().await?;
        self.take(upload.digest, pieces.concat().into())
    }

    async fn download_batch(
        &self,
        digests: &[Digest],
        deadline: Deadline,
    ) -> Result<Vec<Result<Bytes>>> {
        self.be_slow(deadline).await?;
        self.state().calls.download_batches += 1;
        Ok(digests.iter().map(|digest| self.read(digest)).collect())
    }

    async fn download_stream(
        &self,
        view: View,
        deadline: Deadline,
    ) -> Result<BoxStream<'static, Result<Bytes>>> {
        self.be_slow(deadline).await?;
        let whole = self.read(&view.digest)?;
        let at = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
        let mut rest = whole.slice(at(view.offset)..at(view.offset + view.length));
        let mut pieces = Vec::new();
        while !rest.is_empty() {
            pieces.push(Ok(rest.split_to(rest.len().min(PIECE))));
        }
        let mut state = self.state();
        state.calls.download_streams += 1;
        if take_one(&mut state.broken_downloads) {
            pieces.truncate(1);
            pieces.push(Err(Error::new(Code::Unavailable, "broken on purpose")));
        }
        Ok(stream::iter(pieces).boxed())
    }
}

#[async_trait]
impl ActionCache for ScriptedBackend {
    async fn get(
        &self,
        action: Digest,
        _inline_outputs: &[String],
        _deadline: Deadline,
    ) -> Result<Option<ActionResult>> {
        let state = self.state();
        Ok(state.results.get(&action).or(state.any_result.as_ref()).cloned())
    }
}

#[async_trait]
impl Executor for ScriptedBackend {
    async fn execute(&self, execution: &Execution, _deadline: Deadline) -> Result<Executed> {
        let result = self.state().results.get(&execution.action).cloned();
        let unknown = || Error::new(Code::Internal, "no script for this action");
        Ok(Executed { result: result.ok_or_else(unknown)?, cached: false })
    }
}

#[async_trait]
impl Health for ScriptedBackend {
    async fn check(&self, _deadline: Deadline) -> Result<()> {
        Ok(())
    }
}
