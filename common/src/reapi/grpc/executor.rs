//! Execute and WaitExecution, through broken streams.

use std::time::Duration;

use async_trait::async_trait;
use goma_proto::longrunning::{Operation, operation};
use goma_proto::reapi::execution_client::ExecutionClient;
use goma_proto::reapi::{ExecuteRequest, ExecuteResponse, WaitExecutionRequest, digest_function};
use goma_proto::rpc;
use prost::Message;
use tonic::Streaming;

use super::missing::missing_blobs;
use super::{Grpc, MAX_RECEIVED, timed};
use crate::backoff::Backoff;
use crate::deadline::Deadline;
use crate::digest::Digest;
use crate::error::{Code, Error, Result};
use crate::reapi::lane::Lane;
use crate::reapi::{Executed, Executor};

/// Streams that may break, one after the other, before the action is given up. A stream that told
/// us something in between starts the count anew.
const MAX_BREAKS: u32 = 8;

#[async_trait]
impl Executor for Grpc {
    async fn execute(
        &self,
        action: Digest,
        skip_cache_lookup: bool,
        deadline: Deadline,
    ) -> Result<Executed> {
        let run = Run {
            grpc: self,
            request: ExecuteRequest {
                instance_name: self.instance.clone(),
                skip_cache_lookup,
                action_digest: Some(action.into()),
                digest_function: digest_function::Value::Sha256.into(),
                inline_stdout: true,
                inline_stderr: true,
                ..Default::default()
            },
            deadline,
        };
        let done = deadline.bound("Execute", run.to_end()).await;
        let operation = done.map_err(|error| error.context("backend: Execute"))?;
        executed(operation).map_err(|error| error.context("backend: Execute"))
    }
}

/// One action on its way.
struct Run<'a> {
    grpc: &'a Grpc,
    request: ExecuteRequest,
    deadline: Deadline,
}

impl Run<'_> {
    async fn to_end(&self) -> Result<Operation> {
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2));
        let mut name = String::new();
        let mut breaks = 0;
        loop {
            let error = match self.stream(&name).await {
                Ok(stream) => match follow(stream, &mut name, &mut breaks).await {
                    Ok(Some(operation)) => return Ok(operation),
                    Ok(None) => Error::new(Code::Unavailable, "stream ended before the action did"),
                    Err(error) => error,
                },
                Err(error) => error,
            };
            let forgotten =
                !name.is_empty() && matches!(error.code, Code::NotFound | Code::Unimplemented);
            if forgotten {
                // The backend restarted or cannot wait: the same action again, which joins the run
                // under way or finds its result.
                name.clear();
            } else if !error.code.is_transient() {
                return Err(error);
            }
            breaks += 1;
            if breaks > MAX_BREAKS {
                return Err(error);
            }
            tracing::debug!(%error, breaks, "execution stream broke, opening another");
            tokio::time::sleep(backoff.delay()).await;
        }
    }

    async fn stream(&self, name: &str) -> Result<Streaming<Operation>> {
        let mut client = client(self.grpc.executions.clone());
        let response = if name.is_empty() {
            client.execute(timed(self.request.clone(), self.deadline)).await?
        } else {
            let request = WaitExecutionRequest { name: name.to_owned() };
            client.wait_execution(timed(request, self.deadline)).await?
        };
        Ok(response.into_inner())
    }
}

fn client(lane: Lane) -> ExecutionClient<Lane> {
    ExecutionClient::new(lane).max_decoding_message_size(MAX_RECEIVED)
}

/// Reads operations until one is done; `None` when the stream ended without.
async fn follow(
    mut stream: Streaming<Operation>,
    name: &mut String,
    breaks: &mut u32,
) -> Result<Option<Operation>> {
    while let Some(operation) = stream.message().await? {
        if operation.done {
            return Ok(Some(operation));
        }
        name.clone_from(&operation.name);
        *breaks = 0;
    }
    Ok(None)
}

fn executed(operation: Operation) -> Result<Executed> {
    let response = match operation.result {
        Some(operation::Result::Response(any)) => ExecuteResponse::decode(any.value.as_ref())
            .map_err(|error| Error::new(Code::Internal, format!("answer: {error}")))?,
        Some(operation::Result::Error(status)) => return Err(from_status(&status, "")),
        None => return Err(Error::new(Code::Internal, "operation done without a result")),
    };
    if let Some(status) = response.status.as_ref().filter(|status| status.code != 0) {
        return Err(from_status(status, &response.message));
    }
    let result = response
        .result
        .ok_or_else(|| Error::new(Code::Internal, "operation done without an action result"))?;
    Ok(Executed { result, cached: response.cached_result })
}

fn from_status(status: &rpc::Status, message: &str) -> Error {
    let missing = missing_blobs(status);
    let code = match tonic::Code::from(status.code) {
        _ if !missing.is_empty() => Code::MissingBlobs,
        // A missing Action is told as NOT_FOUND by some, a missing input as FAILED_PRECONDITION.
        tonic::Code::NotFound => Code::MissingBlobs,
        code => code.into(),
    };
    let text = match message {
        "" => status.message.clone(),
        message => format!("{}: {message}", status.message),
    };
    Error { missing, ..Error::new(code, text) }
}
