//! What has been measured so far.

use std::collections::BTreeMap;
use std::time::Duration;

use super::checked::Fault;
use super::latencies::Latencies;
use super::sample::{Sample, Window};
use super::series::Series;
use super::timing;
use crate::report::{
    GeneratorReport, LoadReport, SettingsReport, SizeReport, StageReport, thousandths,
};

/// Figures that grow with each request.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    window: Window,
    sizes: Vec<Size>,
    all: Latencies,
    late: Latencies,
    errors: BTreeMap<String, u64>,
    /// The first of each kind.
    examples: BTreeMap<String, String>,
    dropped: u64,
    series: Series,
    stages: BTreeMap<String, Latencies>,
    sent: u64,
    received: u64,
    contents: u64,
    cache_hits: u64,
    resent: u64,
    starved: Duration,
    /// When the last one that counts ended, since the end of the warm-up.
    last: Duration,
}

#[derive(Clone, Debug, Default)]
struct Size {
    latencies: Latencies,
    errors: u64,
}

impl Measured {
    pub(crate) fn new(window: Window, sizes: usize) -> Self {
        Self {
            window,
            sizes: vec![Size::default(); sizes],
            all: Latencies::default(),
            late: Latencies::default(),
            errors: BTreeMap::new(),
            examples: BTreeMap::new(),
            dropped: 0,
            series: Series::default(),
            stages: BTreeMap::new(),
            sent: 0,
            received: 0,
            contents: 0,
            cache_hits: 0,
            resent: 0,
            starved: Duration::ZERO,
            last: Duration::ZERO,
        }
    }

    pub(crate) fn add(&mut self, sample: Sample) {
        let Some(place) = self.window.place(sample.due) else { return };
        self.last = self.last.max(sample.ended.saturating_sub(self.window.warmup));
        self.late.add(sample.left.saturating_sub(sample.due));
        self.sent += sample.sent;
        self.received += sample.received;
        self.resent += sample.resent;
        let latency = sample.ended.saturating_sub(sample.due);
        self.series.add(place, sample.result.is_ok().then_some(latency));
        let size = &mut self.sizes[sample.size];
        match sample.result {
            Err(Fault { kind, words }) => {
                size.errors += 1;
                self.examples.entry(kind.clone()).or_insert(words);
                *self.errors.entry(kind).or_default() += 1;
            }
            Ok(cache_hit) => {
                size.latencies.add(latency);
                self.all.add(latency);
                self.contents += sample.contents;
                self.cache_hits += u64::from(cache_hit);
                for (stage, millis) in timing::stages(sample.timing.as_deref().unwrap_or("")) {
                    self.stages.entry(stage.to_owned()).or_default().add_millis(millis);
                }
            }
        }
    }

    /// A request found no room.
    pub(crate) fn turn_away(&mut self, due: Duration) {
        if let Some(place) = self.window.place(due) {
            self.dropped += 1;
            self.series.turn_away(place);
        }
    }

    /// A worker waited for a request to be made.
    pub(crate) fn starve(&mut self, at: Duration, waited: Duration) {
        if self.window.place(at).is_some() {
            self.starved += waited;
        }
    }

    /// Of right answers.
    pub(crate) fn all(&self) -> &Latencies {
        &self.all
    }

    pub(crate) fn wrong(&self) -> u64 {
        self.errors.values().sum()
    }

