//! The Execution service: operations as streams of their stages.

use std::pin::Pin;
use std::sync::Arc;

use futures::stream::{self, Stream};
use goma_common::cancel_only::Cancel;
use goma_common::{Code, Digest, Error, Result as Outcome};
use goma_proto::longrunning::{self, operation};
use goma_proto::protobuf::Any;
use goma_proto::reapi::execution_stage::Value as Stage;
use goma_proto::reapi::{self, Action, ActionResult, ExecuteResponse, execution_server};
use prost::Message;
use tokio::sync::watch;
use tonic::{Request, Response, Status};

use super::action_cache;
use super::blocking::blocking;
use super::capabilities::MAX_BATCH;
use super::executor::Executor;
use super::inline::Inline;
use super::operations::{Begun, Operation, Progress};
use super::rpc_status::{self, rpc_status};
use super::store::Store;

/// The service.
#[derive(Clone)]
pub(super) struct Execution {
    pub(super) executor: Arc<Executor>,
}

type Operations = Pin<Box<dyn Stream<Item = Result<longrunning::Operation, Status>> + Send>>;

#[tonic::async_trait]
impl execution_server::Execution for Execution {
    type ExecuteStream = Operations;

    async fn execute(
        &self,
        request: Request<reapi::ExecuteRequest>,
    ) -> Result<Response<Operations>, Status> {
        let request = request.into_inner();
        let digest = rpc_status::digest(request.action_digest.as_ref(), "action")?;
        let found = {
            let (store, use_cache) = (Arc::clone(&self.executor.store), !request.skip_cache_lookup);
            blocking(move || find(&store, digest, use_cache)).await
        };
        let (operation, is_new) = match found {
            Ok(Found::Result(result)) => {
                let (result, cached_result) = (Some(*result), true);
                let response = ExecuteResponse { result, cached_result, ..Default::default() };
                (self.executor.operations.finished(digest, response), false)
            }
            Ok(Found::Action(action)) => match self.executor.execute(digest, action)? {
                Begun::New(operation) => (operation, true),
                Begun::Joined(operation) => (operation, false),
            },
            Err(error) => {
                let status = Some(rpc_status(&error));
                let response = ExecuteResponse { status, ..Default::default() };
                (self.executor.operations.finished(digest, response), false)
            }
        };
        Ok(Response::new(self.follow(&operation, Inline::of_execute(request), is_new)))
    }

    type WaitExecutionStream = Operations;

    async fn wait_execution(
        &self,
        request: Request<reapi::WaitExecutionRequest>,
    ) -> Result<Response<Operations>, Status> {
        let operation = self.executor.operations.find(&request.into_inner().name)?;
        Ok(Response::new(self.follow(&operation, Inline::default(), false)))
    }
}

#[tonic::async_trait]
impl Cancel for Execution {
    async fn cancel(&self, name: String) -> Result<(), Status> {
        Ok(self.executor.operations.cancel(&name)?)
    }
}

impl Execution {
    /// Its stages to the last, `from_queued` on or from the one it is in.
    fn follow(&self, operation: &Arc<Operation>, inline: Inline, from_queued: bool) -> Operations {
        let follower = Follower {
            store: Arc::clone(&self.executor.store),
            operation: Arc::clone(operation),
            progress: operation.watch(),
            inline,
            from_queued,
            told: None,
        };
        Box::pin(stream::try_unfold(follower, Follower::next))
    }
}

enum Found {
    Result(Box<ActionResult>),
    Action(Action),
}

fn find(store: &Store, digest: Digest, use_cache: bool) -> Outcome<Found> {
    if use_cache && let Some(result) = action_cache::lookup(store, digest)? {
        return Ok(Found::Result(Box::new(result)));
    }
    let action = store.read_blob(digest, MAX_BATCH).map_err(|error| match error.code {
        Code::NotFound => rpc_status::missing(vec![digest]),
        _ => error,
    })?;
    Ok(Found::Action(rpc_status::decode("action", &action)?))
}

/// One client's view of an operation.
struct Follower {
    store: Arc<Store>,
    operation: Arc<Operation>,
    progress: watch::Receiver<Progress>,
    inline: Inline,
    from_queued: bool,
    told: Option<Stage>,
}

impl Follower {
    async fn next(mut self) -> Result<Option<(longrunning::Operation, Self)>, Status> {
        let stage = match self.told {
            Some(Stage::Completed) => return Ok(None),
            Some(Stage::Executing) => Stage::Completed,
            Some(_) => Stage::Executing,
            None if self.from_queued => Stage::Queued,
            None => self.progress.borrow().stage(),
        };
        // A fast command may be done before its start was told; each stage is told all the same.
        let reached = |progress: &Progress| progress.stage() as i32 >= stage as i32;
        let gone = |_| Error::new(Code::Unavailable, "the backend is closing");
        let progress = self.progress.wait_for(reached).await.map_err(gone)?.clone();
        self.told = Some(stage);
        let message = match progress {
            Progress::Done(response) if stage == Stage::Completed => {
                let (store, inline) = (Arc::clone(&self.store), self.inline.clone());
                let mut response = ExecuteResponse::clone(&response);
                let response = blocking(move || {
                    if let Some(result) = &mut response.result {
                        inline.fill(&store, result);
                    }
                    Ok(response)
                });
                self.message(stage, Some(&response.await?))
            }
            _ => self.message(stage, None),
        };
        Ok(Some((message, self)))
    }

    fn message(&self, stage: Stage, done: Option<&ExecuteResponse>) -> longrunning::Operation {
        let metadata = reapi::ExecuteOperationMetadata {
            stage: stage as i32,
            action_digest: Some(self.operation.action.into()),
            ..Default::default()
        };
        longrunning::Operation {
            name: self.operation.name.clone(),
            metadata: Some(any("ExecuteOperationMetadata", &metadata)),
            done: done.is_some(),
            result: done
                .map(|response| operation::Result::Response(any("ExecuteResponse", response))),
        }
    }
}

fn any(name: &str, message: &impl Message) -> Any {
    let type_url = format!("type.googleapis.com/build.bazel.remote.execution.v2.{name}");
    Any { type_url, value: message.encode_to_vec() }
}
