//! Spans of the code as traces, sent by OTLP.
//!
//! Each span of ours becomes one of the trace, and each line that is logged within it an event of that.
//! The sampler says at the beginning which traces are sent; [`super::kept`] adds at the end those
//! of requests that were slow or failed.

use std::time::Duration;

use opentelemetry::Context;
use opentelemetry::trace::{Link, SpanKind, TraceContextExt, TraceId, TraceState, TracerProvider};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchSpanProcessor, Sampler, SamplingDecision, SamplingResult, SdkTracerProvider, ShouldSample,
};
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::Layer;
use tracing_subscriber::registry::LookupSpan;

use super::kept::Kept;
use super::otlp::Exporter;
use super::trace_context;

/// Prepares to send the traces of this process. To be called on a runtime.
///
/// # Errors
/// Naming the variable that cannot be understood.
pub(super) fn start(
    resource: Resource,
    exporter: &Exporter,
    slow: Duration,
) -> Result<SdkTracerProvider, String> {
    let sampler = head(
        std::env::var("OTEL_TRACES_SAMPLER").ok().as_deref(),
        std::env::var("OTEL_TRACES_SAMPLER_ARG").ok().as_deref(),
    )?;
    let sent = BatchSpanProcessor::builder(exporter.spans()?).build();
    trace_context::enable(slow);
    Ok(SdkTracerProvider::builder()
        .with_resource(resource)
        .with_sampler(AllRecorded(sampler))
        .with_span_processor(Kept::new(sent, slow))
        .build())
}

/// Gives our own spans to `provider`, those of crates that we use left out.
pub(super) fn layer<S>(provider: &SdkTracerProvider) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
{
    let scope = InstrumentationScope::builder("goma").with_version(super::version()).build();
    let spans = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer_with_scope(scope))
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_target(false);
    // Spans that logs do not need are a level below those that say where a line belongs.
    let ours = |metadata: &Metadata<'_>| {
        let least = if metadata.is_span() { Level::DEBUG } else { Level::INFO };
        *metadata.level() <= least && metadata.target().starts_with("goma")
    };
    spans.with_filter(filter_fn(ours)).boxed()
}

/// The sampler that the standard variables name.
fn head(name: Option<&str>, argument: Option<&str>) -> Result<Sampler, String> {
    let ratio = || match argument.filter(|argument| !argument.is_empty()) {
        None => Ok(1.0),
        Some(argument) => match argument.parse::<f64>() {
            Ok(ratio) if (0.0..=1.0).contains(&ratio) => Ok(ratio),
            _ => Err(format!("OTEL_TRACES_SAMPLER_ARG={argument}: give a share from 0 to 1")),
        },
    };
    let by_parent = |root| Sampler::ParentBased(Box::new(root));
    Ok(match name.filter(|name| !name.is_empty()) {
        None | Some("parentbased_always_on") => by_parent(Sampler::AlwaysOn),
        Some("always_on") => Sampler::AlwaysOn,
        Some("always_off") => Sampler::AlwaysOff,
        Some("parentbased_always_off") => by_parent(Sampler::AlwaysOff),
        Some("traceidratio") => Sampler::TraceIdRatioBased(ratio()?),
        Some("parentbased_traceidratio") => by_parent(Sampler::TraceIdRatioBased(ratio()?)),
        Some(other) => {
            return Err(format!(
                "OTEL_TRACES_SAMPLER={other}: known are always_on, always_off and traceidratio, each \
                 also with parentbased_ before it"
            ));
        }
    })
}

/// A sampler that has all spans recorded, since whether a request is slow or fails is known at its end.
/// Below a span of this process what was said of that holds.
#[derive(Clone, Debug)]
struct AllRecorded(Sampler);

impl ShouldSample for AllRecorded {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let local = parent.filter(|parent| parent.has_active_span()).and_then(|parent| {
            let parent = parent.span().span_context().clone();
            (parent.is_valid() && !parent.is_remote()).then_some(parent)
        });
        if let Some(parent) = local {
            let decision = match parent.is_sampled() {
                true => SamplingDecision::RecordAndSample,
                false => SamplingDecision::RecordOnly,
            };
            let trace_state = parent.trace_state().clone();
            return SamplingResult { decision, attributes: Vec::new(), trace_state };
        }
        let said = self.0.should_sample(parent, trace, name, kind, attributes, links);
        match said.decision {
            SamplingDecision::RecordAndSample => said,
            _ => SamplingResult {
                decision: SamplingDecision::RecordOnly,
                attributes: Vec::new(),
                trace_state: TraceState::NONE,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{SpanContext, SpanId, TraceFlags};

    use super::*;

    #[test]
    fn the_standard_variables_choose_the_sampler() {
        let shown = |name, argument| format!("{:?}", head(name, argument).expect("known"));
        assert!(shown(None, None).starts_with("ParentBased(AlwaysOn"));
        assert!(shown(Some("always_off"), None).starts_with("AlwaysOff"));
        let ratio = shown(Some("parentbased_traceidratio"), Some("0.01"));
        assert!(ratio.contains("TraceIdRatioBased(0.01)"), "{ratio}");
        assert!(head(Some("traceidratio"), Some("2")).expect_err("too many").contains("_ARG=2"));
        assert!(head(Some("jaeger_remote"), None).expect_err("unknown").contains("jaeger_remote"));
    }

    #[test]
    fn what_is_not_sampled_is_recorded_and_so_is_all_below_it() {
        let sampler = AllRecorded(head(Some("always_off"), None).expect("known"));
        let decide = |parent: Option<&Context>| {
            let trace = TraceId::from(7);
            sampler.should_sample(parent, trace, "exec", &SpanKind::Server, &[], &[]).decision
        };
        assert_eq!(decide(None), SamplingDecision::RecordOnly);
        for (flags, decision) in [
            (TraceFlags::SAMPLED, SamplingDecision::RecordAndSample),
            (TraceFlags::default(), SamplingDecision::RecordOnly),
        ] {
            let local = |remote| {
                let (trace, span) = (TraceId::from(7), SpanId::from(8));
                let context = SpanContext::new(trace, span, flags, remote, TraceState::NONE);
                Context::new().with_remote_span_context(context)
            };
            assert_eq!(decide(Some(&local(false))), decision);
            // Somebody else's word counts only where the sampler goes by the parent.
            assert_eq!(decide(Some(&local(true))), SamplingDecision::RecordOnly);
        }
    }
}
