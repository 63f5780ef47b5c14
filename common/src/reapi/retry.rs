//! A decorator of [`Cas`] and [`ActionCache`] that calls again after a passing failure.
//!
//! All of these calls are idempotent. A connection that a balancer cut, a backend that restarts and
//! one that takes a call and never answers it are answered by the next try; a compile of the stock
//! client would be lost to them.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use goma_proto::reapi::ActionResult;

use super::call::count_retry;
use super::guard::{Again, Guard};
use super::{ActionCache, Cas, Health, Limits, Upload};
use crate::backoff::Backoff;
use crate::deadline::Deadline;
use crate::digest::Digest;
use crate::entry::View;
use crate::error::{Code, Error, Result};

const FIRST_DELAY: Duration = Duration::from_millis(50);
const MAX_DELAY: Duration = Duration::from_secs(1);

/// How long tries of a call may take: twice as long each time, so that a backend that is slow but
/// alive is given the time it needs, up to a bound, so that one that has come back is soon asked.
#[derive(Clone, Copy)]
struct Patience {
    first: Duration,
    most: Duration,
}

/// Questions about digests, which backends answer in milliseconds. Two tries fit into the ten
/// seconds that the action cache is given by default.
const QUESTION: Patience =
    Patience { first: Duration::from_secs(3), most: Duration::from_secs(15) };
/// Up to 4 MiB of contents, which take 7 s at 5 Mbit/s.
const BATCH: Patience = Patience { first: Duration::from_secs(10), most: Duration::from_secs(40) };
/// Streams last as long as their contents do.
const STREAM: Patience = Patience { first: Duration::MAX, most: Duration::MAX };

impl Patience {
    /// For the first try, and every later one.
    fn bounds(self) -> impl Iterator<Item = Duration> {
        std::iter::successors(Some(self.first), move |last| {
            Some(last.saturating_mul(2).min(self.most))
        })
    }
}

/// `inner`, each call tried until `tries` of them have failed, within its deadline.
pub(super) struct Retrying<T: ?Sized> {
    /// What the backend is called in metrics.
    backend: Arc<str>,
    tries: u32,
    health: Arc<dyn Health>,
    limits: Arc<Limits>,
    guard: Guard,
    inner: Arc<T>,
}

impl<T> Retrying<T> {
    /// At least one try. Before the first call `health` is asked for the `limits`. Metrics name the `backend`.
    pub(super) fn new(
        backend: Arc<str>,
        inner: Arc<T>,
        health: Arc<dyn Health>,
        limits: Arc<Limits>,
        tries: u32,
        guard: Guard,
    ) -> Self {
        Self { backend, tries: tries.max(1), health, limits, guard, inner }
    }
}

impl<T: ?Sized> Retrying<T> {
    async fn retry<R, F>(
        &self,
        what: &'static str,
        patience: Patience,
        deadline: Deadline,
        call: impl Fn(Deadline) -> F,
    ) -> Result<R>
    where
        F: Future<Output = Result<R>> + Send,
    {
        self.limits.settle(self.health.as_ref(), deadline).await;
        let mut call_guard = self.guard.begin();
        let mut backoff = Backoff::new(FIRST_DELAY, MAX_DELAY);
        let mut bounds = patience.bounds();
        let (mut tried, mut before) = (0, None);
        let told = |error: Error| error.context(format_args!("backend: {what}"));
        loop {
            call_guard.pass(deadline).await.map_err(told)?;
            let end = deadline.at_most(bounds.next().unwrap_or(patience.most));
            let mut asked = pin!(call(deadline));
            let answered = tokio::time::timeout(end.remaining(), &mut asked).await;
            let is_late = answered.is_err() && !deadline.is_past();
            let is_paid = is_late && call_guard.pays_for_another();
            let outcome = match answered {
                Ok(outcome) => outcome,
                Err(_) if is_paid => {
                    Err(Error::new(Code::DeadlineExceeded, format!("{what}: no answer in time")))
                }
                // It may only be slow, and there will be no other.
                Err(_) => deadline.bound(what, asked).await,
            };
            let again = match &outcome {
                Ok(_) => {
                    call_guard.answered();
                    Again::No
                }
                Err(_) if is_paid => Again::Counted,
                Err(error) => call_guard.failed(error),
            };
            if call_guard.is_back() {
                self.limits.ask_again();
            }
            let error = match outcome {
                Ok(result) => return Ok(result),
                Err(error) => error,
            };
            // One that was not answered in its time says nothing against the next.
            tried += u32::from(again == Again::Counted && !end.is_past());
            let delay = match again {
                Again::Now => Duration::ZERO,
                _ => backoff.delay(),
            };
            if again == Again::No || tried >= self.tries || deadline.remaining() <= delay {
                return Err(told(with_reason(error, before)));
            }
            tracing::debug!(%error, what, tried, "backend call failed, trying again");
            count_retry(what, self.backend.clone());
            tokio::time::sleep(delay).await;
            before = Some(error);
        }
    }
}

