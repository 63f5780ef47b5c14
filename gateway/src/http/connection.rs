//! One accepted connection, from its first byte to its end.
//!
//! The stock client reuses an idle connection for up to 5 s without looking whether it is still
//! open, so none is closed under it before that, not even when the process ends.

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use goma_common::drain::Drain;
use http::header::CONNECTION;
use http::{HeaderValue, Request, Response, Version};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tower::ServiceExt;

/// The client's own limit is just below 5 s.
const REUSED_WITHIN: Duration = Duration::from_millis(5500);
/// A connection on which no request begins for so long is closed; balancers in front keep theirs
/// for a minute.
const IDLE: Duration = Duration::from_secs(120);

/// Serves a connection until its peer or the drain ends it.
pub(crate) async fn serve(stream: TcpStream, app: Router, drain: Drain) {
    let peer = stream.peer_addr().ok();
    let activity = Arc::new(Activity::default());
    let service = {
        let (activity, drain) = (activity.clone(), drain.clone());
        service_fn(move |request: Request<hyper::body::Incoming>| {
            let (app, drain, busy) = (app.clone(), drain.clone(), Busy::begin(activity.clone()));
            async move {
                let version = request.version();
                let response = app.oneshot(request.map(Body::new)).await;
                let mut response = response.unwrap_or_else(|never| match never {});
                if drain.has_begun() && version < Version::HTTP_2 {
                    say_close(&mut response);
                }
                Ok::<_, std::convert::Infallible>(response.map(|body| body_of(body, busy)))
            }
        })
    };
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().timer(TokioTimer::new()).header_read_timeout(IDLE).title_case_headers(true);
    server.http2().timer(TokioTimer::new()).keep_alive_interval(Duration::from_secs(30));
    let mut connection = pin!(server.serve_connection(TokioIo::new(QuickAck(stream)), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = async { drain.begun().await; activity.idle_for(REUSED_WITHIN).await } => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, ?peer, "connection ended");
    }
}

/// Spelled as the client compares it.
fn say_close(response: &mut Response<Body>) {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
}

/// A request counts as under way until its answer's body has been handed to the connection.
fn body_of(body: Body, busy: Busy) -> Body {
    Body::new(Held { body, _busy: busy })
}

/// When a connection last had something to do.
struct Activity {
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
    async fn idle_for(&self, quiet: Duration) {
        loop {
            let last = self.born + Duration::from_millis(self.last.load(Ordering::Acquire));
            let until = match self.requests.load(Ordering::Acquire) {
                0 if last + quiet <= Instant::now() => return,
                0 => last + quiet,
                _ => Instant::now() + Duration::from_millis(100),
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
struct Busy(Arc<Activity>);

impl Busy {
    fn begin(activity: Arc<Activity>) -> Self {
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

/// A stream whose peer is never kept waiting for an acknowledgement.
///
/// The client writes header and body apart and leaves Nagle's algorithm on: with delayed ACKs each
/// of its requests costs 40 ms. The kernel forgets the option, so it is set again at each read.
struct QuickAck(TcpStream);

impl AsyncRead for QuickAck {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        quick_ack(&self.0);
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

#[cfg(target_os = "linux")]
fn quick_ack(stream: &TcpStream) {
    // It only ever saves time; a socket that cannot do it works as well.
    let _ = socket2::SockRef::from(stream).set_tcp_quickack(true);
}

#[cfg(not(target_os = "linux"))]
fn quick_ack(_: &TcpStream) {}

impl AsyncWrite for QuickAck {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, buffer)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(context, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
