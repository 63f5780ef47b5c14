//! Carries a trace from process to process, in the headers of <https://www.w3.org/TR/trace-context/>.
//!
//! Where this process sends no traces, none of this does anything.

use std::sync::OnceLock;
use std::time::Duration;

use http::HeaderMap;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::TraceContextExt;
use opentelemetry_http::{HeaderExtractor, HeaderInjector};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// From when on a request is slow, once traces are carried on.
static SLOW: OnceLock<Duration> = OnceLock::new();

/// From now on traces are carried on; what takes longer than `slow` is sent in any case.
pub(super) fn enable(slow: Duration) {
    let _ = SLOW.set(slow);
}

fn is_enabled() -> bool {
    SLOW.get().is_some()
}

/// Makes a span, that nobody has entered yet, part of the trace that a request tells of.
pub fn follow(span: &Span, headers: &HeaderMap) {
    if !is_enabled() {
        return;
    }
    let told = TraceContextPropagator::new().extract(&HeaderExtractor(headers));
    if told.span().span_context().is_valid() {
        // Where the span is not recorded there is nothing to be part of.
        let _ = span.set_parent(told);
    }
}

/// Tells a request that is sent which span it is sent from.
pub fn carry(headers: &mut HeaderMap) {
    if is_enabled() {
        let context = Span::current().context();
        TraceContextPropagator::new().inject_context(&context, &mut HeaderInjector(headers));
    }
}

/// Host and port of whoever is called, for the attributes `server.address` and `server.port`. What is not
/// written as an address is told as it is.
#[must_use]
pub fn host_and_port(address: &str) -> (&str, Option<u16>) {
    let split = address.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
    let (host, port) = split.map_or((address, None), |(host, port)| (host, Some(port)));
    (host.trim_start_matches('[').trim_end_matches(']'), port)
}

/// Whether the trace is sent of a request whose span this is, that took so long and failed or not.
#[must_use]
pub fn is_sent(span: &Span, took: Duration, has_failed: bool) -> bool {
    let Some(slow) = SLOW.get() else { return false };
    let context = span.context();
    let context = context.span().span_context().clone();
    context.is_valid() && (context.is_sampled() || took > *slow || has_failed)
}

/// The trace that a span is of, as 32 hexadecimal digits.
#[must_use]
pub fn id(span: &Span) -> Option<String> {
    if !is_enabled() {
        return None;
    }
    let context = span.context();
    let context = context.span().span_context().clone();
    context.is_valid().then(|| context.trace_id().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_host_and_a_port() {
        assert_eq!(host_and_port("farm:443"), ("farm", Some(443)));
        assert_eq!(host_and_port("[::1]:8091"), ("::1", Some(8091)));
        assert_eq!(host_and_port("in-process"), ("in-process", None));
    }
}
