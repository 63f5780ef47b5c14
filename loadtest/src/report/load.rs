//! A load run as JSON, written by the run and read by those who compare runs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What was measured. Requests count by the moment at which they were due; those of the warm-up do not.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LoadReport {
    /// Answered, rightly or not, or given up.
    pub requests: u64,
    /// Those that were not answered rightly, by kind.
    pub errors: BTreeMap<String, u64>,
    /// What more there is to say of the first of each kind.
    pub examples: BTreeMap<String, String>,
    /// Those that were due and found too many under way; none of them was sent.
    pub dropped: u64,
    /// From the end of the warm-up to the last answer.
    pub duration_s: f64,
    /// Right answers a second.
    pub rate: f64,
    /// Of right answers, from the moment at which the request was due to the answer's last byte.
    pub latency_ms: LatencyReport,
    /// The same as pairs of a percentile and the milliseconds at it.
    pub curve: Vec<(f64, f64)>,
    /// Of store and lookup the files' contents, else all bytes on the wire; 1 MB is 1,000,000 bytes.
    pub throughput_mb_s: f64,
    /// Bytes on the wire, heads included.
    pub bytes_sent: u64,
    /// Bytes on the wire, heads included.
    pub bytes_received: u64,
    /// Results that the server had already.
    pub cache_hits: u64,
    /// Execs that were sent again with inputs that the server named as missing.
    pub resent: u64,
    /// The same for each of the sizes.
    pub by_inputs: BTreeMap<String, SizeReport>,
    /// Second by second.
    pub series: Vec<SecondReport>,
    /// What the server says it spent its time on; nothing where it says nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stages: Option<BTreeMap<String, StageReport>>,
    /// The server's process, where its number was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerReport>,
    /// Whether this program was in its own way.
    pub generator: GeneratorReport,
    /// What was asked for.
    pub settings: SettingsReport,
}

/// Milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LatencyReport {
    /// The shortest.
    pub min: f64,
    /// The mean.
    pub mean: f64,
    /// Half were no longer.
    pub p50: f64,
    /// Of ten, nine were no longer.
    pub p90: f64,
    /// Of a hundred, 99 were no longer.
    pub p99: f64,
    /// Of a thousand, 999 were no longer.
    pub p99_9: f64,
    /// The longest.
    pub max: f64,
}

/// Requests of one size.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SizeReport {
    /// Answered, rightly or not.
    pub requests: u64,
    /// Not rightly.
    pub errors: u64,
    /// Of right answers.
    pub latency_ms: LatencyReport,
}

/// Requests that were due in one second.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SecondReport {
    /// Seconds since the end of the warm-up.
    pub at_s: u64,
    /// Answered, rightly or not.
    pub requests: u64,
    /// Not rightly.
    pub errors: u64,
    /// Not sent.
    pub dropped: u64,
    /// Milliseconds.
    pub p50: f64,
    /// Milliseconds.
    pub p99: f64,
}

/// A stage of the server's work.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct StageReport {
    /// Answers that told of it.
    pub answers: u64,
    /// Milliseconds.
    pub mean: f64,
    /// Milliseconds.
    pub p99: f64,
}

/// A server's processes during a run, all together.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ServerReport {
    /// Which.
    pub pids: Vec<u32>,
    /// Time of all its threads, in the kernel's too.
    pub cpu_ms: u64,
    /// The same for one request.
    pub cpu_ms_a_request: f64,
    /// Memory at the end.
    pub resident_bytes: u64,
    /// The most memory.
    pub peak_resident_bytes: u64,
    /// Second by second.
    pub series: Vec<ServerSecond>,
}

/// A server's process in one second.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ServerSecond {
    /// Seconds since the end of the warm-up.
    pub at_s: f64,
    /// Since the last look; 1000 is one core.
    pub cpu_ms_a_second: f64,
    /// Memory at this moment.
    pub resident_bytes: u64,
}

