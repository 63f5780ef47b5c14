//! Runs actions: so many at once, each from its message to a stored result.
//!
//! The stages of one action, in order: read it, wait for a turn, stage its inputs, run it, collect its
//! outputs, remember the result, tell those who wait, clear up.

use std::sync::Arc;
use std::time::Duration;

use goma_common::{Code, Digest, Error, Result};
use goma_proto::reapi::{Action, ActionResult, ExecuteResponse};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::action_cache;
use super::blocking::blocking;
use super::operations::{Begun, Operation, Operations};
use super::prepared::Prepared;
use super::process;
use super::results::{self, Times};
use super::rpc_status::rpc_status;
use super::sandbox::Sandbox;
use super::spawner::Spawner;
use super::store::Store;

/// Runs actions.
pub(super) struct Executor {
    pub(super) store: Arc<Store>,
    pub(super) operations: Operations,
    /// Or why there is none.
    pub(super) sandbox: Result<Arc<Sandbox>, String>,
    pub(super) spawner: Spawner,
    pub(super) jobs: Arc<Semaphore>,
    pub(super) default_timeout: Duration,
    /// Owns every execution, whether or not a client still waits for it.
    pub(super) tasks: TaskTracker,
    /// Ends them all.
    pub(super) stop: CancellationToken,
}

impl Executor {
    /// Sees to it that an action is executed.
    ///
    /// # Errors
    /// `ResourceExhausted` when too many are.
    pub(super) fn execute(self: &Arc<Self>, digest: Digest, action: Action) -> Result<Begun> {
        let begun = self.operations.begin(digest, !action.do_not_cache)?;
        if let Begun::New(operation) = &begun {
            let (executor, running) = (Arc::clone(self), Arc::clone(operation));
            self.tasks.spawn(async move { executor.run(running, action).await });
        }
        Ok(begun)
    }

    async fn run(self: Arc<Self>, operation: Arc<Operation>, action: Action) {
        let mut rest = None;
        let result = tokio::select! {
            // Else those that are queued would each begin before they end.
            biased;
            () = self.stop.cancelled() => {
                Err(Error::new(Code::Unavailable, "the backend is closing"))
            }
            () = operation.cancelled.cancelled() => {
                Err(Error::new(Code::Cancelled, "the operation was cancelled"))
            }
            result = self.run_in_turn(&operation, &action, &mut rest) => result,
        };
        self.operations.finish(&operation, response(result));
        // Deleting its directory takes a while, for which no client has to wait. The turn ends after
        // it, so that no more directories exist than turns.
        let cleared = blocking(move || {
            drop(rest);
            Ok(())
        });
        if let Err(error) = cleared.await {
            tracing::warn!(%error, "cannot clear up after an action");
        }
    }

    async fn run_in_turn(
        &self,
        operation: &Operation,
        action: &Action,
        rest: &mut Option<Rest>,
    ) -> Result<(ActionResult, Option<Error>)> {
        let times = Times::queued();
        let turn = Arc::clone(&self.jobs).acquire_owned().await;
        let turn = turn.map_err(|_| Error::new(Code::Unavailable, "the backend is closing"))?;
        let rest = rest.insert(Rest { prepared: None, _turn: turn });
        operation.executing();
        self.run_now(operation, action, times, rest).await
    }

    async fn run_now(
        &self,
        operation: &Operation,
        action: &Action,
        mut times: Times,
        rest: &mut Rest,
    ) -> Result<(ActionResult, Option<Error>)> {
        times.worker_start();
        let prepared = {
            let (store, action) = (Arc::clone(&self.store), action.clone());
            let (sandbox, limit) = (self.sandbox.clone(), self.default_timeout);
            blocking(move || Prepared::new(&store, &action, &sandbox, limit)).await?
        };
        let prepared = Arc::new(prepared);
        rest.prepared = Some(Arc::clone(&prepared));
        times.execution_start();
        let outcome = process::run(&self.spawner, prepared.command(), prepared.limit).await;
        let outcome = outcome.map_err(|error| prepared.start_error(&error))?;
        times.execution_end();
        if let Some(failure) = prepared.invocation.failure(&outcome) {
            return Err(failure);
        }
        let (store, digest) = (Arc::clone(&self.store), operation.action);
        let may_keep = !action.do_not_cache;
        blocking(move || {
            let limit = prepared.limit;
            let late = outcome.timed_out.then(|| {
                let message = format!("the command ran longer than {} s", limit.as_secs_f32());
                Error::new(Code::DeadlineExceeded, message)
            });
            let mut result = results::of_streams(&store, outcome)?;
            if late.is_none() {
                prepared.collect(&store, &mut result)?;
            }
            result.execution_metadata = Some(times.finish());
            if may_keep && late.is_none() && result.exit_code == 0 {
                // Who waits has the result all the same; only the next one has to run it again.
                if let Err(error) = action_cache::remember(&store, digest, &result) {
                    tracing::warn!(%error, action = %digest, "cannot remember a result");
                }
            }
            Ok((result, late))
        })
        .await
    }
}

/// What is left of an execution after its result was told; dropping it blocks.
struct Rest {
    prepared: Option<Arc<Prepared>>,
    // After the directory: fields are dropped in this order.
    _turn: OwnedSemaphorePermit,
}

fn response(result: Result<(ActionResult, Option<Error>)>) -> ExecuteResponse {
    let (result, error) = match result {
        Ok((result, late)) => (Some(result), late),
        Err(error) => (None, Some(error)),
    };
    let status = error.as_ref().map(rpc_status);
    ExecuteResponse { result, status, ..Default::default() }
}
