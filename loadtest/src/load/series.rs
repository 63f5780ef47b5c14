//! A run second by second, each request in the second in which it was due.
//!
//! So a server that stalls shows in the seconds of those who waited, not in the one in which it went on.

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::report::SecondReport;

/// Of the seconds' figures: more would be memory for nothing in a long run.
const DIGITS: u8 = 2;

/// The seconds so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Series {
    seconds: Vec<Second>,
}

#[derive(Clone, Debug)]
struct Second {
    requests: u64,
    errors: u64,
    dropped: u64,
    micros: Histogram<u32>,
}

impl Series {
    /// An answer, after this time where it was right.
    pub(crate) fn add(&mut self, due: Duration, right: Option<Duration>) {
        let second = self.second(due);
        second.requests += 1;
        match right {
            None => second.errors += 1,
            Some(latency) => {
                let micros = latency.as_micros().try_into().unwrap_or(u64::MAX);
                let micros = micros.min(24 * 3_600_000_000);
                second.micros.record(micros).expect("it grows to hold a day");
            }
        }
    }

    /// A request that was not sent.
    pub(crate) fn turn_away(&mut self, due: Duration) {
        self.second(due).dropped += 1;
    }

    pub(crate) fn report(&self) -> Vec<SecondReport> {
        let seconds = self.seconds.iter().zip(0..);
        let told = seconds.map(|(second, at_s)| {
            let millis = |quantile| second.micros.value_at_quantile(quantile) as f64 / 1e3;
            SecondReport {
                at_s,
                requests: second.requests,
                errors: second.errors,
                dropped: second.dropped,
                p50: millis(0.5),
                p99: millis(0.99),
            }
        });
        told.collect()
    }

    fn second(&mut self, due: Duration) -> &mut Second {
        let at = due.as_secs() as usize;
        while self.seconds.len() <= at {
            let micros = Histogram::new(DIGITS).expect("2 digits are among those it can have");
            self.seconds.push(Second { requests: 0, errors: 0, dropped: 0, micros });
        }
        &mut self.seconds[at]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_counts_in_the_second_in_which_it_was_due() {
        let mut series = Series::default();
        let at = Duration::from_millis;
        series.add(at(2100), Some(at(1500)));
        series.add(at(100), Some(at(10)));
        series.add(at(2900), None);
        series.turn_away(at(900));
        let told: Vec<_> = series
            .report()
            .into_iter()
            .map(|s| (s.at_s, s.requests, s.errors, s.dropped, s.p99.round()))
            .collect();
        // What a histogram of two digits tells of 1500 ms.
        assert_eq!(told[..2], [(0, 1, 0, 1, 10.0), (1, 0, 0, 0, 0.0)]);
        assert_eq!((told[2].1, told[2].2), (2, 1));
        assert!((1490.0..1511.0).contains(&told[2].4), "{told:?}");
    }
}