/// How well this program kept up.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct GeneratorReport {
    /// Milliseconds by which requests of an open loop left later than due, at the 99th percentile.
    pub late_p99_ms: f64,
    /// The longest of those.
    pub late_max_ms: f64,
    /// The share of a closed loop's time in which its workers waited for requests to be made.
    pub starved_share: f64,
    /// Cores that this program kept busy, of those that the server may have wanted too.
    pub cores: f64,
}

/// What a run was asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SettingsReport {
    /// Where to.
    pub server: String,
    /// exec, store or lookup.
    pub verb: String,
    /// Of a closed loop.
    pub workers: Option<usize>,
    /// Of an open loop: requests a second.
    pub rate: Option<f64>,
    /// Of an open loop: poisson or fixed.
    pub arrivals: Option<String>,
    /// Of an open loop: how long the rate grew.
    pub ramp_s: f64,
    /// Of an open loop.
    pub max_in_flight: Option<usize>,
    /// That was measured.
    pub duration_s: f64,
    /// That was not.
    pub warmup_s: f64,
    /// Of the workload.
    pub seed: u64,
    /// Inputs of a compile, or files of a store or lookup.
    pub inputs: Vec<usize>,
    /// Size of each.
    pub input_bytes: usize,
    /// Known actions of each size.
    pub actions: usize,
    /// Of all requests, those with new files.
    pub new_share: f64,
    /// That those bring.
    pub new_files: usize,
    /// Of all requests, those that repeat a known action.
    pub hit_share: f64,
    /// Users in rotation.
    pub users: usize,
    /// Head and body apart.
    pub two_writes: bool,
    /// Of bodies.
    pub compression: bool,
    /// That one request may take.
    pub timeout_s: f64,
    /// Of compiles.
    pub compiler: Option<String>,
    /// Of a replay: how many times faster than it was recorded.
    pub speed: Option<f64>,
}

impl LoadReport {
    /// Answers that were not right.
    #[must_use]
    pub fn wrong(&self) -> u64 {
        self.errors.values().sum()
    }

    /// Why the figures are not the server's alone, if they are not.
    #[must_use]
    pub fn doubt(&self) -> Option<String> {
        let GeneratorReport { late_p99_ms, starved_share, .. } = self.generator;
        if starved_share > 0.05 {
            let percent = starved_share * 100.0;
            return Some(format!(
                "workers waited {percent:.0} % of the time for requests to be made"
            ));
        }
        let late = late_p99_ms > 10.0 && late_p99_ms > self.latency_ms.p99 / 10.0;
        late.then(|| format!("of requests, 1 % left {late_p99_ms:.0} ms late or more"))
    }
}

/// With three decimals, which is more than any of it is known to.
pub(crate) fn thousandths(figure: f64) -> f64 {
    (figure * 1e3).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read_as_it_was_written() {
        let mut report = LoadReport { requests: 3, curve: vec![(50.0, 1.5)], ..Default::default() };
        report.errors.insert("http_503".into(), 2);
        let text = serde_json::to_string(&report).expect("JSON");
        assert!(!text.contains("\"stages\"") && !text.contains("\"server\":{"), "{text}");
        let read: LoadReport = serde_json::from_str(&text).expect("a report");
        assert_eq!((read.wrong(), read.curve), (2, report.curve));
        let older: LoadReport = serde_json::from_str("{\"requests\": 3}").expect("a report");
        assert_eq!(older.requests, 3, "of a release that told less");
    }

    #[test]
    fn a_program_that_did_not_keep_up_says_so() {
        let with = |late_p99_ms, starved_share, p99| {
            let generator = GeneratorReport { late_p99_ms, starved_share, ..Default::default() };
            let latency_ms = LatencyReport { p99, ..Default::default() };
            LoadReport { generator, latency_ms, ..Default::default() }.doubt().is_some()
        };
        assert!(!with(0.3, 0.01, 5.0));
        assert!(with(0.3, 0.10, 5.0));
        assert!(with(12.0, 0.0, 14.0));
        assert!(!with(12.0, 0.0, 500.0), "it does not matter");
    }
}
