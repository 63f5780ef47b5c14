//! Execute and WaitExecution, through broken streams.

use std::time::Duration;

use async_trait::async_trait;
use goma_proto::longrunning::operations_client::OperationsClient;
use goma_proto::longrunning::{CancelOperationRequest, Operation, operation};
use goma_proto::reapi::execution_client::ExecutionClient;
use goma_proto::reapi::execution_stage::Value as Stage;
use goma_proto::reapi::{
    ExecuteOperationMetadata, ExecuteRequest, ExecuteResponse, WaitExecutionRequest,
    digest_function,
};
use goma_proto::rpc;
use prost::Message;
use tonic::Streaming;

use super::missing::missing_blobs;
use super::{Grpc, MAX_RECEIVED, timed};
use crate::backoff::Backoff;
use crate::deadline::Deadline;
use crate::error::{Code, Error, Result};
use crate::reapi::call::Mark;
use crate::reapi::guard::Again;
use crate::reapi::lane::Lane;
use crate::reapi::{Executed, Execution, Executor};

/// Streams that may break, one after the other, before the action is given up. A stream that told
/// us something in between starts the count anew.
const MAX_BREAKS: u32 = 8;
/// Runs of one action that the scheduler may give up before we do: one that it cannot bear, for want
/// of memory or whatever else, is not to go round its workers for minutes.
const MAX_GIVEN_UP: u32 = 4;
/// A stream that says nothing for so long is opened again, by the operation's name: something between
/// here and the backend may have dropped it without a word.
const QUIET: Duration = Duration::from_secs(60);
/// Before there is a name that would be another Execute, so it waits for longer.
const NAMELESS: Duration = Duration::from_secs(180);

#[async_trait]
impl Executor for Grpc {
    async fn execute(&self, execution: &Execution, deadline: Deadline) -> Result<Executed> {
        let mut run = Run {
            grpc: self,
            execution,
            request: ExecuteRequest {
                instance_name: self.instance.clone(),
                skip_cache_lookup: execution.skip_cache_lookup,
                action_digest: Some(execution.action.into()),
                digest_function: digest_function::Value::Sha256.into(),
                inline_stdout: true,
                inline_stderr: true,
                ..Default::default()
            },
            deadline,
            stage: Stage::Unknown,
        };
        let done = deadline.bound("Execute", run.follow_through()).await;
        done.map_err(|error| match (error.code, run.stage) {
            (Code::DeadlineExceeded, Stage::Queued) => error.context(
                "backend: Execute: no worker took the action; does one have all of its platform \
                 properties?",
            ),
            _ => error.context("backend: Execute"),
        })
    }

    async fn cancel(&self, execution: &Execution, deadline: Deadline) -> Result<()> {
        let Some(name) = execution.operation() else { return Ok(()) };
        let mut client = OperationsClient::new(self.executions.clone());
        let cancel = client.cancel_operation(timed(CancelOperationRequest { name }, deadline));
        let told = deadline.bound("CancelOperation", async { Ok(cancel.await?) }).await;
        match told {
            // It has ended by itself, or goes on to its end.
            Err(error) if !matches!(error.code, Code::NotFound | Code::Unimplemented) => {
                Err(error.context("backend: CancelOperation"))
            }
            _ => Ok(()),
        }
    }
}

/// One action on its way.
struct Run<'a> {
    grpc: &'a Grpc,
    execution: &'a Execution,
    request: ExecuteRequest,
    deadline: Deadline,
    /// As the backend last said.
    stage: Stage,
}

impl Run<'_> {
    async fn follow_through(&mut self) -> Result<Executed> {
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2));
        let mut scheduler = self.grpc.scheduler.begin();
        let (mut breaks, mut given_up) = (0, 0);
        loop {
            scheduler.pass(self.deadline).await?;
            let error = match self.stream().await {
                Ok((stream, mark)) => {
                    scheduler.answered();
                    match self.follow(stream, &mark, &mut breaks).await {
                        Ok(Followed::ToEnd(operation)) => match executed(operation) {
                            // A scheduler that shuts down tells so of what it ran: that operation
                            // will never come to more.
                            Err(error) if is_unfinished(error.code) && given_up < MAX_GIVEN_UP => {
                                given_up += 1;
                                self.execution.set_operation(None);
                                Error { code: Code::Unavailable, ..error }
                            }
                            executed => return executed,
                        },
                        Ok(Followed::IntoSilence) => {
                            let operation = self.execution.operation();
                            tracing::debug!(?operation, "an execution is quiet, asking again");
                            continue;
                        }
                        Err(error) => error,
                    }
                }
                Err(error) => error,
            };
            let forgotten = self.execution.operation().is_some()
                && matches!(error.code, Code::NotFound | Code::Unimplemented);
            breaks += 1;
            let delay = if forgotten {
                // The backend restarted or cannot wait: the same action again, which joins the run
                // under way or finds its result.
                self.execution.set_operation(None);
                backoff.delay()
            } else {
                match scheduler.failed(&error) {
                    Again::No => return Err(error),
                    Again::Now => {
                        // How often it is looked for, and for how long, is the circuit's to bound.
                        breaks -= 1;
                        Duration::ZERO
                    }
                    Again::Uncounted | Again::Counted => backoff.delay(),
                }
            };
            if breaks > MAX_BREAKS {
                return Err(error);
            }
            tracing::debug!(%error, breaks, "execution stream broke, opening another");
            tokio::time::sleep(delay).await;
        }
    }

    async fn stream(&self) -> Result<(Streaming<Operation>, Mark)> {
        let mut client = client(self.grpc.executions.clone());
        let response = match self.execution.operation() {
            None => client.execute(timed(self.request.clone(), self.deadline)).await?,
            Some(name) => {
                let request = WaitExecutionRequest { name };
                client.wait_execution(timed(request, self.deadline)).await?
            }
        };
        let mark = response.extensions().get::<Mark>().cloned().unwrap_or_default();
        Ok((response.into_inner(), mark))
    }

    /// Reads operations until one is done, or none comes for too long.
    async fn follow(
        &mut self,
        mut stream: Streaming<Operation>,
        mark: &Mark,
        breaks: &mut u32,
    ) -> Result<Followed> {
        let mut patience = if self.execution.operation().is_none() { NAMELESS } else { QUIET };
        loop {
            let Ok(next) = tokio::time::timeout(patience, stream.message()).await else {
                return Ok(Followed::IntoSilence);
            };
            let Some(operation) = next? else {
                return Err(Error::new(Code::Unavailable, "stream ended before the action did"));
            };
            if operation.done {
                mark.told();
                return Ok(Followed::ToEnd(operation));
            }
            self.stage = stage(&operation).unwrap_or(self.stage);
            if !operation.name.is_empty() {
                self.execution.set_operation(Some(&operation.name));
                patience = QUIET;
            }
            *breaks = 0;
        }
    }
}

fn client(lane: Lane) -> ExecutionClient<Lane> {
    ExecutionClient::new(lane).max_decoding_message_size(MAX_RECEIVED)
}

/// How a stream that did not break was left.
enum Followed {
    ToEnd(Operation),
    IntoSilence,
}

/// The stage of an operation, if its backend tells.
fn stage(operation: &Operation) -> Option<Stage> {
    let metadata = operation.metadata.as_ref()?;
    ExecuteOperationMetadata::decode(metadata.value.as_ref()).ok().map(|metadata| metadata.stage())
}

/// Whether an action that ended so has not run, or not to its end, and nothing is wrong with it.
fn is_unfinished(code: Code) -> bool {
    matches!(code, Code::Cancelled | Code::Unavailable | Code::ResourceExhausted)
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
