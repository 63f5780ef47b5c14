//! Answers, and what is told of them to whoever sends them; ends of compiles as ExecResps, and as one line of the log.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use goma_common::Digest;
use goma_common::digest::Hasher;
use goma_common::reapi::Invocation;
use goma_proto::api::{CommandSpec, ExecResp, ExecResult, ExecutionStats, exec_resp, exec_result};
use goma_proto::protobuf::Timestamp;
use prost::Message;

use crate::file_blob;
use crate::outcome::{Contents, Outcome};
use crate::posted::Posted;
use crate::refusal::Refusal;
use crate::room::Taken;
use crate::trail::{End, Told, note};

/// The number of the last attempt of a stock client, which begins with 0.
const LAST_RETRY: i32 = 4;

/// A message for the client.
pub(crate) struct Answer<M> {
    pub(crate) message: M,
    /// More fields of the message, encoded: what this client alone is told.
    pub(crate) own: Bytes,
    /// Kept until it is written.
    pub(crate) room: Option<Taken>,
    /// A digest over the parts of the message, the same for no other message, where one is known.
    pub(crate) parts: Option<Digest>,
}

impl<M> From<M> for Answer<M> {
    fn from(message: M) -> Self {
        Self { message, own: Bytes::new(), room: None, parts: None }
    }
}

/// What the log and the answer tell of a request.
pub(crate) struct Described {
    compiler: String,
    output: String,
    inputs: usize,
    embedded: usize,
    retry: i32,
    proxy: String,
    build: String,
    spec: Option<CommandSpec>,
}

impl Described {
    pub(crate) fn of(posted: &Posted) -> Self {
        let Posted { request, inputs } = posted;
        let requester = request.requester_info.clone().unwrap_or_default();
        let spec = request.command_spec.clone();
        Self {
            compiler: spec.as_ref().and_then(|spec| spec.name.clone()).unwrap_or_default(),
            output: request.expected_output_files.first().cloned().unwrap_or_default(),
            inputs: inputs.len(),
            embedded: inputs.iter().filter(|input| input.content.is_some()).count(),
            retry: requester.retry.unwrap_or(0),
            proxy: requester.compiler_proxy_id.unwrap_or_default(),
            build: requester.build_id.unwrap_or_default(),
            spec,
        }
    }

    /// What the backend is told of the calls that are made for it.
    pub(crate) fn invocation(&self) -> Arc<Invocation> {
        Arc::new(Invocation {
            build: self.build.clone(),
            client: self.proxy.clone(),
            target: self.output.clone(),
            ..Invocation::default()
        })
    }

    /// The answer to a request that is refused before anything was done for it; logged.
    pub(crate) fn refused(&self, why: String) -> ExecResp {
        let ended = Err(Refusal::Impossible(why.clone()));
        self.log(&ended, Duration::ZERO);
        note(|told| self.note(&ended, told));
        bad_request(why, self)
    }

    /// Notes how a compile ended.
    pub(crate) fn note(&self, ended: &Result<Outcome, Refusal>, told: &mut Told) {
        told.compiler.clone_from(&self.compiler);
        told.output.clone_from(&self.output);
        told.client.clone_from(&self.proxy);
        told.build.clone_from(&self.build);
        (told.inputs, told.embedded, told.retry) = (self.inputs, self.embedded, self.retry);
        told.end = match ended {
            Ok(outcome) => {
                told.worker.queued = between(outcome.queued, outcome.started);
                told.worker.ran = between(outcome.started, outcome.completed);
                match outcome.cached {
                    true => End::Hit { exit: outcome.exit_status },
                    false => End::Ran { exit: outcome.exit_status },
                }
            }
            Err(Refusal::Missing(names) | Refusal::Lost(names)) => End::Missing(names.len()),
            Err(Refusal::Impossible(why)) => End::Refused(why.clone()),
            Err(Refusal::Failed(error)) => End::Failed(error.to_string()),
        };
    }

    /// One line a person can read.
    pub(crate) fn log(&self, ended: &Result<Outcome, Refusal>, took: Duration) {
        let retry = self.retry;
        let end = match ended {
            Ok(outcome) if outcome.cached => format!("hit, exit {}", outcome.exit_status),
            Ok(outcome) => format!("ran, exit {}", outcome.exit_status),
            Err(Refusal::Missing(names)) => needs_new(names.len(), retry),
            Err(Refusal::Lost(names)) => needs_again(names.len(), retry),
            Err(Refusal::Impossible(why)) => format!("refused: {why}"),
            Err(Refusal::Failed(error)) => format!("failed: {error}"),
        };
        let (ms, inputs, embedded) = (took.as_millis(), self.inputs, self.embedded);
        // Both are the client's words: nothing in them may end a line.
        let (compiler, output) = (self.compiler.escape_debug(), self.output.escape_debug());
        let line = format!("{compiler} {output}: {end}");
        let (client, build) = (&self.proxy, &self.build);
        match ended {
            Err(Refusal::Failed(_)) => {
                tracing::error!(ms, inputs, embedded, retry, client, build, "{line}");
            }
            Err(Refusal::Impossible(_)) => {
                tracing::warn!(ms, inputs, embedded, retry, client, build, "{line}");
            }
            Ok(outcome) => {
                let paths = outcome.paths;
                tracing::info!(ms, inputs, embedded, retry, client, build, paths, "{line}");
            }
            Err(Refusal::Missing(_) | Refusal::Lost(_)) if retry >= LAST_RETRY => {
                tracing::warn!(ms, inputs, embedded, retry, client, build, "{line}");
            }
            Err(Refusal::Missing(_) | Refusal::Lost(_)) => {
                tracing::info!(ms, inputs, embedded, retry, client, build, "{line}");
            }
        }
    }
}

