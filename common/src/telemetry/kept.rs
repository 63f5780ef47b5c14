//! Keeps the traces of requests that were slow or failed though the sampler left them out: their spans
//! wait until the first of them, which is the last to end, shows how the request went.
//!
//! Each process decides about its own part of a trace.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, Status, TraceFlags, TraceId};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};

/// Requests whose spans wait; of more, the oldest are given up.
const REQUESTS: usize = 4096;
/// Spans of one request that wait; a compile has about fifteen.
const SPANS: usize = 64;

/// A decorator of a processor that sends what is sampled.
#[derive(Debug)]
pub(super) struct Kept<P> {
    inner: P,
    slow: Duration,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    spans: HashMap<TraceId, Vec<SpanData>>,
    order: VecDeque<TraceId>,
}

impl<P> Kept<P> {
    /// Gives to `inner` what is sampled, and what took longer than `slow` or failed.
    pub(super) fn new(inner: P, slow: Duration) -> Self {
        Self { inner, slow, waiting: Mutex::default() }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // What is done to it is done by single operations.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_worth_it(&self, first: &SpanData) -> bool {
        let took = first.end_time.duration_since(first.start_time).unwrap_or_default();
        took > self.slow || matches!(first.status, Status::Error { .. })
    }
}

impl Waiting {
    fn add(&mut self, span: SpanData) {
        let trace = span.span_context.trace_id();
        if let Some(spans) = self.spans.get_mut(&trace) {
            if spans.len() < SPANS {
                spans.push(span);
            }
            return;
        }
        if self.order.len() >= REQUESTS
            && let Some(oldest) = self.order.pop_front()
        {
            self.spans.remove(&oldest);
        }
        self.order.push_back(trace);
        self.spans.insert(trace, vec![span]);
    }

    /// Those below this one. A process may serve several calls of one trace at once, as a shard does, each
    /// of which is slow or not by itself.
    fn take_below(&mut self, first: &SpanData) -> Vec<SpanData> {
        let trace = first.span_context.trace_id();
        let Some(spans) = self.spans.remove(&trace) else { return Vec::new() };
        let mut above = HashSet::from([first.span_context.span_id()]);
        // Whoever is above ends after those below, as a rule.
        let (mut below, mut others): (Vec<_>, Vec<_>) = spans.into_iter().rev().partition(|span| {
            let is_below = above.contains(&span.parent_span_id);
            if is_below {
                above.insert(span.span_context.span_id());
            }
            is_below
        });
        below.reverse();
        if !others.is_empty() {
            others.reverse();
            self.spans.insert(trace, others);
        // Requests end about in the order in which they began.
        } else if let Some(at) = self.order.iter().position(|waiting| *waiting == trace) {
            self.order.remove(at);
        }
        below
    }
}

