//! Whether the backend is away: one that restarts is waited for and looked for now and then, one that
//! stays away is refused soon.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::deadline::Deadline;
use crate::error::{Code, Error, Result};

/// Calls that find nobody, one after the other, before the rest waits for one of them to be answered.
const FAILURES: u32 = 5;
/// When a backend that is away is looked for again: soon, then half as often each time, down to once
/// a second.
const FIRST_LOOK: Duration = Duration::from_millis(50);
const LAST_LOOK: Duration = Duration::from_secs(1);
/// How long calls wait for a backend that answered before, however often they fail. A restart takes
/// that long where actions under way are ended first (buildbox-casd gives them ten seconds), and a
/// compile that waits is better than one that fails.
const WAIT: Duration = Duration::from_secs(30);

/// As all calls of this process have seen it.
#[derive(Debug, Default)]
pub(super) struct Circuit {
    seen: Mutex<Seen>,
    closed: Notify,
}

#[derive(Debug, Default)]
struct Seen {
    /// Whether it ever answered: who starts without a backend is told at once.
    was_there: bool,
    away: Option<Away>,
}

#[derive(Debug)]
struct Away {
    since: Instant,
    /// Calls that found nobody since then.
    failures: u32,
    /// When the next call may look, once it is open.
    look: Instant,
    pause: Duration,
    why: String,
}

impl Away {
    fn is_open(&self) -> bool {
        self.failures >= FAILURES
    }
}

/// What a call that found nobody is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// It is waited for, at no charge: nobody will be bothered.
    Wait,
    /// It may be there: trying again is not counted, and is paid for.
    Again,
    /// It stays away, or never was there: trying again counts, and is paid for.
    Counted,
}

impl Circuit {
    /// Lets a call pass: at once, or, where the backend is away, when it is this call's turn to look
    /// for it or another one was answered.
    ///
    /// # Errors
    /// `Unavailable` when the backend stays away.
    pub(super) async fn pass(&self, deadline: Deadline) -> Result<()> {
        loop {
            // Asked for before looking, so that a closing in between is not missed.
            let closed = self.closed.notified();
            let look = {
                let mut seen = self.seen();
                let was_there = seen.was_there;
                let Some(away) = seen.away.as_mut().filter(|away| away.is_open()) else {
                    return Ok(());
                };
                let now = Instant::now();
                if now >= away.look {
                    away.look = now + away.pause;
                    away.pause = (away.pause * 2).min(LAST_LOOK);
                    return Ok(());
                }
                if !was_there || away.since.elapsed() >= WAIT || deadline.is_past() {
                    let message = format!(
                        "it is away for {:.0} s: {}",
                        away.since.elapsed().as_secs_f64(),
                        away.why
                    );
                    return Err(Error::new(Code::Unavailable, message));
                }
                away.look.min(away.since + WAIT)
            };
            tokio::select! {
                () = closed => {}
                () = tokio::time::sleep_until(look) => {}
                () = tokio::time::sleep(deadline.remaining()) => {}
            }
        }
    }

    /// A call was answered, well or not. Whether the backend has come back by that: it may be another
    /// one, with other limits.
    pub(super) fn answered(&self) -> bool {
        let was_away = {
            let mut seen = self.seen();
            seen.was_there = true;
            seen.away.take()
        };
        let is_back = was_away.is_some_and(|away| away.is_open());
        if is_back {
            tracing::info!("the backend is back");
            self.closed.notify_waiters();
        }
        is_back
    }

    /// A call found nobody, who said or meant `why`.
    pub(super) fn found_nobody(&self, why: &Error) -> Next {
        let mut seen = self.seen();
        let was_there = seen.was_there;
        let now = Instant::now();
        let away = seen.away.get_or_insert_with(|| Away {
            since: now,
            failures: 0,
            look: now,
            pause: FIRST_LOOK,
            why: why.message.clone(),
        });
        away.failures = away.failures.saturating_add(1);
        if away.failures == FAILURES {
            away.look = now + away.pause;
            tracing::warn!(%why, "the backend is away: calls wait, and one of them looks for it");
        }
        match was_there && away.since.elapsed() < WAIT {
            true if away.is_open() => Next::Wait,
            true => Next::Again,
            false => Next::Counted,
        }
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        // Each critical section leaves it whole wherever it may end.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::future::join_all;

    use super::*;

    fn nobody() -> Error {
        Error::new(Code::Unavailable, "connection refused")
    }

    fn opened() -> Circuit {
        let circuit = Circuit::default();
        circuit.answered();
        for _ in 1..FAILURES {
            assert_eq!(circuit.found_nobody(&nobody()), Next::Again);
        }
        assert_eq!(circuit.found_nobody(&nobody()), Next::Wait);
        circuit
    }

    #[tokio::test(start_paused = true)]
    async fn a_backend_that_is_away_is_looked_for_once_a_second() {
        let (circuit, looks) = (opened(), AtomicUsize::new(0));
        let began = Instant::now();
        join_all((0..100).map(async |_| {
            while began.elapsed() < Duration::from_secs(20) {
                let deadline = Deadline::after(Duration::from_secs(60));
                if circuit.pass(deadline).await.is_ok() {
                    let counts = began.elapsed() < Duration::from_secs(20);
                    looks.fetch_add(usize::from(counts), Ordering::Relaxed);
                    circuit.found_nobody(&nobody());
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }))
        .await;
        // The first five looks are within a second and a half.
        let looks = looks.into_inner();
        assert!((20..=25).contains(&looks), "{looks} looks");
    }

    #[tokio::test(start_paused = true)]
    async fn one_answer_lets_all_pass() {
        let circuit = opened();
        let (_, passed) = tokio::join!(
            async {
                tokio::time::sleep(Duration::from_millis(20)).await;
                circuit.answered();
            },
            join_all((0..100).map(async |_| {
                let began = Instant::now();
                circuit.pass(Deadline::after(Duration::from_secs(9))).await.expect("it is back");
                began.elapsed()
            })),
        );
        assert!(passed.iter().all(|took| *took <= Duration::from_millis(21)), "{passed:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_backend_that_was_there_is_waited_for_a_while_and_then_refused() {
        let circuit = opened();
        tokio::time::advance(WAIT).await;
        let deadline = Deadline::after(Duration::from_secs(60));
        circuit.pass(deadline).await.expect("its turn to look");
        assert_eq!(circuit.found_nobody(&nobody()), Next::Counted);
        let refused = circuit.pass(deadline).await.expect_err("it stays away");
        assert!(refused.message.contains("connection refused"), "{refused}");
        let never = Circuit::default();
        for _ in 0..FAILURES {
            assert_eq!(never.found_nobody(&nobody()), Next::Counted);
        }
        never.pass(deadline).await.expect_err("it never was there");
    }
}
