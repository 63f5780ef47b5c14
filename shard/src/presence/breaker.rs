//! When presence is worth nothing: a backend that loses much of what it was seen to hold is asked
//! about everything for a while. Pure.

use std::time::Duration;

use tokio::time::Instant;

/// So many wrong entries within [`WINDOW`] open it: more than one compile's few lost headers, less
/// than one compile's closure in a backend that was wiped.
const WRONG: u64 = 20;
const WINDOW: Duration = Duration::from_secs(60);
/// It stays open for so long the first time, twice that each time it opens again soon.
const FIRST_PAUSE: Duration = Duration::from_secs(30);
const MAX_PAUSE: Duration = Duration::from_secs(10 * 60);

/// Closed: presence is believed. Open: it is not.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    wrong: u64,
    window_began: Option<Instant>,
    open_until: Option<Instant>,
    /// The last pause, and when it was over.
    last: Option<(Duration, Instant)>,
}

impl Breaker {
    /// So many entries were wrong. How long it stays open, if that opened it.
    pub(super) fn wrong(&mut self, count: u64, now: Instant) -> Option<Duration> {
        if self.is_open(now) {
            return None;
        }
        if self.window_began.is_none_or(|began| now - began > WINDOW) {
            self.window_began = Some(now);
            self.wrong = 0;
        }
        self.wrong += count;
        if self.wrong < WRONG {
            return None;
        }
        let pause = match self.last {
            Some((pause, over)) if now.saturating_duration_since(over) < 2 * pause => {
                (pause * 2).min(MAX_PAUSE)
            }
            _ => FIRST_PAUSE,
        };
        self.open_until = Some(now + pause);
        self.last = Some((pause, now + pause));
        self.window_began = None;
        Some(pause)
    }

    /// Whether the CAS is asked about everything now.
    pub(super) fn is_open(&self, now: Instant) -> bool {
        self.open_until.is_some_and(|until| now < until)
    }

    /// Whether it has closed since it was last asked.
    pub(super) fn closed(&mut self, now: Instant) -> bool {
        self.open_until.take_if(|until| now >= *until).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_opens_on_a_burst_and_longer_each_time() {
        let mut breaker = Breaker::default();
        let start = Instant::now();
        assert_eq!(breaker.wrong(WRONG - 1, start), None);
        assert_eq!(breaker.wrong(WRONG - 1, start + WINDOW * 2), None, "no burst");
        let now = start + WINDOW * 4;
        assert_eq!(breaker.wrong(WRONG, now), Some(FIRST_PAUSE));
        assert!(breaker.is_open(now));
        assert_eq!(breaker.wrong(WRONG, now), None, "it is open");
        let now = now + FIRST_PAUSE;
        assert!(!breaker.is_open(now) && breaker.closed(now) && !breaker.closed(now));
        assert_eq!(breaker.wrong(WRONG, now), Some(FIRST_PAUSE * 2), "again soon");
        let now = now + Duration::from_secs(60 * 60);
        assert_eq!(breaker.wrong(WRONG, now), Some(FIRST_PAUSE), "that was long ago");
    }
}