/// That time ran out says nothing of why: the failure before it does.
fn with_reason(error: Error, before: Option<Error>) -> Error {
    match before {
        Some(before) if error.code == Code::DeadlineExceeded && before.code != error.code => {
            let message = format!("{error}; before that: {before}");
            Error { message, ..error }
        }
        _ => error,
    }
}

#[async_trait]
impl<T: Cas + ?Sized> Cas for Retrying<T> {
    async fn find_missing(&self, digests: &[Digest], deadline: Deadline) -> Result<Vec<Digest>> {
        let call = |deadline| self.inner.find_missing(digests, deadline);
        self.retry("FindMissingBlobs", QUESTION, deadline, call).await
    }

    async fn upload_batch(
        &self,
        blobs: &[(Digest, Bytes)],
        deadline: Deadline,
    ) -> Result<Vec<Result<()>>> {
        // Too large, or too much at once: the same again would be no better.
        let call = async |deadline| match self.inner.upload_batch(blobs, deadline).await {
            Err(error) if error.code == Code::ResourceExhausted => Ok(Err(error)),
            answers => Ok(Ok(answers?)),
        };
        self.retry("BatchUpdateBlobs", BATCH, deadline, call).await?
    }

    async fn upload_stream(&self, upload: &Upload, deadline: Deadline) -> Result<()> {
        let call = |deadline| self.inner.upload_stream(upload, deadline);
        let written = self.retry("ByteStream.Write", STREAM, deadline, call).await;
        written.map_err(|error| error.context(format_args!("blob {}", upload.digest)))
    }

    async fn download_batch(
        &self,
        digests: &[Digest],
        deadline: Deadline,
    ) -> Result<Vec<Result<Bytes>>> {
        let call = |deadline| self.inner.download_batch(digests, deadline);
        self.retry("BatchReadBlobs", BATCH, deadline, call).await
    }

    /// Retried until the first answer; a stream that breaks later is its reader's to restart.
    async fn download_stream(
        &self,
        view: View,
        deadline: Deadline,
    ) -> Result<BoxStream<'static, Result<Bytes>>> {
        let call = |deadline| self.inner.download_stream(view, deadline);
        self.retry("ByteStream.Read", STREAM, deadline, call).await
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
        let call = |deadline| self.inner.get(action, inline_outputs, deadline);
        self.retry("GetActionResult", QUESTION, deadline, call).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures::future::pending;
    use goma_proto::reapi::CacheCapabilities;
    use tokio::time::Instant;

    use super::*;
    use crate::reapi::Credentials;

    /// Takes so many calls and never answers them, and each later one after so long.
    struct Silent {
        silent: u32,
        slow: Duration,
        asked: AtomicU32,
    }

    #[async_trait]
    impl ActionCache for Silent {
        async fn get(&self, _: Digest, _: &[String], _: Deadline) -> Result<Option<ActionResult>> {
            if self.asked.fetch_add(1, Ordering::SeqCst) < self.silent {
                pending::<()>().await;
            }
            tokio::time::sleep(self.slow).await;
            Ok(None)
        }
    }

    #[async_trait]
    impl Health for Silent {
        async fn check(&self, _: Deadline) -> Result<()> {
            Err(Error::new(Code::Internal, "the limits are known"))
        }
    }

    fn asking(silent: u32, slow: Duration) -> Retrying<Silent> {
        let inner = Arc::new(Silent { silent, slow, asked: AtomicU32::new(0) });
        let limits = Arc::new(Limits::default());
        limits.learn(&CacheCapabilities::default());
        let guard = Guard::new(Arc::default(), Credentials::default());
        Retrying::new("test".into(), inner.clone(), inner, limits, 5, guard)
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_is_not_answered_is_made_again_within_seconds() {
        let started = Instant::now();
        let backend = asking(1, Duration::ZERO);
        let deadline = Deadline::after(Duration::from_secs(10));
        assert!(backend.get(Digest::EMPTY, &[], deadline).await.expect("answered").is_none());
        assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_backend_that_is_slow_is_given_the_time() {
        let backend = asking(0, Duration::from_secs(14));
        let deadline = Deadline::after(Duration::from_secs(60));
        backend.get(Digest::EMPTY, &[], deadline).await.expect("answered");
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_nobody_pays_another_for_is_waited_out() {
        // More of them are late at once than may be asked again.
        let backend = asking(0, Duration::from_secs(8));
        let deadline = Deadline::after(Duration::from_secs(30));
        let calls = (0..100).map(|_| backend.get(Digest::EMPTY, &[], deadline));
        for answer in futures::future::join_all(calls).await {
            answer.expect("slow, and no failure");
        }
        let asked = backend.inner.asked.load(Ordering::SeqCst);
        assert!((101..200).contains(&asked), "{asked}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_backend_that_stays_silent_is_given_up_at_the_deadline() {
        let started = Instant::now();
        let backend = asking(u32::MAX, Duration::ZERO);
        let deadline = Deadline::after(Duration::from_secs(10));
        let error = backend.get(Digest::EMPTY, &[], deadline).await.expect_err("silent");
        assert_eq!(error.code, Code::DeadlineExceeded);
        assert!(started.elapsed() <= Duration::from_secs(10), "{:?}", started.elapsed());
    }
}
