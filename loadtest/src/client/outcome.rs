//! What came of a compile.

use std::time::Duration;

use goma_common::Digest;

/// An output that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenFile {
    /// As the server named it: relative to the compile's directory, or absolute.
    pub name: String,
    /// Of its contents.
    pub digest: Digest,
    /// Whether it came through `/l` and not within the answer.
    pub looked_up: bool,
}

/// The end of one compile, good or bad.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The compiler's, or -1 where there was none.
    pub exit_status: i32,
    /// What the compiler printed.
    pub stdout: Vec<u8>,
    /// What the compiler complained about.
    pub stderr: Vec<u8>,
    /// 0 none, 1 memory, 2 storage, 3 local output.
    pub cache_hit: i32,
    /// Execs sent.
    pub attempts: u32,
    /// Input files of the compile.
    pub inputs: usize,
    /// Names in all `missing_input` lists together.
    pub missing_total: usize,
    /// Inputs whose contents were within an Exec, all attempts together.
    pub embedded_total: usize,
    /// Bytes written, heads included.
    pub bytes_sent: u64,
    /// Bytes read, heads included.
    pub bytes_received: u64,
    /// Finding the inputs.
    pub scan_time: Duration,
    /// From the inputs being known to the outputs being written.
    pub latency: Duration,
    /// Files written.
    pub outputs: Vec<WrittenFile>,
    /// Error messages of the server's answers, in order.
    pub error_messages: Vec<String>,
    /// Calls that failed, in order, also those that were retried.
    pub http_failures: Vec<String>,
    /// Why there is no result, where there is none. A compiler that found an error is a result.
    pub failure: Option<String>,
    /// The command is one that Goma clients run locally; nothing was sent.
    pub not_remote: bool,
}

impl Outcome {
    /// Whether the compiler ran, was content, and all its outputs are there.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.failure.is_none() && self.exit_status == 0
    }

    /// What the command should exit with.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self.exit_status {
            0 if self.failure.is_some() => 1,
            status => u8::try_from(status).unwrap_or(1),
        }
    }

    pub(crate) fn failed(failure: String) -> Self {
        Self { exit_status: -1, failure: Some(failure), ..Self::default() }
    }
}
