//! What came of the builds: for people as a table, for programs as JSON.

use serde::Serialize;

use crate::cluster::table;
use crate::report::{BuildReport, UnitReport};

/// Failures that are told in full; the others are counted.
const TOLD: usize = 50;

/// Everything that was tried.
#[derive(Clone, Debug, Serialize)]
pub struct ChaosReport {
    /// Of each scenario, in seconds.
    pub seconds: u64,
    /// The same builds with nothing happening.
    pub undisturbed: Tally,
    /// In the order in which they ran.
    pub scenarios: Vec<ScenarioReport>,
}

/// One scenario.
#[derive(Clone, Debug, Serialize)]
pub struct ScenarioReport {
    /// Its name.
    pub scenario: String,
    /// What happened, and how often.
    pub events: usize,
    /// What came of the builds.
    #[serde(flatten)]
    pub tally: Tally,
    /// By how much its slowest compile took longer than the slowest one undisturbed.
    pub worst_added_ms: f64,
    /// What had to hold and did not, in words.
    pub broken: Vec<String>,
}

/// Compiles of many builds, summed up.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Tally {
    /// Whole builds.
    pub builds: usize,
    /// All compiles.
    pub compiles: usize,
    /// Those without exit status 0, and those that were not compared.
    pub failed: usize,
    /// Those whose object is not that of a local compile.
    pub wrong: usize,
    /// Those that the server had already.
    pub cache_hits: usize,
    /// The middle of their times.
    pub p50_ms: f64,
    /// Of their times.
    pub p99_ms: f64,
    /// The longest of their times.
    pub worst_ms: f64,
    /// Why they failed, of the first ones.
    pub failures: Vec<String>,
    #[serde(skip)]
    pub(super) times: Vec<f64>,
}

impl Tally {
    /// Adds a build.
    pub(super) fn add(&mut self, report: &BuildReport) {
        self.builds += 1;
        for unit in &report.results {
            self.compiles += 1;
            self.cache_hits += usize::from(unit.compile.cache_hit);
            self.times.push(unit.compile.latency_ms);
            let failure = failure(unit);
            self.failed += usize::from(failure.is_some());
            self.wrong += usize::from(!unit.different.is_empty());
            let wrong = unit.different.iter().map(|output| format!("{output} has other bytes"));
            for why in failure.into_iter().chain(wrong) {
                let earlier = unit.compile.http_failures.join("; ");
                let told = format!("build {}: {}: {why} [{earlier}]", self.builds, unit.name);
                self.failures.push(told);
            }
        }
        self.failures.truncate(TOLD);
        self.times.sort_by(f64::total_cmp);
        self.p50_ms = rank(&self.times, 50);
        self.p99_ms = rank(&self.times, 99);
        self.worst_ms = rank(&self.times, 100);
    }

    /// Whether each compile ended well, with the right bytes, and there were some.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.compiles > 0 && self.failed == 0 && self.wrong == 0
    }
}

/// Why a compile counts as failed, other than by its bytes.
fn failure(unit: &UnitReport) -> Option<String> {
    if unit.failure.is_some() {
        return unit.failure.clone();
    }
    let compared = !unit.identical.is_empty() || !unit.different.is_empty();
    let why = match &unit.compile {
        compile if compile.not_remote => "it ran locally",
        compile if compile.exit_status != 0 => "the source is wrong",
        _ if !compared => "no object was compared",
        _ => return None,
    };
    Some(why.to_owned())
}

impl ChaosReport {
    /// Whether nothing failed or differed anywhere.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.undisturbed.is_clean() && self.scenarios.iter().all(|one| one.broken.is_empty())
    }

    /// A row a scenario, times in milliseconds.
    #[must_use]
    pub fn table(&self) -> String {
        let title = [
            "scenario", "events", "builds", "compiles", "hits", "failed", "wrong", "p50", "p99",
            "worst", "added",
        ];
        let row = |name: &str, events: usize, tally: &Tally, added: f64| {
            [
                name.to_owned(),
                events.to_string(),
                tally.builds.to_string(),
                tally.compiles.to_string(),
                tally.cache_hits.to_string(),
                tally.failed.to_string(),
                tally.wrong.to_string(),
                format!("{:.0}", tally.p50_ms),
                format!("{:.0}", tally.p99_ms),
                format!("{:.0}", tally.worst_ms),
                format!("{added:.0}"),
            ]
        };
        let mut rows = vec![title.map(ToOwned::to_owned)];
        rows.push(row("undisturbed", 0, &self.undisturbed, 0.0));
        for one in &self.scenarios {
            rows.push(row(&one.scenario, one.events, &one.tally, one.worst_added_ms));
        }
        table(rows)
    }
}

impl ScenarioReport {
    pub(super) fn new(
        scenario: String,
        events: usize,
        tally: Tally,
        undisturbed: &Tally,
        broken: Vec<String>,
    ) -> Self {
        let worst_added_ms = (tally.worst_ms - undisturbed.worst_ms).max(0.0);
        Self { scenario, events, tally, worst_added_ms, broken }
    }
}

/// The nearest rank; 0 of nothing.
fn rank(sorted: &[f64], percent: usize) -> f64 {
    let at = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(at - 1).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Outcome;

    fn build(change: impl Fn(&mut UnitReport)) -> BuildReport {
        let mut unit = UnitReport::new("a.c".into(), &Outcome::default());
        unit.compared("a.o", true);
        change(&mut unit);
        BuildReport::new(vec![unit], Default::default(), Default::default())
    }

    fn tally(change: impl Fn(&mut UnitReport)) -> Tally {
        let mut tally = Tally::default();
        tally.add(&build(change));
        tally
    }

    #[test]
    fn a_compile_counts_only_with_exit_0_and_the_right_bytes() {
        assert!(tally(|_| {}).is_clean());
        assert!(!Tally::default().is_clean(), "nothing was built");
        let failed = tally(|unit| unit.fail("why".into()));
        assert_eq!((failed.failed, failed.wrong), (1, 0));
        assert_eq!(failed.failures, ["build 1: a.c: why []"]);
        let wrong = tally(|unit| unit.compared("b.o", false));
        assert_eq!((wrong.failed, wrong.wrong), (0, 1));
        assert_eq!(tally(|unit| unit.identical.clear()).failed, 1, "nothing was compared");
        assert_eq!(tally(|unit| unit.compile.not_remote = true).failed, 1, "a local run");
        assert_eq!(
            tally(|unit| unit.compile.exit_status = 1).failed,
            1,
            "agreed on, yet no object"
        );
    }

    #[test]
    fn times_are_over_all_builds_and_compared_with_the_undisturbed_ones() {
        let mut all = Tally::default();
        for n in 1..=200 {
            all.add(&build(|unit| unit.compile.latency_ms = f64::from(n)));
        }
        assert_eq!((all.p50_ms, all.p99_ms, all.worst_ms), (100.0, 198.0, 200.0));
        let calm = tally(|unit| unit.compile.latency_ms = 150.0);
        let one = ScenarioReport::new("x".into(), 1, all, &calm, Vec::new());
        assert!((one.worst_added_ms - 50.0).abs() < f64::EPSILON);
        let report = ChaosReport { seconds: 1, undisturbed: calm, scenarios: vec![one] };
        assert!(report.table().contains("x            1       200     200       0     0"));
    }
}
