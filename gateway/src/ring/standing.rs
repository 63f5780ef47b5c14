//! Whether a member is up, as a function of what was seen of it and when. Pure.

use std::time::Duration;

use tokio::time::Instant;

/// Failed probes in a row after which a member is down: one may be a pause of either side.
const FAILURES: u32 = 2;
/// A member that was up for so long has no history.
const CALM: Duration = Duration::from_secs(60);
/// Times that a member may go down, each before it was up for [`CALM`], and be let back at once.
const FORGIVEN: u32 = 3;
/// The first wait of one that goes down more often. It doubles up to [`MAX_HOLD`].
const HOLD: Duration = Duration::from_secs(1);
const MAX_HOLD: Duration = Duration::from_secs(30);

/// What a probe saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// It serves.
    Serving,
    /// It answers that it takes nothing new.
    Draining,
    /// Nobody listens there, or not whom we look for.
    Gone,
    /// It does not answer, or in other words.
    Failed,
}

/// What a member is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// On the ring.
    Up,
    /// Off the ring; calls under way go on.
    Draining,
    /// Off the ring; calls under way are given up.
    Down,
}

/// One member's history.
#[derive(Debug)]
pub(super) struct Standing {
    state: State,
    failures: u32,
    up_since: Option<Instant>,
    /// Times it left the ring without a calm time between.
    leaves: u32,
    back_at: Option<Instant>,
}

impl Standing {
    /// Never seen: down, and let in at once.
    pub(super) fn new() -> Self {
        Self { state: State::Down, failures: 0, up_since: None, leaves: 0, back_at: None }
    }

    /// Whether it would be up but for its history.
    pub(super) fn is_held_back(&self, now: Instant) -> bool {
        self.state == State::Down && self.back_at.is_some_and(|back_at| now < back_at)
    }

    /// What the member is, now that this was seen of it.
    pub(super) fn see(&mut self, seen: Seen, now: Instant) -> State {
        self.failures = if seen == Seen::Failed { self.failures + 1 } else { 0 };
        let next = match seen {
            Seen::Serving if self.is_held_back(now) => State::Down,
            Seen::Serving => State::Up,
            // One that was down has no calls to finish.
            Seen::Draining if self.state == State::Down => State::Down,
            Seen::Draining => State::Draining,
            Seen::Gone => State::Down,
            Seen::Failed if self.failures >= FAILURES => State::Down,
            Seen::Failed => self.state,
        };
        match (self.state, next) {
            (State::Up, State::Down | State::Draining) => self.left(now),
            (State::Down | State::Draining, State::Up) => self.up_since = Some(now),
            _ => {}
        }
        self.state = next;
        next
    }

    fn left(&mut self, now: Instant) {
        if self.up_since.take().is_some_and(|since| now - since >= CALM) {
            self.leaves = 0;
        }
        self.leaves += 1;
        if self.leaves > FORGIVEN {
            let doublings = (self.leaves - FORGIVEN - 1).min(5);
            self.back_at = Some(now + (HOLD * (1 << doublings)).min(MAX_HOLD));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Seen::{Draining, Failed, Gone, Serving};
    use super::*;

    /// A member under a clock of our own.
    struct Watched {
        standing: Standing,
        now: Instant,
    }

    impl Watched {
        fn new() -> Self {
            Self { standing: Standing::new(), now: Instant::now() }
        }

        fn after(&mut self, seconds: u64, seen: Seen) -> State {
            self.now += Duration::from_secs(seconds);
            self.standing.see(seen, self.now)
        }

        /// Seconds until a member that serves again is let back.
        fn held(&mut self) -> u64 {
            (0..100).find(|at| self.after((*at).min(1), Serving) == State::Up).expect("let back")
        }
    }

    #[test]
    fn one_failed_probe_is_forgiven_and_two_in_a_row_are_not() {
        let mut member = Watched::new();
        assert_eq!(member.after(0, Failed), State::Down);
        assert_eq!(member.after(1, Serving), State::Up);
        for _ in 0..5 {
            assert_eq!(member.after(1, Failed), State::Up);
            assert_eq!(member.after(1, Serving), State::Up);
        }
        assert_eq!(member.after(1, Failed), State::Up);
        assert_eq!(member.after(1, Failed), State::Down);
        assert_eq!(member.after(1, Serving), State::Up);
    }

    #[test]
    fn one_that_is_gone_or_drains_leaves_at_once() {
        let mut member = Watched::new();
        member.after(0, Serving);
        assert_eq!(member.after(1, Draining), State::Draining);
        assert_eq!(member.after(1, Failed), State::Draining, "its calls go on");
        assert_eq!(member.after(1, Failed), State::Down);
        assert_eq!(member.after(1, Draining), State::Down);
        assert_eq!(member.after(1, Serving), State::Up);
        assert_eq!(member.after(1, Gone), State::Down);
    }

    #[test]
    fn one_that_flaps_is_let_back_after_a_growing_time() {
        let mut member = Watched::new();
        member.after(0, Serving);
        let mut held = Vec::new();
        for _ in 0..10 {
            member.after(1, Gone);
            held.push(member.held());
        }
        assert_eq!(held, [0, 0, 0, 1, 2, 4, 8, 16, 30, 30]);
    }

    #[test]
    fn a_calm_minute_clears_its_history() {
        let mut member = Watched::new();
        member.after(0, Serving);
        for _ in 0..6 {
            member.after(1, Gone);
            member.held();
        }
        member.after(59, Gone);
        assert_eq!(member.held(), 8, "not calm for long enough");
        member.after(60, Gone);
        assert_eq!(member.held(), 0);
    }
}
