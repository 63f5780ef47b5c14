//! A 302, 401 or 403 switches remote compiles off for minutes; then they come back by and by.

use std::time::Duration;

use tokio::time::Instant;

const OFF_AT_LEAST: Duration = Duration::from_secs(10 * 60);
const OFF_SPREAD: Duration = Duration::from_secs(10 * 60);
const RAMP: Duration = Duration::from_secs(10 * 60);

/// Whether a client sends its compiles at all.
#[derive(Debug)]
pub struct RemoteSwitch {
    /// From when on compiles are sent again, a growing share of them.
    enabled_from: Option<Instant>,
    random: fastrand::Rng,
}

impl RemoteSwitch {
    /// A client that sends.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { enabled_from: None, random: fastrand::Rng::with_seed(seed) }
    }

    /// Takes note of an answer's status.
    pub fn learn(&mut self, status: u16, now: Instant) {
        match (status, self.enabled_from) {
            (302 | 401 | 403, before) => {
                let from = now + OFF_AT_LEAST + OFF_SPREAD.mul_f64(self.random.f64());
                self.enabled_from = Some(before.map_or(from, |before| before.max(from)));
            }
            // A compile that was under way works after all: the ramp begins.
            (200..300, Some(from)) if now < from => self.enabled_from = Some(now),
            (200..300, Some(from)) if now >= from + RAMP => self.enabled_from = None,
            _ => {}
        }
    }

    /// Whether the next compile is sent: no, yes, or by lot while ramping up.
    pub fn is_on(&mut self, now: Instant) -> bool {
        match self.enabled_from {
            None => true,
            Some(from) if now < from => false,
            Some(from) => {
                let share = now.duration_since(from).as_secs_f64() / RAMP.as_secs_f64();
                self.random.f64() < share
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn off_for_ten_minutes_and_all_back_after_the_ramp() {
        let now = Instant::now();
        let mut switch = RemoteSwitch::new(7);
        assert!(switch.is_on(now));
        switch.learn(503, now);
        assert!(switch.is_on(now));
        switch.learn(401, now);
        assert!(!switch.is_on(now + OFF_AT_LEAST));
        let back = now + OFF_AT_LEAST + OFF_SPREAD + RAMP;
        assert!(switch.is_on(back));
        switch.learn(200, back);
        assert_eq!(switch.enabled_from, None);
    }

    #[test]
    fn an_answer_in_between_begins_the_ramp() {
        let now = Instant::now();
        let mut switch = RemoteSwitch::new(7);
        switch.learn(403, now);
        switch.learn(200, now + Duration::from_secs(1));
        let halfway = now + Duration::from_secs(1) + RAMP / 2;
        let sent = (0..1000).filter(|_| switch.is_on(halfway)).count();
        assert!((400..600).contains(&sent), "{sent}");
    }
}
