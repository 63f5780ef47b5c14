//! The parts of an ActionResult that come from the process itself: its streams and its times.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use goma_common::Result;
use goma_proto::protobuf::Timestamp;
use goma_proto::reapi::{self, ActionResult, ExecutedActionMetadata};

use super::collect;
use super::process::Outcome;
use super::store::Store;

/// Streams up to this size are in the result itself; longer ones are blobs.
const MAX_RAW: usize = 64 << 10;

/// When what happened to an action.
pub(super) struct Times(ExecutedActionMetadata);

impl Times {
    /// An action comes in.
    pub(super) fn queued() -> Self {
        Self(ExecutedActionMetadata {
            worker: "embedded".to_owned(),
            queued_timestamp: now(),
            ..Default::default()
        })
    }

    /// It is its turn; its inputs come first.
    pub(super) fn worker_start(&mut self) {
        self.0.worker_start_timestamp = now();
        self.0.input_fetch_start_timestamp = now();
    }

    /// The inputs are there.
    pub(super) fn execution_start(&mut self) {
        self.0.input_fetch_completed_timestamp = now();
        self.0.execution_start_timestamp = now();
    }

    /// The command has ended; its outputs come next.
    pub(super) fn execution_end(&mut self) {
        self.0.execution_completed_timestamp = now();
        self.0.output_upload_start_timestamp = now();
    }

    /// The outputs are stored.
    pub(super) fn finish(mut self) -> ExecutedActionMetadata {
        self.0.output_upload_completed_timestamp = now();
        self.0.worker_completed_timestamp = now();
        self.0
    }
}

/// A result with the exit code and the streams of a process.
pub(super) fn of_streams(store: &Arc<Store>, outcome: Outcome) -> Result<ActionResult> {
    let (stdout_raw, stdout_digest) = stream(store, outcome.stdout)?;
    let (stderr_raw, stderr_digest) = stream(store, outcome.stderr)?;
    let exit_code = outcome.exit_code;
    let streams = ActionResult { stdout_raw, stdout_digest, ..Default::default() };
    Ok(ActionResult { exit_code, stderr_raw, stderr_digest, ..streams })
}

fn stream(store: &Arc<Store>, bytes: Vec<u8>) -> Result<(Vec<u8>, Option<reapi::Digest>)> {
    if bytes.len() <= MAX_RAW {
        return Ok((bytes, None));
    }
    Ok((Vec::new(), Some(collect::put(store, &bytes)?.into())))
}

fn now() -> Option<Timestamp> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    let nanos = since.subsec_nanos().cast_signed();
    Some(Timestamp { seconds: since.as_secs().cast_signed(), nanos })
}
