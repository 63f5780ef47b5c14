//! The span of a request, from its head to its answer, by the conventions for HTTP and some attributes
//! of ours, `goma.*`. Logs do not show it; what says in them whose request it is comes below it.

use goma_common::telemetry::trace_context;
use http::{HeaderMap, Response};
use tracing::field::{Empty, display};
use tracing::{Span, debug_span, info_span};

use super::{End, Ended, Kind};

/// Begins with the head of a request, in the trace that it tells of if it does. The scheme is that of the
/// connection on which it came, behind a balancer that of the balancer's.
pub(crate) fn of(kind: Kind, scheme: &'static str, headers: &HeaderMap) -> Span {
    let route = match kind {
        Kind::Exec => "/cxx-compiler-service/e",
        Kind::Store => "/cxx-compiler-service/s",
        Kind::Lookup => "/cxx-compiler-service/l",
        Kind::Log => "/cxx-compiler-service/sl",
    };
    let span = debug_span!(
        "request",
        otel.name = format_args!("POST {route}"),
        otel.kind = "server",
        otel.status_code = Empty,
        otel.status_description = Empty,
        http.request.method = "POST",
        http.route = route,
        url.path = route,
        url.scheme = scheme,
        "error.type" = Empty,
        http.request.body.size = Empty,
        http.response.status_code = Empty,
        http.response.body.size = Empty,
        goma.outcome = Empty,
        goma.action = Empty,
        goma.build = Empty,
        goma.client = Empty,
        goma.compiler = Empty,
        goma.output = Empty,
        goma.inputs = Empty,
        goma.inputs.embedded = Empty,
        goma.inputs.missing = Empty,
        goma.cache_hit = Empty,
        goma.joined = Empty,
        goma.worker.queue_ms = Empty,
        goma.worker.run_ms = Empty,
    );
    trace_context::follow(&span, headers);
    span
}

/// What lines of the log are shown within; who the request is from is recorded once that is known.
pub(crate) fn of_logs(kind: Kind, trace: Option<&str>) -> Span {
    match kind {
        Kind::Exec => info_span!("exec", user = Empty, from = Empty, trace),
        Kind::Store => info_span!("store", user = Empty, from = Empty, trace),
        Kind::Lookup => info_span!("lookup", user = Empty, from = Empty, trace),
        Kind::Log => info_span!("log", user = Empty, from = Empty, trace),
    }
}

/// Tells the span what came of the request. Whether that is a failure.
pub(crate) fn end<B>(span: &Span, ended: &Ended, response: &Response<B>) -> bool {
    if span.is_disabled() {
        return false;
    }
    let told = &ended.told;
    span.record("http.request.body.size", told.received);
    span.record("http.response.status_code", response.status().as_u16());
    span.record("http.response.body.size", told.sent);
    span.record("goma.outcome", told.end.name());
    if ended.kind == Kind::Exec {
        span.record("goma.build", told.build.as_str());
        span.record("goma.client", told.client.as_str());
        span.record("goma.compiler", told.compiler.as_str());
        span.record("goma.output", told.output.as_str());
        span.record("goma.inputs", told.inputs);
        span.record("goma.inputs.embedded", told.embedded);
        span.record("goma.cache_hit", matches!(told.end, End::Hit { .. }));
        span.record("goma.joined", told.joined);
    }
    if let Some(action) = told.action {
        span.record("goma.action", display(action));
    }
    if let End::Missing(count) = told.end {
        span.record("goma.inputs.missing", count);
    }
    for (name, time) in
        [("goma.worker.queue_ms", told.worker.queued), ("goma.worker.run_ms", told.worker.ran)]
    {
        if let Some(time) = time {
            span.record(name, time.as_secs_f64() * 1e3);
        }
    }
    let has_failed = response.status().is_server_error() || matches!(told.end, End::Failed(_));
    if has_failed {
        span.record("otel.status_code", "ERROR");
        span.record("error.type", response.status().as_str());
        span.record("otel.status_description", told.end.why().unwrap_or("no answer"));
    }
    has_failed
}
