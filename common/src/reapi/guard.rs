//! What the calls of a process to one backend have in common: whether it is away, what may be spent on
//! trying again, and who we are.

use std::sync::Arc;

use super::budget::RetryBudget;
use super::circuit::{Circuit, Next};
use super::credentials::Credentials;
use crate::deadline::Deadline;
use crate::error::{Code, Error, Result};

/// Shared by calls that are served by the same machines; the budget by all.
pub(super) struct Guard {
    circuit: Circuit,
    budget: Arc<RetryBudget>,
    credentials: Credentials,
}

impl Guard {
    pub(super) fn new(budget: Arc<RetryBudget>, credentials: Credentials) -> Self {
        Self { circuit: Circuit::default(), budget, credentials }
    }

    /// A call that is yet to be made.
    pub(super) fn begin(&self) -> Guarded<'_> {
        self.budget.earn();
        Guarded { guard: self, renewed: false }
    }
}

/// One call, with all its tries.
pub(super) struct Guarded<'a> {
    guard: &'a Guard,
    renewed: bool,
}

/// What a failed call may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    /// Nothing: its error stands.
    No,
    /// It is made at once, or when [`Guarded::pass`] lets it.
    Now,
    /// After a while, which does not count against its number of tries.
    Uncounted,
    /// After a while.
    Counted,
}

impl Guarded<'_> {
    /// Waits while the backend is away and may come back.
    ///
    /// # Errors
    /// `Unavailable` when it stays away.
    pub(super) async fn pass(&self, deadline: Deadline) -> Result<()> {
        self.guard.circuit.pass(deadline).await
    }

    /// The backend answered well. Whether it was away before.
    pub(super) fn answered(&self) -> bool {
        self.guard.circuit.answered()
    }

    /// What is to be done about a try that failed. Another one is paid for here.
    pub(super) fn failed(&mut self, error: &Error) -> Again {
        let again = match error.code {
            Code::Unavailable => match self.guard.circuit.found_nobody(error) {
                Next::Wait => return Again::Now,
                Next::Again => Again::Uncounted,
                Next::Counted => Again::Counted,
            },
            // It says nothing against the next one.
            Code::DeadlineExceeded => Again::Counted,
            Code::Unauthenticated if !self.renewed && self.guard.credentials.can_renew() => {
                self.guard.circuit.answered();
                self.renewed = true;
                self.guard.credentials.renew();
                return Again::Now;
            }
            code => {
                self.guard.circuit.answered();
                if code.is_transient() { Again::Counted } else { return Again::No }
            }
        };
        match self.guard.budget.spend() {
            true => again,
            false => Again::No,
        }
    }
}
