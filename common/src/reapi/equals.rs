//! Several addresses of one backend: calls go to them in turn, and a bad one is left out for a while.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long a bad one is left out: twice as long each time that it is found to be bad again.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LAST_PAUSE: Duration = Duration::from_secs(30);
/// A call that is given up without an answer after so long counts against whom it was made to.
const SILENCE: Duration = Duration::from_secs(3);

/// As all calls of this process have seen them.
#[derive(Debug)]
pub(super) struct Equals {
    names: Vec<String>,
    turn: AtomicUsize,
    /// Of each, whether it is left out.
    out: Mutex<Vec<Option<Out>>>,
}

#[derive(Clone, Debug)]
struct Out {
    /// When it was found to be bad: calls that were made before say nothing new.
    since: Instant,
    /// When a call may try it again.
    until: Instant,
    pause: Duration,
}

impl Equals {
    /// At least one; their names are for the log and for traces.
    pub(super) fn new(names: Vec<String>) -> Self {
        let out = Mutex::new(vec![None; names.len()]);
        Self { names, turn: AtomicUsize::new(0), out }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.names.len()
    }

    /// As its name is written, with its port.
    pub(super) fn name(&self, which: usize) -> &str {
        self.names.get(which).map_or("", String::as_str)
    }

    /// Whose turn it is: of those that are well, or the one that is due to be tried again. Where all
    /// are bad, the one that is due first.
    pub(super) fn pick(&self) -> usize {
        let count = self.names.len();
        if count <= 1 {
            return 0;
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let now = Instant::now();
        let mut out = self.out();
        let mut due_first = (turn % count, None);
        for which in (0..count).map(|step| (turn + step) % count) {
            match &mut out[which] {
                None => return which,
                Some(left) if left.until <= now => {
                    // One call tries; the others leave it out until that has ended.
                    left.until = now + left.pause;
                    return which;
                }
                Some(left) => {
                    if due_first.1.is_none_or(|until| left.until < until) {
                        due_first = (which, Some(left.until));
                    }
                }
            }
        }
        due_first.0
    }

    /// A call to it that begins now.
    pub(super) fn ask(&self, which: usize) -> Asked<'_> {
        Asked { equals: self, which, since: Instant::now(), is_answered: false }
    }

    fn is_well(&self, which: usize) {
        if self.count() > 1 && self.out()[which].take().is_some() {
            tracing::info!(address = self.names[which], "an address of the backend is well again");
        }
    }

    /// As a call says that was made then.
    fn is_bad(&self, which: usize, made: Instant) {
        if self.count() <= 1 {
            return;
        }
        let now = Instant::now();
        let mut out = self.out();
        let pause = match &out[which] {
            Some(left) if made < left.since => return,
            Some(left) => (left.pause * 2).min(LAST_PAUSE),
            None => {
                let address = &self.names[which];
                tracing::warn!(address, "an address of the backend is left out");
                FIRST_PAUSE
            }
        };
        out[which] = Some(Out { since: now, until: now + pause, pause });
    }

    fn out(&self) -> MutexGuard<'_, Vec<Option<Out>>> {
        // Each critical section leaves it whole wherever it may end.
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call under way. Dropped without an answer after long, it counts as failed.
pub(super) struct Asked<'a> {
    equals: &'a Equals,
    which: usize,
    since: Instant,
    is_answered: bool,
}

impl Asked<'_> {
    /// Somebody was there.
    pub(super) fn answered(mut self) {
        self.is_answered = true;
        self.equals.is_well(self.which);
    }

    /// Nobody was there, or nobody who could serve us.
    pub(super) fn failed(mut self) {
        self.is_answered = true;
        self.equals.is_bad(self.which, self.since);
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        if !self.is_answered && self.since.elapsed() >= SILENCE {
            self.equals.is_bad(self.which, self.since);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> Equals {
        Equals::new(["a", "b", "c"].map(str::to_owned).to_vec())
    }

    fn turns(equals: &Equals, count: usize) -> [usize; 3] {
        let mut turns = [0; 3];
        (0..count).for_each(|_| turns[equals.pick()] += 1);
        turns
    }

    #[tokio::test(start_paused = true)]
    async fn each_has_its_turn_and_a_bad_one_is_left_out_until_it_is_well() {
        let equals = three();
        assert_eq!(turns(&equals, 300), [100, 100, 100]);
        equals.ask(1).failed();
        let [a, b, c] = turns(&equals, 300);
        assert!(b == 0 && a >= 100 && c >= 100, "{a} {c}");
        tokio::time::advance(FIRST_PAUSE).await;
        assert_eq!(turns(&equals, 300)[1], 1, "one call tries it");
        equals.ask(1).failed();
        tokio::time::advance(FIRST_PAUSE).await;
        assert_eq!(turns(&equals, 300)[1], 0, "it is left out for longer");
        equals.ask(1).answered();
        assert_eq!(turns(&equals, 300), [100, 100, 100]);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_does_not_answer_is_left_out_and_one_that_nobody_waited_for_is_not() {
        let equals = three();
        drop(equals.ask(0));
        assert_eq!(turns(&equals, 3), [1, 1, 1]);
        let asked = equals.ask(0);
        tokio::time::advance(SILENCE).await;
        drop(asked);
        assert_eq!(turns(&equals, 30)[0], 0);
    }

    #[tokio::test(start_paused = true)]
    async fn where_all_are_bad_the_first_that_is_due_is_asked() {
        let equals = three();
        for which in [2, 0, 1] {
            equals.ask(which).failed();
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        assert_eq!(turns(&equals, 5), [0, 0, 5]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_single_one_is_never_left_out() {
        let equals = Equals::new(vec!["a".to_owned()]);
        equals.ask(0).failed();
        assert_eq!(equals.pick(), 0);
    }
}
