//! What a process may spend on trying again: a share of its calls, so that a backend that is in
//! trouble is not given more of it.

use std::sync::{Mutex, PoisonError};

/// Tries that one call pays for. With [`RESERVE`] that is a tenth of any five hundred calls.
const PER_CALL: f64 = 0.08;
/// Tries that are there when nothing has been called yet, or not for long.
const RESERVE: f64 = 10.0;
/// Most that is saved for bad times.
const MOST: f64 = 100.0;

/// The budget.
#[derive(Debug)]
pub(super) struct RetryBudget(Mutex<f64>);

impl Default for RetryBudget {
    fn default() -> Self {
        Self(Mutex::new(RESERVE))
    }
}

impl RetryBudget {
    /// A call is made, for the first time.
    pub(super) fn earn(&self) {
        let mut tries = self.tries();
        *tries = (*tries + PER_CALL).min(MOST);
    }

    /// Whether a call may be made again; it is paid for then.
    pub(super) fn spend(&self) -> bool {
        let mut tries = self.tries();
        let can = *tries >= 1.0;
        if can {
            *tries -= 1.0;
        }
        can
    }

    fn tries(&self) -> std::sync::MutexGuard<'_, f64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_calls_a_tenth_is_tried_again_at_most() {
        let budget = RetryBudget::default();
        for calls in [500, 10_000] {
            let again = (0..calls).filter(|_| {
                budget.earn();
                budget.spend()
            });
            let again = again.count();
            assert!(again > 0 && again <= calls / 10, "{again} of {calls}");
        }
    }
}