impl<P: SpanProcessor> SpanProcessor for Kept<P> {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.inner.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() {
            return self.inner.on_end(span);
        }
        let is_first = span.parent_span_id == SpanId::INVALID || span.parent_span_is_remote;
        if !is_first {
            return self.waiting().add(span);
        }
        let below = self.waiting().take_below(&span);
        if self.is_worth_it(&span) {
            below.into_iter().chain([span]).map(sampled).for_each(|span| self.inner.on_end(span));
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

/// The span as one that is sent.
fn sampled(span: SpanData) -> SpanData {
    let context = &span.span_context;
    let span_context = SpanContext::new(
        context.trace_id(),
        context.span_id(),
        context.trace_flags() | TraceFlags::SAMPLED,
        context.is_remote(),
        context.trace_state().clone(),
    );
    SpanData { span_context, ..span }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::SystemTime;

    use opentelemetry::trace::{SpanKind, TraceState};

    use super::*;

    /// Notes the spans that would be sent.
    #[derive(Clone, Debug, Default)]
    struct Sent(Arc<Mutex<Vec<SpanData>>>);

    impl SpanProcessor for Sent {
        fn on_start(&self, _: &mut Span, _: &Context) {}

        fn on_end(&self, span: SpanData) {
            self.0.lock().expect("no panic").push(span);
        }

        fn force_flush(&self) -> OTelSdkResult {
            Ok(())
        }

        fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
            Ok(())
        }
    }

    fn span(trace: u128, id: u64, parent: u64, millis: u64) -> SpanData {
        let context = SpanContext::new(
            TraceId::from(trace),
            SpanId::from(id),
            TraceFlags::default(),
            false,
            TraceState::NONE,
        );
        let start_time = SystemTime::UNIX_EPOCH;
        SpanData {
            span_context: context,
            parent_span_id: SpanId::from(parent),
            parent_span_is_remote: false,
            span_kind: SpanKind::Internal,
            name: id.to_string().into(),
            start_time,
            end_time: start_time + Duration::from_millis(millis),
            attributes: Vec::new(),
            dropped_attributes_count: 0,
            events: Default::default(),
            links: Default::default(),
            status: Status::Unset,
            instrumentation_scope: Default::default(),
        }
    }

    fn kept() -> (Kept<Sent>, impl Fn() -> Vec<String>) {
        let sent = Sent::default();
        let kept = Kept::new(sent.clone(), Duration::from_millis(100));
        let names = move || {
            let sent = sent.0.lock().expect("no panic");
            assert!(sent.iter().all(|span| span.span_context.is_sampled()));
            sent.iter().map(|span| span.name.to_string()).collect()
        };
        (kept, names)
    }

    #[test]
    fn calls_of_one_trace_that_are_served_at_once_are_each_looked_at_by_themselves() {
        let (kept, sent) = kept();
        let first = |id, millis| SpanData { parent_span_is_remote: true, ..span(1, id, 5, millis) };
        kept.on_end(span(1, 22, 21, 5));
        kept.on_end(span(1, 11, 10, 5));
        kept.on_end(span(1, 21, 20, 5));
        kept.on_end(first(10, 50));
        assert_eq!(sent(), [""; 0], "that one was quick");
        kept.on_end(first(20, 101));
        assert_eq!(sent(), ["22", "21", "20"]);
        assert!(kept.waiting().spans.is_empty() && kept.waiting().order.is_empty());
    }

    #[test]
    fn the_slow_and_the_failed_are_sent_whole_and_others_not_at_all() {
        let (kept, sent) = kept();
        kept.on_end(span(1, 11, 10, 5));
        kept.on_end(span(2, 21, 20, 5));
        kept.on_end(span(3, 31, 30, 5));
        kept.on_end(span(1, 10, 0, 50));
        assert_eq!(sent(), [""; 0]);
        kept.on_end(span(2, 20, 0, 101));
        assert_eq!(sent(), ["21", "20"]);
        kept.on_end(SpanData { status: Status::error("no"), ..span(3, 30, 0, 1) });
        assert_eq!(sent(), ["21", "20", "31", "30"]);
        assert!(kept.waiting().spans.is_empty() && kept.waiting().order.is_empty());
    }

    #[test]
    fn a_request_of_another_process_ends_here_with_its_first_span_here() {
        let (kept, sent) = kept();
        kept.on_end(span(1, 12, 11, 5));
        kept.on_end(SpanData { parent_span_is_remote: true, ..span(1, 11, 10, 200) });
        assert_eq!(sent(), ["12", "11"]);
    }

    #[test]
    fn what_waits_is_bounded() {
        let (kept, sent) = kept();
        for id in 0..2 * SPANS as u64 {
            kept.on_end(span(1, 100 + id, 10, 1));
        }
        kept.on_end(span(1, 10, 0, 200));
        assert_eq!(sent().len(), SPANS + 1);
        for trace in 0..2 * REQUESTS as u128 {
            kept.on_end(span(1000 + trace, 1, 10, 1));
        }
        assert_eq!(kept.waiting().spans.len(), REQUESTS);
        assert_eq!(kept.waiting().order.len(), REQUESTS);
    }
}
