//! The span of a gRPC call that is served, from its head to the last of its answer: a layer of a server.
//!
//! A call's status comes with its trailers, after tonic's own `trace_fn` has let its span go; without it no
//! call would count as failed, and [`super::kept`] would not keep it.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderMap, Request, Response};
use http_body::{Frame, SizeHint};
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service};
use tracing::field::Empty;
use tracing::{Instrument, Span, debug_span};

use super::trace_context;
use crate::deadline::read_timeout;
use crate::error::grpc_name;

/// Questions of balancers, of probes and of who looks at a status page: each would be a trace of one span.
const NOBODYS: [&str; 4] = [
    "grpc.health.v1.Health/Check",
    "grpc.health.v1.Health/Watch",
    "goma.shard.v1.Shard/Describe",
    "goma.shard.v1.Shard/Status",
];
/// How long the caller waits.
const TIMEOUT: &str = "grpc-timeout";

/// Gives each call of a server its span.
#[derive(Clone, Copy, Debug, Default)]
pub struct ServedCalls;

impl<S> Layer<S> for ServedCalls {
    type Service = Served<S>;

    fn layer(&self, inner: S) -> Served<S> {
        Served(inner)
    }
}

/// A service whose calls have their spans.
#[derive(Clone, Debug)]
pub struct Served<S>(S);

impl<S> Service<Request<Body>> for Served<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<Body>, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let mut call = Call::begin(&request);
        let answer = self.0.call(request);
        if call.span.is_disabled() {
            return Box::pin(answer);
        }
        let answer = answer.instrument(call.span.clone());
        Box::pin(async move {
            let response = answer.await?;
            call.look_at(response.headers());
            Ok(response.map(|body| Body::new(Answer { body, call })))
        })
    }
}

/// A call under way. One that is dropped was given up by whoever made it, or ran out of time.
struct Call {
    span: Span,
    began: Instant,
    timeout: Option<Duration>,
    is_over: bool,
}

impl Call {
    fn begin<B>(request: &Request<B>) -> Self {
        let span = span(request);
        let timeout = request.headers().get(TIMEOUT).and_then(|value| value.to_str().ok());
        let timeout = timeout.and_then(read_timeout);
        Self { span, began: Instant::now(), timeout, is_over: false }
    }

    /// Ends by what the headers or trailers of the answer say, if they say it.
    fn look_at(&mut self, headers: &HeaderMap) {
        if let Some(code) = headers.get(Status::GRPC_STATUS) {
            self.end(Code::from_bytes(code.as_bytes()));
        }
    }

    fn end(&mut self, code: Code) {
        if std::mem::replace(&mut self.is_over, true) {
            return;
        }
        self.span.record("rpc.grpc.status_code", code as i32);
        if is_failure(code) {
            self.span.record("otel.status_code", "ERROR");
            self.span.record("error.type", grpc_name(code));
        }
        self.span = Span::none();
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        match self.timeout {
            Some(timeout) if self.began.elapsed() >= timeout => self.end(Code::DeadlineExceeded),
            _ => self.end(Code::Cancelled),
        }
    }
}

/// Whether the server is at fault; of the other codes the caller is, by the conventions for RPC.
fn is_failure(code: Code) -> bool {
    matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    )
}

/// In the trace of whoever makes the call.
fn span<B>(request: &Request<B>) -> Span {
    let path = request.uri().path().trim_start_matches('/');
    if NOBODYS.contains(&path) {
        return Span::none();
    }
    let (service, method) = path.split_once('/').unwrap_or(("", path));
    let span = debug_span!(
        "serve",
        otel.name = path,
        otel.kind = "server",
        otel.status_code = Empty,
        rpc.system = "grpc",
        rpc.service = service,
        rpc.method = method,
        rpc.grpc.status_code = Empty,
        "error.type" = Empty,
    );
    trace_context::follow(&span, request.headers());
    span
}

/// An answer while it is sent: for so long its call is under way.
struct Answer {
    body: Body,
    call: Call,
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Self { body, call } = &mut *self;
        // A stream is made while it is sent, and what that takes is done for the call.
        let span = call.span.clone();
        let frame = span.in_scope(|| Pin::new(body).poll_frame(context));
        match &frame {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(trailers) = frame.trailers_ref() {
                    call.look_at(trailers);
                }
            }
            Poll::Ready(Some(Err(status))) => call.end(status.code()),
            Poll::Ready(None) | Poll::Pending => {}
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
