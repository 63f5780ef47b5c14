//! Holds requests back in a second that saw an error.

use std::time::Duration;

use tokio::time::Instant;

/// Requests a client starts in one second.
const MAX_PER_SECOND: u32 = 700;
const MIN_PAUSE: Duration = Duration::from_millis(500);
const MAX_PAUSE: Duration = Duration::from_secs(5);
const FACTOR: f64 = 1.4;

/// A client's running second, and how long it currently pauses.
#[derive(Debug)]
pub struct Throttle {
    second: Instant,
    errors: u32,
    started: u32,
    pause: Duration,
    random: fastrand::Rng,
}

impl Throttle {
    /// A client whose first second begins now.
    #[must_use]
    pub fn new(now: Instant, seed: u64) -> Self {
        let random = fastrand::Rng::with_seed(seed);
        Self { second: now, errors: 0, started: 0, pause: MIN_PAUSE, random }
    }

    /// `None`: the request may start. Else how long to wait before asking again.
    pub fn try_start(&mut self, now: Instant) -> Option<Duration> {
        self.turn(now);
        if self.errors > 0 || self.started >= MAX_PER_SECOND {
            return Some(self.pause());
        }
        self.started += 1;
        None
    }

    /// Takes note of a finished request.
    pub fn record(&mut self, now: Instant, ok: bool) {
        self.turn(now);
        if ok {
            self.pause = self.pause.div_f64(FACTOR).max(MIN_PAUSE);
        } else {
            self.pause = self.pause.mul_f64(FACTOR).min(MAX_PAUSE);
            self.errors += 1;
        }
    }

    /// The current pause less up to 40 %.
    pub fn pause(&mut self) -> Duration {
        self.pause.mul_f64(0.6 + 0.4 * self.random.f64())
    }

    fn turn(&mut self, now: Instant) {
        let elapsed = now.duration_since(self.second).as_secs();
        if elapsed > 0 {
            self.second += Duration::from_secs(elapsed);
            self.errors = 0;
            self.started = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_holds_back_until_its_second_is_over() {
        let start = Instant::now();
        let mut throttle = Throttle::new(start, 1);
        assert_eq!(throttle.try_start(start), None);
        throttle.record(start, false);
        let pause = throttle.try_start(start).expect("held back");
        assert!(pause >= MIN_PAUSE.mul_f64(0.6) && pause <= MIN_PAUSE.mul_f64(1.41));
        assert_eq!(throttle.try_start(start + Duration::from_secs(1)), None);
    }

    #[test]
    fn pauses_grow_with_errors_and_shrink_with_answers() {
        let now = Instant::now();
        let mut throttle = Throttle::new(now, 1);
        for _ in 0..20 {
            throttle.record(now, false);
        }
        assert_eq!(throttle.pause, MAX_PAUSE);
        for _ in 0..20 {
            throttle.record(now, true);
        }
        assert_eq!(throttle.pause, MIN_PAUSE);
    }

    #[test]
    fn at_most_700_start_in_a_second() {
        let now = Instant::now();
        let mut throttle = Throttle::new(now, 1);
        let started = (0..1000).filter(|_| throttle.try_start(now).is_none()).count();
        assert_eq!(started, 700);
    }
}
