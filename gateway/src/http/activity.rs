//! Whether a connection has requests under way, and since when it has none.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use tokio::time::Instant;

/// When a connection last had something to do.
pub(super) struct Activity {
    requests: AtomicUsize,
    born: Instant,
    /// Milliseconds since `born`.
    last: AtomicU64,
}

impl Default for Activity {
    fn default() -> Self {
        Self { requests: AtomicUsize::new(0), born: Instant::now(), last: AtomicU64::new(0) }
    }
}

impl Activity {
    /// Waits until nothing has happened for so long.
    pub(super) async fn idle_for(&self, quiet: Duration) {
        loop {
            let last = self.born + Duration::from_millis(self.last.load(Ordering::Acquire));
            let until = match self.requests.load(Ordering::Acquire) {
                0 if last + quiet <= Instant::now() => return,
                0 => last + quiet,
                // Looked at now and then: the end of a request wakes nobody here.
                _ => Instant::now() + quiet / 50,
            };
            tokio::time::sleep_until(until).await;
        }
    }

    fn touch(&self) {
        let age = u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(age, Ordering::Release);
    }
}

/// One request under way.
pub(super) struct Busy(Arc<Activity>);

impl Busy {
    pub(super) fn begin(activity: Arc<Activity>) -> Self {
        activity.requests.fetch_add(1, Ordering::AcqRel);
        activity.touch();
        Self(activity)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.touch();
        self.0.requests.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A request counts as under way until its answer's body has been handed to the connection.
pub(super) fn body_of(body: Body, busy: Busy) -> Body {
    Body::new(Held { body, _busy: busy })
}

/// A body that keeps its request counted as under way.
struct Held {
    body: Body,
    _busy: Busy,
}

impl http_body::Body for Held {
    type Data = bytes::Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<bytes::Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}
