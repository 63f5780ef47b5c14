//! Executions of a scripted server: as its backend in memory has the result, or step by step.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::stream::{self, BoxStream, StreamExt};
use goma_proto::longrunning::{Operation, operation};
use goma_proto::protobuf::Any;
use goma_proto::reapi::execution_stage::Value as Stage;
use goma_proto::reapi::{
    ExecuteOperationMetadata, ExecuteRequest, ExecuteResponse, WaitExecutionRequest,
    execution_server,
};
use goma_proto::rpc;
use prost::Message;
use tonic::{Request, Response, Status};

use super::ScriptedBackend;
use super::server::deadline;
use super::services::digest;
use crate::cancel_only::Cancel;
use crate::reapi::{Execution, Executor};

/// What comes next in a stream of an execution.
#[derive(Clone, Debug)]
pub enum Step {
    /// Word that it waits for a worker.
    Queued,
    /// Word that it is under way.
    UnderWay,
    /// Its name and nothing else.
    Bare,
    /// Nothing, for good.
    Silence,
    /// The stream fails.
    Breaks(Status),
    /// The action has ended so.
    Done(Box<ExecuteResponse>),
}

/// How the next streams go, of Execute and WaitExecution alike; a clone is the same script. A stream
/// that is not scripted tells the result of the backend.
#[derive(Clone)]
pub struct Executions {
    backend: ScriptedBackend,
    script: Arc<Mutex<Script>>,
}

#[derive(Default)]
struct Script {
    streams: VecDeque<Vec<Step>>,
    waited_for: Vec<String>,
    cancelled: Vec<String>,
}

type Steps = BoxStream<'static, Result<Operation, Status>>;

impl Executions {
    pub(super) fn new(backend: ScriptedBackend) -> Self {
        Self { backend, script: Arc::default() }
    }

    /// The next stream that has no script yet goes like this, and then ends.
    pub fn next(&self, steps: impl Into<Vec<Step>>) {
        self.script().streams.push_back(steps.into());
    }

    /// An action that ended with this status of the Execute call's answer.
    #[must_use]
    pub fn failed(status: rpc::Status) -> Step {
        Step::Done(Box::new(ExecuteResponse { status: Some(status), ..Default::default() }))
    }

    /// The names that were waited for.
    #[must_use]
    pub fn waited_for(&self) -> Vec<String> {
        self.script().waited_for.clone()
    }

    /// The names that were cancelled.
    #[must_use]
    pub fn cancelled(&self) -> Vec<String> {
        self.script().cancelled.clone()
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn scripted(&self, name: &str) -> Option<Steps> {
        let steps = self.script().streams.pop_front()?;
        let name = name.to_owned();
        let steps = stream::iter(steps).then(move |step| {
            let name = name.clone();
            async move {
                match step {
                    Step::Queued => Ok(under_way(name, Stage::Queued)),
                    Step::UnderWay => Ok(under_way(name, Stage::Executing)),
                    Step::Bare => Ok(Operation { name, ..Default::default() }),
                    Step::Silence => std::future::pending().await,
                    Step::Breaks(status) => Err(status),
                    Step::Done(response) => Ok(done(name, &response)),
                }
            }
        });
        Some(steps.boxed())
    }
}

#[tonic::async_trait]
impl execution_server::Execution for Executions {
    type ExecuteStream = Steps;

    async fn execute(&self, request: Request<ExecuteRequest>) -> Result<Response<Steps>, Status> {
        let action = digest(request.into_inner().action_digest.as_ref())?;
        let name = format!("operations/{action}");
        if let Some(steps) = self.scripted(&name) {
            return Ok(Response::new(steps));
        }
        let executed = self.backend.execute(&Execution::new(action, false), deadline()).await?;
        let response = ExecuteResponse { result: Some(executed.result), ..Default::default() };
        Ok(Response::new(stream::iter([Ok(done(name, &response))]).boxed()))
    }

    type WaitExecutionStream = Steps;

    async fn wait_execution(
        &self,
        request: Request<WaitExecutionRequest>,
    ) -> Result<Response<Steps>, Status> {
        let name = request.into_inner().name;
        self.script().waited_for.push(name.clone());
        let steps = self.scripted(&name);
        steps.map(Response::new).ok_or_else(|| Status::not_found("no such operation"))
    }
}

#[tonic::async_trait]
impl Cancel for Executions {
    async fn cancel(&self, name: String) -> Result<(), Status> {
        self.script().cancelled.push(name);
        Ok(())
    }
}

fn under_way(name: String, stage: Stage) -> Operation {
    let metadata = ExecuteOperationMetadata { stage: stage.into(), ..Default::default() };
    let type_url = "type.googleapis.com/build.bazel.remote.execution.v2.ExecuteOperationMetadata";
    let metadata = Any { type_url: type_url.to_owned(), value: metadata.encode_to_vec() };
    Operation { name, metadata: Some(metadata), ..Default::default() }
}

fn done(name: String, response: &ExecuteResponse) -> Operation {
    let type_url = "type.googleapis.com/build.bazel.remote.execution.v2.ExecuteResponse";
    let answer = Any { type_url: type_url.to_owned(), value: response.encode_to_vec() };
    let result = Some(operation::Result::Response(answer));
    Operation { name, done: true, result, ..Default::default() }
}
