//! Metrics of a process: instruments by OpenTelemetry, read by Prometheus and sent by OTLP.

use std::sync::{LazyLock, OnceLock};
use std::time::SystemTime;

use opentelemetry::metrics::{Counter, Histogram, Meter};
use opentelemetry::{KeyValue, global};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use prometheus::{Encoder, Registry, TextEncoder};

use super::exemplars::{Exemplar, Exemplars};
use super::open_metrics;
use super::otlp::Exporter;

/// Bounds of histograms of time, in seconds: three each power of ten, from a tenth of a millisecond to the
/// ten minutes that a client waits.
pub(super) const SECONDS: [f64; 21] = [
    0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0,
    10.0, 20.0, 50.0, 100.0, 200.0, 600.0,
];
/// Bounds of histograms of how many there are of something.
const COUNTS: [f64; 12] =
    [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0];

static REGISTRY: OnceLock<Registry> = OnceLock::new();
static EXEMPLARS: LazyLock<Exemplars> = LazyLock::new(Exemplars::default);

/// Has instruments count from now on.
pub(super) fn start(
    resource: Resource,
    otlp: Option<&Exporter>,
) -> Result<SdkMeterProvider, String> {
    let registry = Registry::new();
    let reader = opentelemetry_prometheus::exporter()
        .with_registry(registry.clone())
        .scope_info_enabled(false)
        .build();
    let reader = reader.map_err(|error| error.to_string())?;
    let mut provider = SdkMeterProvider::builder().with_resource(resource).with_reader(reader);
    if let Some(otlp) = otlp {
        // How often is OTEL_METRIC_EXPORT_INTERVAL, which the reader knows.
        provider = provider.with_reader(PeriodicReader::builder(otlp.metrics()?).build());
    }
    let provider = provider.build();
    global::set_meter_provider(provider.clone());
    let _ = REGISTRY.set(registry);
    super::process::start();
    let build = gauge("goma_build_info", "Which program this is; always 1");
    build.record(1, &[KeyValue::new("version", super::version())]);
    Ok(provider)
}

/// All metrics in the text format of Prometheus; nothing where they were not started.
///
/// # Errors
/// When some cannot be written down.
pub fn text() -> Result<String, String> {
    let Some(registry) = REGISTRY.get() else { return Ok(String::new()) };
    let mut text = Vec::new();
    let encoded = TextEncoder::new().encode(&registry.gather(), &mut text);
    encoded.map_err(|error| error.to_string())?;
    String::from_utf8(text).map_err(|error| error.to_string())
}

/// All metrics in the text format of OpenMetrics, which has exemplars; nothing but its end where they
/// were not started.
#[must_use]
pub fn open_metrics() -> String {
    let families = REGISTRY.get().map(Registry::gather).unwrap_or_default();
    open_metrics::encode(&families, &EXEMPLARS)
}

/// A trace that is sent stands for others that took as long. `name` and labels are those of the
/// histogram as Prometheus has them; there may be few different ones.
pub fn exemplar(name: &str, labels: &[(&str, &str)], seconds: f64, trace: &str) {
    let exemplar = Exemplar { trace: trace.to_owned(), seconds, when: SystemTime::now() };
    EXEMPLARS.note(name, labels, exemplar);
}

/// What makes instruments. To be asked when the process has been started: what is made before counts
/// nothing.
#[must_use]
pub fn meter() -> Meter {
    global::meter("goma")
}

/// Counts how often something happens; Prometheus adds `_total` to the name.
#[must_use]
pub fn counter(name: &'static str, told: &'static str) -> Counter<u64> {
    meter().u64_counter(name).with_description(told).build()
}

/// Counts bytes; Prometheus adds `_bytes_total` to the name.
#[must_use]
pub fn bytes(name: &'static str, told: &'static str) -> Counter<u64> {
    meter().u64_counter(name).with_description(told).with_unit("By").build()
}

/// How long something takes, in seconds; Prometheus adds `_seconds` to the name.
#[must_use]
pub fn seconds(name: &'static str, told: &'static str) -> Histogram<f64> {
    let meter = meter();
    let histogram = meter.f64_histogram(name).with_description(told).with_unit("s");
    histogram.with_boundaries(SECONDS.to_vec()).build()
}

/// How many there are of something at a time.
#[must_use]
pub fn sizes(name: &'static str, told: &'static str) -> Histogram<u64> {
    let meter = meter();
    let histogram = meter.u64_histogram(name).with_description(told);
    histogram.with_boundaries(COUNTS.to_vec()).build()
}

/// What is so now.
#[must_use]
pub fn gauge(name: &'static str, told: &'static str) -> opentelemetry::metrics::Gauge<u64> {
    meter().u64_gauge(name).with_description(told).build()
}
