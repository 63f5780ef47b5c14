//! How a process is seen from outside: [`logs`] for people and machines, [`traces`] of requests and
//! [`metrics`], with the flags of [`args`]. [`trace_context`] carries a trace from process to
//! process, [`ServedCalls`] has gRPC calls that are served in it.

mod args;
mod exemplars;
mod kept;
mod logs;
pub mod metrics;
mod open_metrics;
mod otlp;
mod otlp_http;
mod process;
mod served;
pub mod trace_context;
mod traces;

use std::sync::{LazyLock, OnceLock};
use std::time::Duration;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

pub use args::{LogFormat, TelemetryArgs};
pub use served::{Served, ServedCalls};

/// What was not sent by then is given up when the process ends.
const FLUSH: Duration = Duration::from_secs(5);

/// The release, and the commit that it was built from where whoever built it said that in `GOMA_COMMIT`.
#[must_use]
pub fn version() -> &'static str {
    static VERSION: LazyLock<String> =
        LazyLock::new(|| of_commit(env!("CARGO_PKG_VERSION"), option_env!("GOMA_COMMIT")));
    &VERSION
}

fn of_commit(release: &str, commit: Option<&str>) -> String {
    match commit {
        Some(commit) if !commit.is_empty() => format!("{release} ({commit})"),
        _ => release.to_owned(),
    }
}

static LOGS: OnceLock<logs::Filter> = OnceLock::new();

/// What a process sends; to be ended with it.
pub struct Telemetry {
    traces: Option<SdkTracerProvider>,
    metrics: SdkMeterProvider,
}

impl Telemetry {
    /// Begins to tell of the process, a service of this name unless `OTEL_SERVICE_NAME` says another. To
    /// be called once, on a runtime.
    ///
    /// # Errors
    /// Naming the flag or variable that cannot be read, or when it was called before.
    pub fn start(service: &'static str, args: &TelemetryArgs) -> Result<Self, String> {
        let otlp = otlp::Settings::of(|name| std::env::var(name).ok())?;
        let resource = resource(service);
        let metrics = metrics::start(resource.clone(), otlp.metrics.as_ref())?;
        let traces = match &otlp.traces {
            Some(exporter) => Some(traces::start(resource, exporter, args.trace_slow)?),
            None => None,
        };
        let (layer, filter) = logs::layer(args)?;
        let spans = traces.as_ref().map(traces::layer);
        let logged = tracing_subscriber::registry().with(layer).with(spans).try_init();
        logged.map_err(|error| error.to_string())?;
        let _ = LOGS.set(filter);
        Ok(Self { traces, metrics })
    }

    /// Sends what is left, for so long as that may take. Blocks.
    pub fn end(self) {
        if let Some(Err(error)) =
            self.traces.as_ref().map(|traces| traces.shutdown_with_timeout(FLUSH))
        {
            tracing::warn!(%error, "the last traces were not sent");
        }
        if let Err(error) = self.metrics.shutdown_with_timeout(FLUSH) {
            tracing::debug!(%error, "the last metrics were not sent");
        }
    }
}

/// What is logged now, in the syntax of `RUST_LOG`.
#[must_use]
pub fn log_filter() -> String {
    LOGS.get().map_or_else(String::new, logs::Filter::told)
}

/// Logs by another filter from now on.
///
/// # Errors
/// When it cannot be read; nothing changes then.
pub fn set_log_filter(filter: &str) -> Result<(), String> {
    match LOGS.get() {
        Some(logs) => logs.set(filter),
        None => Err("this process does not log".to_owned()),
    }
}

/// The name of this machine, as it calls itself.
#[must_use]
pub fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Who tells, by the conventions for resources; the environment may say more.
fn resource(service: &'static str) -> Resource {
    let said = std::env::var("OTEL_SERVICE_NAME").ok().filter(|name| !name.is_empty());
    let instance = format!("{}:{}", host(), std::process::id());
    let mut builder = Resource::builder()
        .with_attribute(opentelemetry::KeyValue::new("service.instance.id", instance))
        .with_attribute(opentelemetry::KeyValue::new("service.version", version()));
    builder = builder.with_service_name(said.unwrap_or_else(|| service.to_owned()));
    builder.build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_names_the_commit_where_that_is_known() {
        assert_eq!(of_commit("1.2.3", Some("0123456789ab")), "1.2.3 (0123456789ab)");
        assert_eq!(of_commit("1.2.3", Some("")), "1.2.3");
        assert_eq!(of_commit("1.2.3", None), "1.2.3");
    }
}
