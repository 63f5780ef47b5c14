//! The more-than-half trap: one answer that names many files changes what every compile sends.

use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the client is in "embed everything" mode.
#[derive(Debug, Default)]
pub struct Trap {
    sprung: AtomicBool,
}

impl Trap {
    /// Whether every file counts as new now.
    #[must_use]
    pub fn is_sprung(&self) -> bool {
        self.sprung.load(Ordering::Relaxed)
    }

    /// Takes note of an answer to the `attempt`th Exec (from 0) of a compile of `inputs` files.
    pub fn learn(&self, attempt: u32, inputs: usize, missing: usize) {
        if missing > inputs / 2 {
            self.sprung.store(true, Ordering::Relaxed);
        } else if missing == 0 && attempt == 0 {
            self.sprung.store(false, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_half_springs_it_and_half_does_not() {
        let trap = Trap::default();
        trap.learn(0, 5, 2);
        assert!(!trap.is_sprung());
        trap.learn(0, 5, 3);
        assert!(trap.is_sprung());
    }

    #[test]
    fn only_a_first_attempt_with_nothing_missing_releases_it() {
        let trap = Trap::default();
        trap.learn(0, 2, 2);
        trap.learn(1, 2, 0);
        assert!(trap.is_sprung(), "a second attempt does not");
        trap.learn(0, 2, 1);
        assert!(trap.is_sprung(), "nor one that lacks a file");
        trap.learn(0, 2, 0);
        assert!(!trap.is_sprung());
    }
}