    /// Right and wrong ones.
    pub(crate) fn requests(&self) -> u64 {
        self.all.count() + self.wrong()
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// The run ends at this time since it began, before it should have.
    pub(crate) fn stop(&mut self, at: Duration) {
        self.window.duration = at.saturating_sub(self.window.warmup).min(self.window.duration);
    }

    /// All of it. Of a closed loop it is known how many workers there were.
    pub(crate) fn report(&self, settings: SettingsReport) -> LoadReport {
        // A run that was stopped within its warm-up has measured nothing in no time.
        let duration_s = self.last.max(self.window.duration).as_secs_f64().max(0.001);
        let of_contents = ["store", "lookup"].contains(&settings.verb.as_str());
        let bytes = if of_contents { self.contents } else { self.sent + self.received };
        let workers = settings.workers.unwrap_or(0).max(1) as f64;
        let stages = self.stages.iter().map(|(name, stage)| {
            let (answers, mean, p99) = (stage.count(), stage.mean(), stage.at(0.99));
            (name.clone(), StageReport { answers, mean, p99 })
        });
        LoadReport {
            requests: self.requests(),
            errors: self.errors.clone(),
            examples: self.examples.clone(),
            dropped: self.dropped,
            duration_s: thousandths(duration_s),
            rate: thousandths(self.all.count() as f64 / duration_s),
            latency_ms: self.all.report(),
            curve: self.all.curve(),
            throughput_mb_s: thousandths(bytes as f64 / 1e6 / duration_s),
            bytes_sent: self.sent,
            bytes_received: self.received,
            cache_hits: self.cache_hits,
            resent: self.resent,
            by_inputs: self.by_inputs(&settings.inputs),
            series: self.series.report(),
            stages: (!self.stages.is_empty()).then(|| stages.collect()),
            server: None,
            generator: GeneratorReport {
                late_p99_ms: self.late.at(0.99),
                late_max_ms: self.late.max(),
                starved_share: thousandths(self.starved.as_secs_f64() / (workers * duration_s)),
                cores: 0.0,
            },
            settings,
        }
    }
}

impl Measured {
    /// By size; one that is listed twice, so that it comes twice as often, is told once.
    fn by_inputs(&self, inputs: &[usize]) -> BTreeMap<String, SizeReport> {
        let mut merged: BTreeMap<usize, Size> = BTreeMap::new();
        for (inputs, size) in inputs.iter().zip(&self.sizes) {
            let sum = merged.entry(*inputs).or_default();
            sum.errors += size.errors;
            sum.latencies.merge(&size.latencies);
        }
        let told = merged.into_iter().map(|(inputs, Size { latencies, errors })| {
            let requests = latencies.count() + errors;
            let latency_ms = latencies.report();
            (inputs.to_string(), SizeReport { requests, errors, latency_ms })
        });
        told.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn measured() -> Measured {
        Measured::new(Window { warmup: 2 * SECOND, duration: 10 * SECOND }, 2)
    }

    fn settings() -> SettingsReport {
        SettingsReport { verb: "exec".into(), inputs: vec![100, 500], ..Default::default() }
    }

    fn sample(due: Duration, latency: Duration) -> Sample {
        Sample {
            due,
            left: due,
            ended: due + latency,
            size: 1,
            result: Ok(true),
            sent: 1_000_000,
            received: 0,
            contents: 5,
            resent: 0,
            timing: Some("job;dur=2".into()),
        }
    }

    #[test]
    fn only_what_was_due_within_the_time_counts() {
        let mut measured = measured();
        for due in [SECOND, 2 * SECOND, 11 * SECOND, 12 * SECOND] {
            measured.add(sample(due, SECOND / 10));
            measured.turn_away(due);
        }
        let report = measured.report(settings());
        assert_eq!((report.requests, report.dropped), (2, 2));
        assert_eq!(report.series.len(), 10);
        assert_eq!(report.by_inputs["500"].requests, 2);
        assert_eq!(report.by_inputs["100"].requests, 0);
        assert_eq!(report.stages.expect("told")["job"].answers, 2);
    }

    #[test]
    fn a_late_end_is_part_of_the_duration() {
        let mut measured = measured();
        measured.add(sample(11 * SECOND, 11 * SECOND));
        let report = measured.report(settings());
        assert_eq!(report.duration_s.to_bits(), 20.0_f64.to_bits());
        assert_eq!(report.rate.to_bits(), 0.05_f64.to_bits());
        assert_eq!(report.throughput_mb_s.to_bits(), 0.05_f64.to_bits());
    }

    #[test]
    fn the_time_before_a_request_left_is_part_of_its_latency() {
        let mut measured = measured();
        measured.add(Sample { left: 5 * SECOND, ..sample(3 * SECOND, 3 * SECOND) });
        let report = measured.report(settings());
        assert!((2990.0..3010.0).contains(&report.latency_ms.max), "{:?}", report.latency_ms);
        assert!((1990.0..2010.0).contains(&report.generator.late_max_ms));
    }

    #[test]
    fn a_size_that_is_listed_twice_is_told_once() {
        let mut measured = measured();
        measured.add(sample(3 * SECOND, SECOND));
        measured.add(Sample { size: 0, ..sample(3 * SECOND, SECOND) });
        let settings = SettingsReport { inputs: vec![100, 100], ..settings() };
        let report = measured.report(settings);
        assert_eq!((report.by_inputs.len(), report.by_inputs["100"].requests), (1, 2));
    }

    #[test]
    fn a_run_that_was_stopped_took_as_long_as_it_did() {
        let mut measured = measured();
        measured.add(sample(3 * SECOND, SECOND));
        measured.stop(6 * SECOND);
        assert_eq!(measured.report(settings()).duration_s.to_bits(), 4.0_f64.to_bits());
        measured.stop(SECOND);
        assert_eq!(measured.report(settings()).duration_s.to_bits(), 2.0_f64.to_bits());
    }

    #[test]
    fn wrong_answers_are_counted_by_kind_and_have_no_latency() {
        let mut measured = measured();
        for kind in ["http_503", "http_503", "timeout"] {
            let result = Err(Fault::new(kind, "words"));
            measured.add(Sample { result, ..sample(3 * SECOND, SECOND) });
        }
        let report = measured.report(settings());
        assert_eq!((report.requests, report.wrong(), report.errors["http_503"]), (3, 3, 2));
        assert_eq!(report.latency_ms.max.to_bits(), 0.0_f64.to_bits());
        assert_eq!((report.series[1].requests, report.series[1].errors), (3, 3));
        assert!(report.stages.is_none());
    }
}