/// Of a compile that wants so many inputs that nobody here has seen.
fn needs_new(count: usize, retry: i32) -> String {
    match retry >= LAST_RETRY {
        false => format!("needs {count} inputs"),
        true => format!(
            "needs {count} inputs, and its client gives it up: more was new than a compile can send; \
             `goma-loadtest preload` puts a tree in place beforehand"
        ),
    }
}

/// Of a compile that wants so many inputs whose keys are known, and whose blobs the backend had.
fn needs_again(count: usize, retry: i32) -> String {
    match retry >= LAST_RETRY {
        false => format!("needs {count} inputs again, which the backend has lost"),
        true => format!(
            "needs {count} inputs again, and its client gives it up: the backend loses what it was \
             given; see the size of its CAS, what it evicts, and goma_shard_false_positives_total"
        ),
    }
}

/// A compile that ended, well or with the compiler's own errors.
pub(crate) fn done(outcome: Outcome, what: &Described) -> Answer<ExecResp> {
    let source = match outcome.cached {
        true => exec_resp::CacheSource::StorageCache,
        false => exec_resp::CacheSource::NoCache,
    };
    let mut result = ExecResult {
        exit_status: Some(outcome.exit_status),
        stdout_buffer: Some(outcome.stdout),
        stderr_buffer: Some(outcome.stderr),
        // Another one than its own would disable the compiler at the client.
        command_spec: what.spec.clone(),
        ..Default::default()
    };
    let mut message = ExecResp {
        cache_hit: Some(source.into()),
        cache_key: Some(outcome.action.to_string()),
        execution_stats: Some(ExecutionStats {
            execution_start_timestamp: outcome.started.map(timestamp),
            execution_completed_timestamp: outcome.completed.map(timestamp),
        }),
        ..Default::default()
    };
    // Of all but the contents, and of the contents' digests: those were hashed before, here or at another time.
    let mut parts = Hasher::default();
    parts.update(&message.encode_length_delimited_to_vec());
    parts.update(&result.encode_length_delimited_to_vec());
    for output in outcome.outputs {
        let (mut blob, digest) = match output.contents {
            Contents::Inline { digest, contents } => (file_blob::file(contents), Some(digest)),
            Contents::Kept { size, key } => (file_blob::reference(size, key), None),
            Contents::Pieces { size, chunks } => (file_blob::manifest(size, &chunks), None),
        };
        let content = blob.content.take();
        let mut told = exec_result::Output {
            filename: Some(output.name),
            blob: Some(blob),
            is_executable: Some(output.executable),
        };
        parts.update(&told.encode_length_delimited_to_vec());
        // The kind of the blob, which is in there, says whether this follows.
        digest.iter().for_each(|digest| parts.update(&digest.hash));
        told.blob.iter_mut().for_each(|blob| blob.content.clone_from(&content));
        result.output.push(told);
    }
    message.result = Some(result);
    let own = told(what).encode_to_vec().into();
    Answer { message, own, room: Some(outcome.room), parts: Some(parts.finish()) }
}

/// A compile whose inputs are wanted first.
pub(crate) fn missing(names: Vec<String>, what: &Described) -> ExecResp {
    ExecResp { result: Some(not_run()), missing_input: names, ..told(what) }
}

/// A compile that cannot be done here. The client does not try again and compiles by itself.
pub(crate) fn bad_request(why: String, what: &Described) -> ExecResp {
    ExecResp {
        result: Some(not_run()),
        error: Some(exec_resp::ExecError::BadRequest.into()),
        error_message: vec![why],
        ..told(what)
    }
}

fn told(what: &Described) -> ExecResp {
    let proxy = Some(what.proxy.clone()).filter(|proxy| !proxy.is_empty());
    ExecResp { requester_compiler_proxy_id: proxy, ..Default::default() }
}

/// With exit status 0 the client would take a message for success.
fn not_run() -> ExecResult {
    ExecResult { exit_status: Some(-1), ..Default::default() }
}

/// From one moment to a later one, as far as both are known.
fn between(from: Option<Timestamp>, to: Option<Timestamp>) -> Option<Duration> {
    let moment = |time: Timestamp| {
        let seconds = u64::try_from(time.seconds).ok()?;
        Some(Duration::new(seconds, u32::try_from(time.nanos).ok()?.min(999_999_999)))
    };
    moment(to?)?.checked_sub(moment(from?)?)
}

fn timestamp(time: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: time.seconds, nanos: time.nanos }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_knew_and_what_the_backend_lost_are_told_apart() {
        assert_eq!(needs_new(2, 0), "needs 2 inputs");
        assert!(needs_new(2, LAST_RETRY).contains("preload"));
        assert_eq!(needs_again(2, 0), "needs 2 inputs again, which the backend has lost");
        let given_up = needs_again(2, LAST_RETRY);
        assert!(given_up.starts_with("needs 2 inputs again, and its client gives it up"));
        assert!(given_up.contains("evicts") && !given_up.contains("preload"), "{given_up}");
    }
}
