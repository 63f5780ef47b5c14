//! What the calls of a process to one backend have in common: whether it is away, what may be spent on
//! trying again, and who we are.

use std::sync::Arc;

use super::account::{self, is_other_account};
use super::budget::RetryBudget;
use super::circuit::{Circuit, Next};
use super::credentials::Credentials;
use crate::deadline::Deadline;
use crate::error::{Code, Error, Result};

/// Tries of one call that nobody has begun with and that cost nothing; further ones do.
const NOT_BEGUN: u32 = 5;

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
        Guarded { guard: self, renewed: false, not_begun: 0, is_back: false }
    }
}

/// One call, with all its tries.
pub(super) struct Guarded<'a> {
    guard: &'a Guard,
    renewed: bool,
    not_begun: u32,
    is_back: bool,
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

    /// The backend answered.
    pub(super) fn answered(&mut self) {
        self.is_back |= self.guard.circuit.answered();
    }

    /// Whether it was away before it answered this call; told once.
    pub(super) fn is_back(&mut self) -> bool {
        std::mem::take(&mut self.is_back)
    }

    /// Whether another try may be made with newer credentials.
    fn renew(&self) -> bool {
        if is_other_account() {
            return account::renew();
        }
        self.guard.credentials.renew();
        self.guard.credentials.can_renew()
    }

    /// Whether another try may be made beside one that is late: then it is paid for.
    pub(super) fn pays_for_another(&self) -> bool {
        self.guard.budget.spend()
    }

    /// What is to be done about a try that failed. Another one is paid for here.
    pub(super) fn failed(&mut self, error: &Error) -> Again {
        if error.was_not_begun && self.not_begun < NOT_BEGUN {
            self.not_begun += 1;
            return Again::Now;
        }
        let again = match error.code {
            Code::Unavailable => match self.guard.circuit.found_nobody(error) {
                Next::Wait => return Again::Now,
                Next::Again => Again::Uncounted,
                Next::Counted => Again::Counted,
            },
            // It says nothing against the next one.
            Code::DeadlineExceeded => Again::Counted,
            Code::Unauthenticated if !self.renewed && self.renew() => {
                self.answered();
                self.renewed = true;
                return Again::Now;
            }
            code => {
                self.answered();
                if code.is_transient() { Again::Counted } else { return Again::No }
            }
        };
        match self.guard.budget.spend() {
            true => again,
            false => Again::No,
        }
    }
}
