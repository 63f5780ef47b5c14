//! One call to a backend as others see it: a span of its request's trace, counts, and words to the
//! backend about what it is for.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use http::{HeaderMap, Request};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, UpDownCounter};
use tonic::{Code, Status};
use tracing::field::Empty;
use tracing::{Span, debug_span};

use super::invocation;
use crate::error::grpc_name;
use crate::telemetry::{metrics, trace_context};

struct Metrics {
    took: Histogram<f64>,
    under_way: UpDownCounter<i64>,
    retries: Counter<u64>,
}

static METRICS: LazyLock<Metrics> = LazyLock::new(|| {
    let meter = metrics::meter();
    Metrics {
        took: metrics::seconds("goma_backend_call", "Calls to the backend, by method and end"),
        under_way: meter
            .i64_up_down_counter("goma_backend_calls_under_way")
            .with_description("Calls to the backend that have not ended")
            .build(),
        retries: metrics::counter("goma_backend_retries", "Calls to the backend made once more"),
    }
});

/// Counts that a call to a backend is made once more.
pub(super) fn count_retry(method: &'static str, backend: Arc<str>) {
    METRICS.retries.add(1, &[KeyValue::new("method", method), KeyValue::new("backend", backend)]);
}

/// Comes with an answer, in its extensions: by it the reader says that it was told all there is, and
/// the call went well, though the stream goes on.
#[derive(Clone, Debug, Default)]
pub(super) struct Mark(Arc<AtomicBool>);

impl Mark {
    /// All was told.
    pub(super) fn told(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_told(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A call under way. One that is dropped was given up, or, once its answer had begun, is not wanted to its
/// end.
pub(super) struct Call {
    span: Span,
    method: String,
    backend: Arc<str>,
    mark: Mark,
    began: Instant,
    is_answered: bool,
    is_over: bool,
}

impl Call {
    /// Begins with a request as gRPC makes them to the backend of that name at that address, and tells it
    /// what it is for.
    pub(super) fn begin<B>(request: &mut Request<B>, backend: Arc<str>, address: &str) -> Self {
        let (service, method) = names(request.uri().path());
        // Probes and refreshes are nobody's requests, and would each be a trace of one call.
        let span = match Span::current().is_none() {
            true => Span::none(),
            false => span(service, method, address),
        };
        let method = method.to_owned();
        METRICS.under_way.add(1, &[]);
        span.in_scope(|| trace_context::carry(request.headers_mut()));
        invocation::tell(request.headers_mut());
        let (mark, began) = (Mark::default(), Instant::now());
        Self { span, method, backend, mark, began, is_answered: false, is_over: false }
    }

    /// By which its reader says that it was told all.
    pub(super) fn mark(&self) -> Mark {
        self.mark.clone()
    }

    /// What is done within this is done for the call.
    pub(super) fn span(&self) -> &Span {
        &self.span
    }

    /// Ends by what the headers or trailers of an answer say, if they say it.
    pub(super) fn look_at(&mut self, headers: &HeaderMap) {
        self.is_answered = true;
        if let Some(code) = headers.get(Status::GRPC_STATUS) {
            self.end(Code::from_bytes(code.as_bytes()));
        }
    }

    /// Ends.
    pub(super) fn end(&mut self, code: Code) {
        self.end_as(code, grpc_name(code));
    }

    fn end_as(&mut self, code: Code, name: &'static str) {
        if std::mem::replace(&mut self.is_over, true) {
            return;
        }
        METRICS.under_way.add(-1, &[]);
        let told = [
            KeyValue::new("method", std::mem::take(&mut self.method)),
            KeyValue::new("code", name),
            KeyValue::new("backend", self.backend.clone()),
        ];
        METRICS.took.record(self.began.elapsed().as_secs_f64(), &told);
        self.span.record("rpc.grpc.status_code", code as i32);
        // That something is not there is an answer.
        if !matches!(code, Code::Ok | Code::NotFound) {
            self.span.record("otel.status_code", "ERROR");
            self.span.record("error.type", name);
        }
        self.span = Span::none();
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        match self.is_answered {
            true if self.mark.is_told() => self.end(Code::Ok),
            true => self.end_as(Code::Ok, "LEFT"),
            false => self.end(Code::Cancelled),
        }
    }
}

/// By the conventions for RPC.
fn span(service: &str, method: &str, address: &str) -> Span {
    let (host, port) = trace_context::host_and_port(address);
    debug_span!(
        "backend",
        otel.name = format_args!("{service}/{method}"),
        otel.kind = "client",
        otel.status_code = Empty,
        rpc.system = "grpc",
        rpc.service = service,
        rpc.method = method,
        rpc.grpc.status_code = Empty,
        server.address = host,
        server.port = port,
        "error.type" = Empty,
    )
}

/// Service and method of a path `/package.Service/Method`.
fn names(path: &str) -> (&str, &str) {
    let path = path.trim_start_matches('/');
    path.split_once('/').unwrap_or(("", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_service_and_method() {
        assert_eq!(names("/google.bytestream.ByteStream/Read").1, "Read");
        assert_eq!(names("/a.B/C"), ("a.B", "C"));
        assert_eq!(names("x"), ("", "x"));
    }
}
