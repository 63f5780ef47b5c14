//! One compile as JSON.

use serde::Serialize;

use crate::client::Outcome;

/// What came of a compile, for programs to read.
#[derive(Clone, Debug, Serialize)]
pub struct CompileReport {
    /// The compiler's exit status, or -1 where there was none.
    pub exit_status: i32,
    /// Whether the compiler ran, was content, and all its outputs are there.
    pub success: bool,
    /// Whether the server had the result already.
    pub cache_hit: bool,
    /// 0 none, 1 memory, 2 storage, 3 local output.
    pub cache_source: i32,
    /// Execs sent.
    pub attempts: u32,
    /// Input files.
    pub inputs: usize,
    /// Names in all `missing_input` lists together.
    pub missing_total: usize,
    /// Inputs sent with contents, all attempts together.
    pub embedded_total: usize,
    /// Bytes written on the wire.
    pub bytes_sent: u64,
    /// Bytes read from the wire.
    pub bytes_received: u64,
    /// From the inputs being known to the outputs being written.
    pub latency_ms: f64,
    /// Finding the inputs.
    pub scan_ms: f64,
    /// Files written.
    pub outputs: Vec<OutputReport>,
    /// Why there is no result, or what the server said beside it.
    pub error_message: Option<String>,
    /// Calls that failed, also those that were retried.
    pub http_failures: Vec<String>,
    /// The command is none that is sent to servers.
    pub not_remote: bool,
}

/// One file that was written.
#[derive(Clone, Debug, Serialize)]
pub struct OutputReport {
    /// As named by the server.
    pub name: String,
    /// In bytes.
    pub size: u64,
    /// Of its contents, in hex.
    pub sha256: String,
    /// Whether it came through `/l`.
    pub looked_up: bool,
}

impl From<&Outcome> for CompileReport {
    fn from(outcome: &Outcome) -> Self {
        let said =
            || (!outcome.error_messages.is_empty()).then(|| outcome.error_messages.join("; "));
        let outputs = outcome.outputs.iter().map(|file| OutputReport {
            name: file.name.clone(),
            size: file.digest.size,
            sha256: file.digest.hex(),
            looked_up: file.looked_up,
        });
        Self {
            exit_status: outcome.exit_status,
            success: outcome.is_success(),
            cache_hit: outcome.cache_hit != 0,
            cache_source: outcome.cache_hit,
            attempts: outcome.attempts,
            inputs: outcome.inputs,
            missing_total: outcome.missing_total,
            embedded_total: outcome.embedded_total,
            bytes_sent: outcome.bytes_sent,
            bytes_received: outcome.bytes_received,
            latency_ms: millis(outcome.latency),
            scan_ms: millis(outcome.scan_time),
            outputs: outputs.collect(),
            error_message: outcome.failure.clone().or_else(said),
            http_failures: outcome.http_failures.clone(),
            not_remote: outcome.not_remote,
        }
    }
}

/// Milliseconds with three decimals.
pub(crate) fn millis(duration: std::time::Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
