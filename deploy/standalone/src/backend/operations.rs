//! Executions under way and lately finished: who waits for what, and who joins whom.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use goma_common::{Code, Digest, Error, Result};
use goma_proto::reapi::ExecuteResponse;
use goma_proto::reapi::execution_stage::Value as Stage;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How long, and how many at most, finished operations can be asked for.
const REMEMBERED: Duration = Duration::from_secs(300);
const MAX_REMEMBERED: usize = 1000;

/// One execution.
pub(super) struct Operation {
    pub(super) name: String,
    pub(super) action: Digest,
    /// Ends it before its end.
    pub(super) cancelled: CancellationToken,
    progress: watch::Sender<Progress>,
}

/// How far an execution is.
#[derive(Clone)]
pub(super) enum Progress {
    Queued,
    Executing,
    Done(Arc<ExecuteResponse>),
}

/// All executions of a backend.
pub(super) struct Operations {
    state: Mutex<State>,
    max: usize,
}

#[derive(Default)]
struct State {
    by_name: HashMap<String, Arc<Operation>>,
    /// Those that an equal action can join.
    running: HashMap<Digest, Arc<Operation>>,
    unfinished: usize,
    finished: VecDeque<(Instant, String)>,
}

/// What became of a request to execute.
pub(super) enum Begun {
    /// The caller has to see to it.
    New(Arc<Operation>),
    /// Somebody else does already.
    Joined(Arc<Operation>),
}

impl Progress {
    pub(super) fn stage(&self) -> Stage {
        match self {
            Self::Queued => Stage::Queued,
            Self::Executing => Stage::Executing,
            Self::Done(_) => Stage::Completed,
        }
    }
}

impl Operation {
    /// Says that it runs now.
    pub(super) fn executing(&self) {
        self.progress.send_replace(Progress::Executing);
    }

    /// Follows it from where it is.
    pub(super) fn watch(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }
}

impl Operations {
    pub(super) fn new(max: usize) -> Self {
        Self { state: Mutex::default(), max }
    }

    /// Begins an execution, or joins an equal one unless the client forbids it.
    ///
    /// # Errors
    /// `ResourceExhausted` when there are too many.
    pub(super) fn begin(&self, action: Digest, may_join: bool) -> Result<Begun> {
        let mut state = self.state();
        if may_join && let Some(operation) = state.running.get(&action) {
            return Ok(Begun::Joined(Arc::clone(operation)));
        }
        if state.unfinished >= self.max {
            let message = format!("{} actions are queued already", self.max);
            return Err(Error::new(Code::ResourceExhausted, message));
        }
        let operation = state.create(action);
        if may_join {
            state.running.insert(action, Arc::clone(&operation));
        }
        Ok(Begun::New(operation))
    }

    /// One that is over as it begins, as for a result from the cache. There is room for any number.
    pub(super) fn finished(&self, action: Digest, response: ExecuteResponse) -> Arc<Operation> {
        let operation = self.state().create(action);
        self.finish(&operation, response);
        operation
    }

    /// Tells all who wait.
    pub(super) fn finish(&self, operation: &Arc<Operation>, response: ExecuteResponse) {
        {
            let mut state = self.state();
            let running = state.running.get(&operation.action);
            if running.is_some_and(|running| Arc::ptr_eq(running, operation)) {
                state.running.remove(&operation.action);
            }
            state.unfinished -= 1;
            state.finished.push_back((Instant::now(), operation.name.clone()));
            state.forget_old();
        }
        operation.progress.send_replace(Progress::Done(Arc::new(response)));
    }

    /// The one of this name.
    ///
    /// # Errors
    /// `NotFound` when there never was one, or it is forgotten.
    pub(super) fn find(&self, name: &str) -> Result<Arc<Operation>> {
        let mut state = self.state();
        state.forget_old();
        let operation = state.by_name.get(name).map(Arc::clone);
        operation.ok_or_else(|| Error::new(Code::NotFound, "no such operation"))
    }

    /// Gives up the one of this name. No equal action joins it any more.
    ///
    /// # Errors
    /// `NotFound` as [`find`](Self::find).
    pub(super) fn cancel(&self, name: &str) -> Result<()> {
        let operation = self.find(name)?;
        let mut state = self.state();
        let running = state.running.get(&operation.action);
        if running.is_some_and(|running| Arc::ptr_eq(running, &operation)) {
            state.running.remove(&operation.action);
        }
        operation.cancelled.cancel();
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn create(&mut self, action: Digest) -> Arc<Operation> {
        // Not to be confused with one of before a restart.
        let name = format!("operations/{:016x}", fastrand::u64(..));
        let (progress, _) = watch::channel(Progress::Queued);
        let operation =
            Arc::new(Operation { name, action, cancelled: CancellationToken::new(), progress });
        self.by_name.insert(operation.name.clone(), Arc::clone(&operation));
        self.unfinished += 1;
        operation
    }

    fn forget_old(&mut self) {
        while let Some((since, name)) = self.finished.front() {
            if self.finished.len() <= MAX_REMEMBERED && since.elapsed() < REMEMBERED {
                break;
            }
            self.by_name.remove(name);
            self.finished.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin(operations: &Operations, may_join: bool) -> Arc<Operation> {
        match operations.begin(Digest::of(b"action"), may_join).expect("room") {
            Begun::New(operation) | Begun::Joined(operation) => operation,
        }
    }

    #[test]
    fn equal_actions_are_joined_until_done() {
        let operations = Operations::new(9);
        let first = begin(&operations, true);
        assert_eq!(begin(&operations, true).name, first.name);
        assert_ne!(begin(&operations, false).name, first.name, "do_not_cache stands alone");
        operations.finish(&first, ExecuteResponse::default());
        assert_ne!(begin(&operations, true).name, first.name);
        assert!(operations.find(&first.name).is_ok(), "finished ones are remembered");
    }

    #[test]
    fn a_cancelled_one_is_joined_by_nobody() {
        let operations = Operations::new(9);
        let first = begin(&operations, true);
        operations.cancel(&first.name).expect("it runs");
        assert!(first.cancelled.is_cancelled());
        let second = begin(&operations, true);
        assert_ne!(second.name, first.name);
        operations.finish(&first, ExecuteResponse::default());
        assert_eq!(begin(&operations, true).name, second.name, "the end of the first is its own");
        assert!(operations.cancel("operations/none").is_err());
    }

    #[test]
    fn too_many_are_refused() {
        let operations = Operations::new(1);
        let only = begin(&operations, false);
        let refused = operations.begin(Digest::EMPTY, true).err().expect("no room");
        assert_eq!(refused.code, Code::ResourceExhausted);
        operations.finish(&only, ExecuteResponse::default());
        assert!(operations.begin(Digest::EMPTY, true).is_ok());
    }

    #[test]
    fn only_so_many_finished_ones_are_remembered() {
        let operations = Operations::new(1);
        let first = begin(&operations, true);
        operations.finish(&first, ExecuteResponse::default());
        for _ in 0..MAX_REMEMBERED {
            operations.finish(&begin(&operations, true), ExecuteResponse::default());
        }
        assert!(operations.find(&first.name).is_err());
    }
}
