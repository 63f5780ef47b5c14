//! The flags of what a process tells of itself. Where to, is said by the standard `OTEL_*` variables.

use std::time::Duration;

use clap::{Args, ValueEnum};
use humantime::parse_duration;

/// Logs and traces, of every program alike.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Telemetry")]
pub struct TelemetryArgs {
    /// What is logged, in the syntax of RUST_LOG; may be changed later at /log of the admin port
    #[arg(long, env = "RUST_LOG", default_value = "info", global = true, value_name = "FILTER")]
    pub log: String,
    /// How it is logged
    #[arg(long, env = "GOMA_LOG_FORMAT", value_enum, default_value_t, global = true)]
    pub log_format: LogFormat,
    /// Requests that take longer, and those that fail, are kept as traces whatever the sampler says. Traces
    /// are sent where OTEL_EXPORTER_OTLP_ENDPOINT says; OTEL_TRACES_SAMPLER and its _ARG say how many
    #[arg(long, env = "GOMA_TRACE_SLOW", default_value = "2s", value_parser = parse_duration, global = true, value_name = "TIME")]
    pub trace_slow: Duration,
}

/// For whom logs are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people: a line each, coloured on a terminal
    #[default]
    Text,
    /// For machines: one JSON object a line
    Json,
}
