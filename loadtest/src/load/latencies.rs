//! Durations by the thousand, and what is told of them.

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::report::LatencyReport;

/// Where a curve of percentiles is told.
const CURVE: [f64; 15] =
    [0.0, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 97.5, 99.0, 99.5, 99.75, 99.9, 99.95, 99.99, 100.0];

/// Durations in microseconds, to a part in a thousand.
#[derive(Clone, Debug)]
pub(crate) struct Latencies {
    histogram: Histogram<u64>,
}

impl Default for Latencies {
    fn default() -> Self {
        let histogram = Histogram::new(3).expect("3 digits are among those that it can have");
        Self { histogram }
    }
}

impl Latencies {
    pub(crate) fn add(&mut self, duration: Duration) {
        self.add_micros(duration.as_micros().try_into().unwrap_or(u64::MAX));
    }

    pub(crate) fn add_millis(&mut self, millis: f64) {
        // As casts go, what is too large becomes the largest.
        self.add_micros((millis * 1e3).round() as u64);
    }

    fn add_micros(&mut self, micros: u64) {
        // A day at most, so that one wild figure does not cost memory.
        let micros = micros.min(24 * 3_600_000_000);
        self.histogram.record(micros).expect("it grows to hold a day");
    }

    /// Takes those of another in.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.histogram.add(&other.histogram).expect("it grows to hold a day");
    }

    pub(crate) fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// Milliseconds at a quantile, from 0 to 1; 0 of nothing.
    pub(crate) fn at(&self, quantile: f64) -> f64 {
        millis(self.histogram.value_at_quantile(quantile) as f64)
    }

    pub(crate) fn mean(&self) -> f64 {
        millis(self.histogram.mean())
    }

    pub(crate) fn max(&self) -> f64 {
        millis(self.histogram.max() as f64)
    }

    pub(crate) fn report(&self) -> LatencyReport {
        LatencyReport {
            min: millis(self.histogram.min() as f64),
            mean: self.mean(),
            p50: self.at(0.5),
            p90: self.at(0.9),
            p99: self.at(0.99),
            p99_9: self.at(0.999),
            max: self.max(),
        }
    }

    /// Percentiles and the milliseconds at them; none of nothing.
    pub(crate) fn curve(&self) -> Vec<(f64, f64)> {
        if self.count() == 0 {
            return Vec::new();
        }
        CURVE.iter().map(|percent| (*percent, self.at(percent / 100.0))).collect()
    }
}

/// Milliseconds of microseconds, to the microsecond.
fn millis(micros: f64) -> f64 {
    micros.round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_within_a_thousandth() {
        let mut latencies = Latencies::default();
        (1..=1000).for_each(|n| latencies.add(Duration::from_millis(n)));
        let report = latencies.report();
        let near = |told: f64, exact: f64| (told - exact).abs() <= exact / 1000.0;
        assert!(near(report.min, 1.0) && near(report.max, 1000.0), "{report:?}");
        assert!(near(report.p50, 500.0) && near(report.p90, 900.0), "{report:?}");
        assert!(near(report.p99, 990.0) && near(report.p99_9, 999.0), "{report:?}");
        assert!(near(report.mean, 500.5), "{report:?}");
        assert_eq!(latencies.curve().len(), CURVE.len());
    }

    #[test]
    fn of_nothing_nothing_is_told() {
        let latencies = Latencies::default();
        assert_eq!(latencies.report(), LatencyReport::default());
        assert!(latencies.curve().is_empty());
    }

    #[test]
    fn wild_figures_are_held() {
        let mut latencies = Latencies::default();
        latencies.add(Duration::MAX);
        latencies.add_millis(f64::MAX);
        assert_eq!(latencies.count(), 2);
    }
}
