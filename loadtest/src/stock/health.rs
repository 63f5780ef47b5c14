//! "Healthy recently": whether the last three seconds' requests mostly worked.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// What is looked at.
const WINDOW: Duration = Duration::from_secs(3);
/// Share of failures that is still healthy, in per cent.
const TOLERATED: usize = 30;

/// Statuses of a client's recent requests; 0 stands for no status at all.
#[derive(Debug, Default)]
pub struct Health {
    recent: VecDeque<(Instant, u16)>,
}

impl Health {
    /// Takes note of a finished request.
    pub fn record(&mut self, now: Instant, status: u16) {
        self.forget(now);
        self.recent.push_back((now, status));
    }

    /// Whether the client would try again. The request that just failed counts too, so a client
    /// that sends one request at a time never does.
    pub fn is_healthy(&mut self, now: Instant) -> bool {
        self.forget(now);
        let bad = self.recent.iter().filter(|(_, status)| *status != 200).count();
        bad * 100 <= self.recent.len() * TOLERATED
    }

    fn forget(&mut self, now: Instant) {
        while self.recent.front().is_some_and(|(at, _)| now.duration_since(*at) > WINDOW) {
            self.recent.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lone_failure_is_unhealthy_and_one_in_four_is_not() {
        let now = Instant::now();
        let mut health = Health::default();
        assert!(health.is_healthy(now));
        health.record(now, 503);
        assert!(!health.is_healthy(now));
        for _ in 0..2 {
            health.record(now, 200);
        }
        assert!(!health.is_healthy(now), "33 %");
        health.record(now, 200);
        assert!(health.is_healthy(now), "25 %");
    }

    #[test]
    fn three_seconds_later_all_is_forgotten() {
        let now = Instant::now();
        let mut health = Health::default();
        health.record(now, 0);
        assert!(!health.is_healthy(now + WINDOW));
        assert!(health.is_healthy(now + WINDOW + Duration::from_millis(1)));
    }
}
