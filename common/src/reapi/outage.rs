//! Whether the backend is away, and for how long: one that restarts is waited for, one that stays away
//! is refused soon.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long calls wait for a backend that answered before, however often they fail: a restart takes
/// that long, and it fits into the ten seconds that the action cache is given by default.
const WAIT: Duration = Duration::from_secs(8);

/// As all calls of this process have seen it.
#[derive(Debug, Default)]
pub(super) struct Outage(Mutex<Seen>);

#[derive(Debug, Default)]
enum Seen {
    /// Nothing has answered yet: who starts without a backend is told at once.
    #[default]
    Nothing,
    /// The last call was answered, well or not.
    Up,
    /// No call was answered since then.
    AwaySince(Instant),
}

impl Outage {
    /// A call was answered.
    pub(super) fn answered(&self) {
        *self.seen() = Seen::Up;
    }

    /// A call found nobody. Whether it is worth waiting for it to come back.
    pub(super) fn found_nobody(&self) -> bool {
        let mut seen = self.seen();
        match *seen {
            Seen::Nothing => false,
            Seen::AwaySince(since) => since.elapsed() < WAIT,
            Seen::Up => {
                *seen = Seen::AwaySince(Instant::now());
                true
            }
        }
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        // Each critical section is an assignment, so a panic cannot leave it half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_backend_that_was_there_is_waited_for_a_while() {
        let outage = Outage::default();
        assert!(!outage.found_nobody(), "it never was there");
        outage.answered();
        assert!(outage.found_nobody());
        tokio::time::advance(WAIT / 2).await;
        assert!(outage.found_nobody());
        tokio::time::advance(WAIT / 2).await;
        assert!(!outage.found_nobody(), "it stays away");
        outage.answered();
        assert!(outage.found_nobody());
    }
}
