//! Delays between tries: doubling, capped, and jittered so that clients that failed together do not
//! come back together.

use std::time::Duration;

/// An endless series of delays.
#[derive(Clone, Debug)]
pub struct Backoff {
    next: Duration,
    max: Duration,
}

impl Backoff {
    /// Delays of about `first`, then twice that, and so on up to `max`.
    #[must_use]
    pub fn new(first: Duration, max: Duration) -> Self {
        Self { next: first, max }
    }

    /// The next delay: between half and the whole of its nominal value.
    pub fn delay(&mut self) -> Duration {
        let nominal = self.next.min(self.max);
        self.next = nominal * 2;
        nominal.mul_f64(0.5 + fastrand::f64() / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_cap_and_keep_within_their_jitter() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_millis(300));
        for nominal in [100, 200, 300, 300] {
            let delay = backoff.delay().as_millis();
            assert!(delay >= nominal / 2 && delay <= nominal, "{delay} of {nominal}");
        }
    }
}
