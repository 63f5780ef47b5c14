//! Connections to one backend for calls of a kind: as many as the streams under way need, each with
//! a life of its own, and our credentials on each call.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::header::AUTHORIZATION;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tower::{BoxError, Service, ServiceExt};
use tracing::Instrument;

use super::account;
use super::call::Call;
use super::credentials::Credentials;
use super::equals::Equals;
use crate::error::{Error, Result};

/// Connections of a lane; what comes on top waits for streams of these.
const MOST: usize = 100;

/// Opens connections to one of the equals, lazily: the first call over one makes it.
pub(super) type Open = dyn Fn(usize) -> Result<Channel> + Send + Sync;

/// What a lane's connections have in common.
pub(super) struct LaneConfig {
    /// What the backend is called in metrics.
    pub(super) backend: Arc<str>,
    pub(super) open: Box<Open>,
    /// Whom they lead to.
    pub(super) equals: Arc<Equals>,
    /// Calls under way on one connection.
    pub(super) streams: usize,
    /// How long a connection takes new calls, a quarter more or less. A new one resolves the
    /// backend's name again.
    pub(super) life: Duration,
    pub(super) credentials: Credentials,
}

/// A service that makes calls to a backend; a clone is the same lane.
#[derive(Clone)]
pub struct Lane {
    inner: Arc<Inner>,
}

struct Inner {
    config: LaneConfig,
    connections: Mutex<Vec<Connection>>,
}

/// One connection.
#[derive(Clone)]
struct Connection {
    channel: Channel,
    /// Which of the equals it leads to.
    to: usize,
    /// One more for each call under way.
    calls: Arc<()>,
    /// Takes no new calls after that.
    until: Instant,
}

impl Connection {
    fn under_way(&self) -> usize {
        Arc::strong_count(&self.calls) - 1
    }
}

impl Lane {
    /// With one connection prepared, so that a wrong configuration is known now.
    ///
    /// # Errors
    /// When connections cannot be prepared: the certificate, its key, the address.
    pub(super) fn new(config: LaneConfig) -> Result<Self> {
        let inner = Arc::new(Inner { config, connections: Mutex::default() });
        let first = inner.connection(0)?;
        inner.lock().push(first);
        Ok(Self { inner })
    }
}

impl Inner {
    fn connection(&self, to: usize) -> Result<Connection> {
        let life = self.config.life.mul_f64(0.75 + fastrand::f64() / 2.0);
        // A life that is too long to count is for ever, or nearly so.
        let until = Instant::now().checked_add(life);
        let until = until.unwrap_or_else(|| Instant::now() + Duration::from_secs(1 << 30));
        Ok(Connection { channel: (self.config.open)(to)?, to, calls: Arc::default(), until })
    }

    /// The connection for the next call, and the call's mark on it.
    fn pick(&self) -> Result<Connection> {
        let now = Instant::now();
        let to = self.config.equals.pick();
        let mut connections = self.lock();
        // Calls under way hold on to theirs.
        connections.retain(|connection| now < connection.until);
        let there = connections.iter().filter(|connection| connection.to == to);
        let least = there.min_by_key(|connection| connection.under_way());
        match least {
            Some(least) if least.under_way() < self.config.streams || connections.len() >= MOST => {
                Ok(least.clone())
            }
            _ => {
                let new = self.connection(to)?;
                connections.push(new.clone());
                Ok(new)
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        // What is done to the list is done by single operations on it.
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Service<Request<tonic::body::Body>> for Lane {
    type Response = Response<Answer>;
    type Error = BoxError;
    type Future = BoxFuture<'static, std::result::Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<std::result::Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<tonic::body::Body>) -> Self::Future {
        let inner = self.inner.clone();
        let account = account::current();
        Box::pin(async move {
            let credentials = &inner.config.credentials;
            if let Some(account) = account {
                let authorization = account.authorization().await.map_err(told)?;
                request.headers_mut().extend(credentials.plain_headers());
                request.headers_mut().insert(AUTHORIZATION, authorization);
            } else if !credentials.is_empty() {
                request.headers_mut().extend(credentials.headers().await.map_err(told)?);
            }
            let mut connection = inner.pick().map_err(told)?;
            let to = inner.config.equals.name(connection.to);
            let mut call = Call::begin(&mut request, inner.config.backend.clone(), to);
            let asked = inner.config.equals.ask(connection.to);
            let answered = async { connection.channel.ready().await?.call(request).await };
            let answered = answered.instrument(call.span().clone()).await;
            match &answered {
                Ok(response) if !is_away(response) => asked.answered(),
                _ => asked.failed(),
            }
            match &answered {
                Ok(response) => call.look_at(response.headers()),
                Err(_) => call.end(Code::Unavailable),
            }
            let mut response = answered?;
            response.extensions_mut().insert(call.mark());
            Ok(response.map(|body| Answer { body, call, _connection: connection }))
        })
    }
}

/// Whether whoever answered says that it cannot serve: a call that has no answer has its status
/// among the headers.
fn is_away(response: &Response<tonic::body::Body>) -> bool {
    let status = response.headers().get(Status::GRPC_STATUS);
    status.is_some_and(|code| Code::from_bytes(code.as_bytes()) == Code::Unavailable)
}

/// As a status, which the client takes as it is.
fn told(error: Error) -> BoxError {
    Box::new(Status::from(error))
}

/// An answer while it is read: for so long its call is under way.
pub struct Answer {
    body: tonic::body::Body,
    call: Call,
    _connection: Connection,
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, Status>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        match &frame {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(trailers) = frame.trailers_ref() {
                    self.call.look_at(trailers);
                }
            }
            Poll::Ready(Some(Err(status))) => self.call.end(status.code()),
            // Without trailers nothing was said of how it ended.
            Poll::Ready(None) => self.call.end(Code::Unknown),
            Poll::Pending => {}
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
