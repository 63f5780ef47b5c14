//! When the requests of an open loop are due, whatever became of those before them.

use std::time::Duration;

/// How far apart requests are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Arrivals {
    /// As of many users who know nothing of each other.
    Poisson,
    /// All the same.
    Fixed,
}

/// A rate, and how it is come to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    /// Requests a second, over 0.
    pub(crate) rate: f64,
    /// How long it takes to grow from nothing to that.
    pub(crate) ramp: Duration,
    pub(crate) arrivals: Arrivals,
}

impl Rate {
    /// The times from the start, without an end.
    pub(crate) fn times(self, seed: u64) -> impl Iterator<Item = Duration> {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut done = 0.0;
        std::iter::repeat_with(move || {
            done += match self.arrivals {
                Arrivals::Fixed => 1.0,
                // `f64` is never 1, so the logarithm is never of 0.
                Arrivals::Poisson => -(1.0 - random.f64()).ln(),
            };
            self.time_of(done)
        })
    }

    /// When this many requests are due: the rate, summed up over time, turned round.
    fn time_of(self, requests: f64) -> Duration {
        let ramp = self.ramp.as_secs_f64();
        let within = self.rate * ramp / 2.0;
        Duration::from_secs_f64(if requests < within {
            (2.0 * ramp * requests / self.rate).sqrt()
        } else {
            requests / self.rate + ramp / 2.0
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn before(rate: Rate, until: Duration) -> usize {
        rate.times(7).take_while(|at| *at < until).count()
    }

    #[test]
    fn fixed_ones_are_equally_far_apart() {
        let rate = Rate { rate: 4.0, ramp: Duration::ZERO, arrivals: Arrivals::Fixed };
        let times: Vec<u128> = rate.times(0).take(3).map(|at| at.as_millis()).collect();
        assert_eq!(times, [250, 500, 750]);
    }

    #[test]
    fn those_of_chance_come_at_the_rate_and_in_bursts() {
        let rate = Rate { rate: 1000.0, ramp: Duration::ZERO, arrivals: Arrivals::Poisson };
        let count = before(rate, 10 * SECOND);
        assert!((9700..10_300).contains(&count), "{count}");
        let times: Vec<Duration> = rate.times(7).take(10_000).collect();
        let close = times.windows(2).filter(|pair| pair[1] - pair[0] < SECOND / 1000);
        // 1 - 1/e of the pauses are under the mean.
        let close = close.count();
        assert!((6100..6550).contains(&close), "{close}");
    }

    #[test]
    fn a_ramp_sends_half_as_many_and_then_all() {
        let rate = Rate { rate: 100.0, ramp: 10 * SECOND, arrivals: Arrivals::Fixed };
        assert_eq!(before(rate, 5 * SECOND), 124);
        assert_eq!(before(rate, 10 * SECOND), 499);
        assert_eq!(before(rate, 11 * SECOND) - before(rate, 10 * SECOND), 100);
    }

    #[test]
    fn the_same_seed_gives_the_same_times() {
        let rate = Rate { rate: 10.0, ramp: SECOND, arrivals: Arrivals::Poisson };
        let times = |seed| rate.times(seed).take(50).collect::<Vec<_>>();
        assert_eq!(times(1), times(1));
        assert_ne!(times(1), times(2));
    }
}
