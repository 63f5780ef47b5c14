//! A question to Redis as others see it: a span by the conventions for databases, and a metric.

use std::sync::LazyLock;
use std::time::Instant;

use goma_common::Result;
use goma_common::telemetry::{metrics, trace_context};
use opentelemetry::KeyValue;
use opentelemetry::metrics::Histogram;
use tracing::field::Empty;
use tracing::{Instrument, Span, debug_span};

static TOOK: LazyLock<Histogram<f64>> = LazyLock::new(|| {
    metrics::seconds("goma_redis_call", "Questions to Redis, by operation and end")
});

/// Asks the server at that address, and tells of it.
pub(super) async fn told<T>(
    address: &str,
    operation: &'static str,
    keys: usize,
    ask: impl Future<Output = Result<T>>,
) -> Result<T> {
    // Upkeep is nobody's request, and would be a trace of one question each second.
    let span = match Span::current().is_none() {
        true => Span::none(),
        false => span(address, operation, keys),
    };
    let began = Instant::now();
    let answer = ask.instrument(span.clone()).await;
    let end = answer.as_ref().err().map_or("OK", |error| error.code.name());
    if answer.is_err() {
        span.record("otel.status_code", "ERROR");
        span.record("error.type", end);
    }
    let which = [KeyValue::new("operation", operation), KeyValue::new("code", end)];
    TOOK.record(began.elapsed().as_secs_f64(), &which);
    answer
}

fn span(address: &str, operation: &'static str, keys: usize) -> Span {
    let (host, port) = trace_context::host_and_port(address);
    debug_span!(
        "redis",
        otel.name = operation,
        otel.kind = "client",
        otel.status_code = Empty,
        db.system.name = "redis",
        db.operation.name = operation,
        server.address = host,
        server.port = port,
        "error.type" = Empty,
        goma.keys = keys,
    )
}
