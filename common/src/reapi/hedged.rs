//! A decorator of [`Cas`] and [`ActionCache`] that asks a question a second time, over another
//! connection, when its answer is late: whichever answer comes first is taken.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::{Either, select};
use futures::stream::BoxStream;
use goma_proto::reapi::ActionResult;

use super::budget::RetryBudget;
use super::{ActionCache, Cas, Upload};
use crate::deadline::Deadline;
use crate::digest::Digest;
use crate::entry::View;
use crate::error::Result;

/// Reads of more bytes than this are not asked for twice.
const SMALL_READ: u64 = 256 << 10;

/// `first`, and `second` where that is late.
pub(super) struct Hedged<T> {
    first: Arc<T>,
    second: Arc<T>,
    /// `None` is never.
    after: Option<Duration>,
    budget: Arc<RetryBudget>,
}

impl<T> Hedged<T> {
    /// Both lead to the same backend, over connections of their own. Second questions are paid for as
    /// retries are.
    pub(super) fn new(
        first: Arc<T>,
        second: Arc<T>,
        after: Option<Duration>,
        budget: Arc<RetryBudget>,
    ) -> Self {
        Self { first, second, after, budget }
    }

    /// An answer that is a failure is waited out where the other may be none.
    async fn ask<'a, R, F>(&'a self, call: impl Fn(&'a T) -> F) -> Result<R>
    where
        F: Future<Output = Result<R>>,
    {
        let mut first = pin!(call(&self.first));
        let Some(after) = self.after else { return first.await };
        if let Ok(answer) = tokio::time::timeout(after, &mut first).await {
            return answer;
        }
        if !self.budget.spend() {
            return first.await;
        }
        let second = pin!(call(&self.second));
        match select(first, second).await {
            Either::Left((Err(_), other)) => other.await,
            Either::Right((Err(_), other)) => other.await,
            Either::Left((answer, _)) | Either::Right((answer, _)) => answer,
        }
    }
}

#[async_trait]
impl<T: Cas> Cas for Hedged<T> {
    async fn find_missing(&self, digests: &[Digest], deadline: Deadline) -> Result<Vec<Digest>> {
        self.ask(|cas| cas.find_missing(digests, deadline)).await
    }

    async fn upload_batch(
        &self,
        blobs: &[(Digest, Bytes)],
        deadline: Deadline,
    ) -> Result<Vec<Result<()>>> {
        self.first.upload_batch(blobs, deadline).await
    }

    async fn upload_stream(&self, upload: &Upload, deadline: Deadline) -> Result<()> {
        self.first.upload_stream(upload, deadline).await
    }

    async fn download_batch(
        &self,
        digests: &[Digest],
        deadline: Deadline,
    ) -> Result<Vec<Result<Bytes>>> {
        let bytes: u64 = digests.iter().map(|digest| digest.size).sum();
        if bytes > SMALL_READ {
            return self.first.download_batch(digests, deadline).await;
        }
        self.ask(|cas| cas.download_batch(digests, deadline)).await
    }

    async fn download_stream(
        &self,
        view: View,
        deadline: Deadline,
    ) -> Result<BoxStream<'static, Result<Bytes>>> {
        self.first.download_stream(view, deadline).await
    }
}

#[async_trait]
impl<T: ActionCache> ActionCache for Hedged<T> {
    async fn get(
        &self,
        action: Digest,
        inline_outputs: &[String],
        deadline: Deadline,
    ) -> Result<Option<ActionResult>> {
        self.ask(|cache| cache.get(action, inline_outputs, deadline)).await
    }
}
