//! A whole build as JSON.

use std::time::Duration;

use serde::Serialize;

use super::compile::{CompileReport, millis};
use crate::client::Outcome;

/// Sums over all compiles, and each of them.
#[derive(Clone, Debug, Serialize)]
pub struct BuildReport {
    /// All of them.
    pub compiles: usize,
    /// Those that no Goma client sends; they ran here.
    pub local: usize,
    /// Those without the result that they should have.
    pub failed: usize,
    /// Those whose result the server had already.
    pub cache_hits: usize,
    /// Execs sent.
    pub attempts: u64,
    /// Names in all `missing_input` lists.
    pub missing_total: u64,
    /// Bytes written on the wire.
    pub bytes_sent: u64,
    /// Bytes read from the wire.
    pub bytes_received: u64,
    /// Outputs equal to those of a local compile.
    pub identical: usize,
    /// Names of those that are not.
    pub different: Vec<String>,
    /// Finding all inputs, before anything is sent.
    pub scan_ms: f64,
    /// From the first compile sent to the last one done.
    pub wall_ms: f64,
    /// Of the latencies of those sent.
    pub p50_ms: f64,
    /// Of the latencies of those sent.
    pub p99_ms: f64,
    /// Each compile, in the list's order.
    pub results: Vec<UnitReport>,
}

/// One compile of a build.
#[derive(Clone, Debug, Serialize)]
pub struct UnitReport {
    /// The source file, as the list names it.
    pub name: String,
    /// Why it counts as failed.
    pub failure: Option<String>,
    /// What the compiler said, where it failed.
    pub stderr: Option<String>,
    /// Outputs equal to the local ones.
    pub identical: Vec<String>,
    /// Outputs that are not.
    pub different: Vec<String>,
    /// The compile itself.
    #[serde(flatten)]
    pub compile: CompileReport,
}

impl UnitReport {
    pub(crate) fn new(name: String, outcome: &Outcome) -> Self {
        let status = outcome.exit_status;
        let failure = match &outcome.failure {
            Some(failure) => Some(failure.clone()),
            None => (status != 0).then(|| format!("compiler's exit status {status}")),
        };
        let stderr = failure.is_some() && !outcome.stderr.is_empty();
        Self {
            name,
            failure,
            stderr: stderr.then(|| String::from_utf8_lossy(&outcome.stderr).into_owned()),
            identical: Vec::new(),
            different: Vec::new(),
            compile: CompileReport::from(outcome),
        }
    }

    /// It counts as failed, for this reason unless there is one already.
    pub(crate) fn fail(&mut self, reason: String) {
        self.failure.get_or_insert(reason);
    }

    /// The compiler refused the source here and there.
    pub(crate) fn agree_on_failure(&mut self) {
        self.failure = None;
    }

    /// Takes note of an output's comparison.
    pub(crate) fn compared(&mut self, output: &str, equal: bool) {
        let list = if equal { &mut self.identical } else { &mut self.different };
        list.push(output.to_owned());
    }
}

impl BuildReport {
    pub(crate) fn new(results: Vec<UnitReport>, scan: Duration, wall: Duration) -> Self {
        let sum = |of: fn(&CompileReport) -> u64| results.iter().map(|r| of(&r.compile)).sum();
        let count = |of: fn(&UnitReport) -> bool| results.iter().filter(|r| of(r)).count();
        let mut latencies: Vec<f64> = results
            .iter()
            .filter(|r| r.compile.attempts > 0)
            .map(|r| r.compile.latency_ms)
            .collect();
        latencies.sort_by(f64::total_cmp);
        Self {
            compiles: results.len(),
            local: count(|r| r.compile.not_remote),
            failed: count(|r| r.failure.is_some()),
            cache_hits: count(|r| r.compile.cache_hit),
            attempts: sum(|r| r.attempts.into()),
            missing_total: sum(|r| r.missing_total as u64),
            bytes_sent: sum(|r| r.bytes_sent),
            bytes_received: sum(|r| r.bytes_received),
            identical: results.iter().map(|r| r.identical.len()).sum(),
            different: results.iter().flat_map(|r| r.different.clone()).collect(),
            scan_ms: millis(scan),
            wall_ms: millis(wall),
            p50_ms: percentile(&latencies, 50),
            p99_ms: percentile(&latencies, 99),
            results,
        }
    }

    /// Whether all compiles have the results that they should have.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.failed == 0 && self.different.is_empty()
    }
}

/// The nearest rank; 0 of nothing.
fn percentile(sorted: &[f64], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let sorted: Vec<f64> = (1..=200).map(f64::from).collect();
        assert_eq!(percentile(&sorted, 50).to_bits(), 100.0_f64.to_bits());
        assert_eq!(percentile(&sorted, 99).to_bits(), 198.0_f64.to_bits());
        assert_eq!(percentile(&sorted[..1], 99).to_bits(), 1.0_f64.to_bits());
        assert_eq!(percentile(&[], 50).to_bits(), 0.0_f64.to_bits());
    }

    #[test]
    fn a_difference_or_a_failure_is_no_success() {
        let report = |change: fn(&mut UnitReport)| {
            let mut unit = UnitReport::new("a.c".into(), &Outcome::default());
            change(&mut unit);
            BuildReport::new(vec![unit], Duration::ZERO, Duration::ZERO)
        };
        assert!(report(|unit| unit.compared("a.o", true)).is_success());
        assert!(!report(|unit| unit.compared("a.o", false)).is_success());
        assert!(!report(|unit| unit.fail("why".into())).is_success());
    }
}
