//! Whose turn it is to run an action that several want at once.

use tokio::sync::oneshot;

use crate::error::{Code, Result};
use crate::reapi::Executed;

/// What [`crate::shards::Shards::join`] answers.
#[derive(Debug)]
pub enum Turn {
    /// The caller runs it, and tells the lease how it ended.
    Run(Lease),
    /// Somebody else ran it.
    Ran(Box<Result<Executed>>),
}

/// The right to run an action while the others wait. Dropping it lets the next of them run it.
#[derive(Debug)]
pub struct Lease(Option<oneshot::Sender<Result<Executed>>>);

impl Lease {
    /// A lease on whose end somebody waits.
    #[must_use]
    pub fn new() -> (Self, oneshot::Receiver<Result<Executed>>) {
        let (told, end) = oneshot::channel();
        (Self(Some(told)), end)
    }

    /// A lease on whose end nobody waits.
    #[must_use]
    pub fn alone() -> Self {
        Self(None)
    }

    /// Whether others wait for its end, or would: a lease that its giver knows of.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.0.is_some()
    }

    /// Tells the others how it ended. An end that is the caller's own, that of its time, is not told:
    /// the next of them runs it again and finds the run that is under way in the backend.
    pub fn end(self, outcome: &Result<Executed>) {
        let own = |code| matches!(code, Code::DeadlineExceeded | Code::Cancelled);
        if outcome.as_ref().is_err_and(|error| own(error.code)) {
            return;
        }
        if let Some(told) = self.0 {
            // Nobody may be waiting any more.
            let _ = told.send(outcome.clone());
        }
    }
}
