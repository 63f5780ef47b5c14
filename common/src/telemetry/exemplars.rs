//! Exemplars: of each bucket of a histogram of time the trace of a request that fell into it last, so that
//! a graph leads to a trace.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use super::metrics::SECONDS;
use super::open_metrics::labels;

/// One request that stands for others.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Exemplar {
    /// As 32 hexadecimal digits.
    pub(super) trace: String,
    pub(super) seconds: f64,
    pub(super) when: SystemTime,
}

/// The last of each bucket, by the name and labels of the series.
#[derive(Debug, Default)]
pub(super) struct Exemplars(Mutex<HashMap<String, Buckets>>);

type Buckets = [Option<Exemplar>; SECONDS.len() + 1];

impl Exemplars {
    /// Notes one for the series of that name, as Prometheus has it, and those labels, of which there are few.
    pub(super) fn note(&self, name: &str, with: &[(&str, &str)], exemplar: Exemplar) {
        let series = series(name, &labels(with.iter().copied()));
        let at = SECONDS.partition_point(|bound| *bound < exemplar.seconds);
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let buckets = all.entry(series).or_insert_with(|| [const { None }; SECONDS.len() + 1]);
        buckets[at] = Some(exemplar);
    }

    /// That of the bucket with this upper bound; infinity is the last one's.
    pub(super) fn of(&self, name: &str, labels: &str, bound: f64) -> Option<Exemplar> {
        let at = SECONDS.partition_point(|known| *known < bound);
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&series(name, labels))?.get(at)?.clone()
    }
}

fn series(name: &str, labels: &str) -> String {
    format!("{name}{{{labels}}}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bucket_keeps_its_last() {
        let exemplars = Exemplars::default();
        let note = |trace: &str, seconds| {
            let exemplar = Exemplar { trace: trace.to_owned(), seconds, when: SystemTime::now() };
            exemplars.note("x_seconds", &[("outcome", "hit"), ("kind", "exec")], exemplar);
        };
        for (trace, seconds) in [("a", 0.003), ("b", 0.005), ("c", 0.0051), ("d", 1e9)] {
            note(trace, seconds);
        }
        let of = |bound| {
            let found = exemplars.of("x_seconds", r#"kind="exec",outcome="hit""#, bound);
            found.map(|exemplar| exemplar.trace)
        };
        let told = [0.002, 0.005, 0.01, 0.02, 600.0, f64::INFINITY].map(of);
        let told: Vec<_> = told.iter().map(Option::as_deref).collect();
        assert_eq!(told, [None, Some("b"), Some("c"), None, None, Some("d")]);
        assert!(exemplars.of("x_seconds", r#"kind="exec",outcome="ran""#, 0.005).is_none());
    }
}
