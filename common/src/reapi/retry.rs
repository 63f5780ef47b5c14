//! A decorator of [`Cas`] and [`ActionCache`] that calls again after a passing failure.
//!
//! All of these calls are idempotent. A connection that a balancer cut and a backend that restarts
//! are answered by the next try; a compile of the stock client would be lost to them.

use std::future::Future;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use goma_proto::reapi::ActionResult;

use super::{ActionCache, Cas};
use crate::backoff::Backoff;
use crate::deadline::Deadline;
use crate::digest::Digest;
use crate::entry::View;
use crate::error::Result;

const FIRST_DELAY: Duration = Duration::from_millis(50);
const MAX_DELAY: Duration = Duration::from_secs(1);

/// `inner`, each call tried up to `tries` times within its deadline.
pub(super) struct Retrying<T: ?Sized> {
    tries: u32,
    inner: std::sync::Arc<T>,
}

impl<T> Retrying<T> {
    /// At least one try.
    pub(super) fn new(inner: std::sync::Arc<T>, tries: u32) -> Self {
        Self { tries: tries.max(1), inner }
    }
}

impl<T: ?Sized> Retrying<T> {
    async fn retry<R, F>(&self, what: &str, deadline: Deadline, call: impl Fn() -> F) -> Result<R>
    where
        F: Future<Output = Result<R>> + Send,
    {
        let mut backoff = Backoff::new(FIRST_DELAY, MAX_DELAY);
        let mut tried = 0;
        loop {
            tried += 1;
            let error = match deadline.bound(what, call()).await {
                Ok(result) => return Ok(result),
                Err(error) => error,
            };
            let delay = backoff.delay();
            if !error.code.is_transient() || tried >= self.tries || deadline.remaining() <= delay {
                return Err(error.context(format_args!("backend: {what}")));
            }
            tracing::debug!(%error, what, tried, "backend call failed, trying again");
            tokio::time::sleep(delay).await;
        }
    }
}

#[async_trait]
impl<T: Cas + ?Sized> Cas for Retrying<T> {
    async fn find_missing(&self, digests: &[Digest], deadline: Deadline) -> Result<Vec<Digest>> {
        let call = || self.inner.find_missing(digests, deadline);
        self.retry("FindMissingBlobs", deadline, call).await
    }

    async fn upload_batch(
        &self,
        blobs: &[(Digest, Bytes)],
        deadline: Deadline,
    ) -> Result<Vec<Result<()>>> {
        let call = || self.inner.upload_batch(blobs, deadline);
        self.retry("BatchUpdateBlobs", deadline, call).await
    }

    /// Once: only the caller can make the pieces again.
    async fn upload_stream(
        &self,
        digest: Digest,
        pieces: BoxStream<'static, Result<Bytes>>,
        deadline: Deadline,
    ) -> Result<()> {
        let write = self.inner.upload_stream(digest, pieces, deadline);
        let written = deadline.bound("ByteStream.Write", write).await;
        written.map_err(|error| error.context("backend: ByteStream.Write"))
    }

    async fn download_batch(
        &self,
        digests: &[Digest],
        deadline: Deadline,
    ) -> Result<Vec<Result<Bytes>>> {
        let call = || self.inner.download_batch(digests, deadline);
        self.retry("BatchReadBlobs", deadline, call).await
    }

    /// Retried until the first answer; a stream that breaks later is its reader's to restart.
    async fn download_stream(
        &self,
        view: View,
        deadline: Deadline,
    ) -> Result<BoxStream<'static, Result<Bytes>>> {
        let call = || self.inner.download_stream(view, deadline);
        self.retry("ByteStream.Read", deadline, call).await
    }
}

#[async_trait]
impl<T: ActionCache + ?Sized> ActionCache for Retrying<T> {
    async fn get(
        &self,
        action: Digest,
        inline_outputs: &[String],
        deadline: Deadline,
    ) -> Result<Option<ActionResult>> {
        let call = || self.inner.get(action, inline_outputs, deadline);
        self.retry("GetActionResult", deadline, call).await
    }
}
