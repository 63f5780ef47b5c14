//! A question to Redis as others see it: a span by the conventions for databases, and a metric.

use std::sync::LazyLock;
use std::time::Instant;

use goma_common::Result;
use goma_common::telemetry::metrics;
use opentelemetry::KeyValue;
use opentelemetry::metrics::Histogram;
use tracing::field::Empty;
use tracing::{Instrument, debug_span};

static TOOK: LazyLock<Histogram<f64>> = LazyLock::new(|| {
    metrics::seconds("goma_redis_call", "Questions to Redis, by operation and end")
});

/// Asks, and tells of it.
pub(super) async fn told<T>(
    operation: &'static str,
    keys: usize,
    ask: impl Future<Output = Result<T>>,
) -> Result<T> {
    let span = debug_span!(
        "redis",
        otel.name = operation,
        otel.kind = "client",
        otel.status_code = Empty,
        db.system.name = "redis",
        db.operation.name = operation,
        goma.keys = keys,
    );
    let began = Instant::now();
    let answer = ask.instrument(span.clone()).await;
    let end = answer.as_ref().err().map_or("OK", |error| error.code.name());
    if answer.is_err() {
        span.record("otel.status_code", "ERROR");
    }
    let which = [KeyValue::new("operation", operation), KeyValue::new("code", end)];
    TOOK.record(began.elapsed().as_secs_f64(), &which);
    answer
}
