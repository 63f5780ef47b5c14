//! What the server's processes cost, as their kernel counts it: only where they run on this machine.

use std::time::Duration;

use crate::error::{Error, Result};
use crate::report::{ServerReport, ServerSecond, thousandths};

/// Of `/proc/PID/stat`: Linux tells user space a hundredth of a second, whatever its own ticks are.
const MILLIS_A_TICK: u64 = 10;
/// Fields of that file before the user's and the system's time, counted after the name.
const BEFORE_TIMES: usize = 11;

/// Processes as they were at a moment, all together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Of all its threads, since it began.
    pub(crate) cpu_ms: u64,
    /// In memory now.
    pub(crate) resident: u64,
    /// The most that ever was; of several, not at one time.
    pub(crate) peak: u64,
}

/// The process of a server, or all those of a cluster, watched from second to second.
#[derive(Debug)]
pub(crate) struct ServerProcesses {
    pids: Vec<u32>,
    first: Usage,
    /// Since the watch began, with the usage then.
    samples: Vec<(Duration, Usage)>,
}

/// This program's own time so far, in milliseconds; nothing where `/proc` does not tell.
pub(crate) fn own_cpu_ms() -> u64 {
    usage(std::process::id()).map_or(0, |usage| usage.cpu_ms)
}

impl ServerProcesses {
    /// Begins to watch.
    ///
    /// # Errors
    /// Names the flag when there is no such process.
    pub(crate) fn watch(pids: &[u32]) -> Result<Self> {
        Ok(Self { pids: pids.to_vec(), first: usage_of_all(pids)?, samples: Vec::new() })
    }

    /// Looks once more. A process that is gone leaves what was seen before.
    pub(crate) fn sample(&mut self, at: Duration) {
        if let Ok(usage) = usage_of_all(&self.pids) {
            self.samples.push((at, usage));
        }
    }

    /// What that was for so many requests.
    pub(crate) fn report(&self, requests: u64) -> ServerReport {
        let last = self.samples.last().map_or(self.first, |(_, usage)| *usage);
        let cpu_ms = last.cpu_ms.saturating_sub(self.first.cpu_ms);
        let seen = self.samples.iter().map(|(_, usage)| usage.resident);
        let seen = seen.chain([self.first.resident]).max().unwrap_or(0);
        // The kernel's own peak may be of a time before the run, but not if it has grown since.
        let peak = if last.peak > self.first.peak { last.peak } else { seen };
        let mut before = (Duration::ZERO, self.first);
        let mut series = Vec::with_capacity(self.samples.len());
        for (at, usage) in &self.samples {
            let elapsed = (*at - before.0).as_secs_f64().max(0.001);
            let cpu = usage.cpu_ms.saturating_sub(before.1.cpu_ms) as f64;
            series.push(ServerSecond {
                at_s: thousandths(at.as_secs_f64()),
                cpu_ms_a_second: (cpu / elapsed).round(),
                resident_bytes: usage.resident,
            });
            before = (*at, *usage);
        }
        ServerReport {
            pids: self.pids.clone(),
            cpu_ms,
            cpu_ms_a_request: thousandths(cpu_ms as f64 / requests.max(1) as f64),
            resident_bytes: last.resident,
            peak_resident_bytes: peak,
            series,
        }
    }
}

fn usage_of_all(pids: &[u32]) -> Result<Usage> {
    pids.iter().try_fold(Usage::default(), |sum, pid| {
        let Usage { cpu_ms, resident, peak } = usage(*pid)?;
        Ok(Usage {
            cpu_ms: sum.cpu_ms + cpu_ms,
            resident: sum.resident + resident,
            peak: sum.peak + peak,
        })
    })
}

fn usage(pid: u32) -> Result<Usage> {
    let read = |name: &str| std::fs::read_to_string(format!("/proc/{pid}/{name}"));
    let parsed = read("stat").and_then(|stat| {
        let status = read("status")?;
        parse(&stat, &status).ok_or_else(|| std::io::Error::other("/proc speaks otherwise"))
    });
    parsed
        .map_err(|error| Error::Config { flag: "--server-pid", reason: format!("{pid}: {error}") })
}

fn parse(stat: &str, status: &str) -> Option<Usage> {
    // The name may hold spaces and brackets; nothing after its last bracket does.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(BEFORE_TIMES);
    let user: u64 = times.next()?.parse().ok()?;
    let system: u64 = times.next()?.parse().ok()?;
    let bytes = |name: &str| -> Option<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
        Some(kib * 1024)
    };
    Some(Usage {
        cpu_ms: (user + system) * MILLIS_A_TICK,
        resident: bytes("VmRSS:")?,
        peak: bytes("VmHWM:")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_words_are_understood() {
        let stat = "42 (a (b) c) S 1 2 3 4 5 6 7 8 9 10 150 50 11 12 20 0 9";
        let status = "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n";
        let usage = Usage { cpu_ms: 2000, resident: 1 << 20, peak: 2 << 20 };
        assert_eq!(parse(stat, status), Some(usage));
        assert_eq!(parse("42 (x) S 1", status), None);
    }

    #[test]
    fn a_process_is_told_by_its_second_and_a_request() {
        let usage = |cpu_ms, resident, peak| Usage { cpu_ms, resident, peak };
        let second = Duration::from_secs(1);
        let first = usage(1000, 10, 90);
        let mut process = ServerProcesses { pids: vec![1], first, samples: Vec::new() };
        process.samples = vec![(second, usage(1500, 70, 90)), (2 * second, usage(1600, 20, 90))];
        let report = process.report(300);
        assert_eq!((report.cpu_ms, report.resident_bytes), (600, 20));
        assert_eq!(report.cpu_ms_a_request.to_bits(), 2.0_f64.to_bits());
        assert_eq!(report.peak_resident_bytes, 70, "90 was before");
        let cpu: Vec<f64> = report.series.iter().map(|second| second.cpu_ms_a_second).collect();
        assert_eq!(cpu, [500.0, 100.0]);
        process.samples.push((3 * second, usage(1600, 20, 95)));
        assert_eq!(process.report(1).peak_resident_bytes, 95, "between two looks");
    }

    #[test]
    fn this_process_can_be_watched_and_no_other_number() {
        let own = std::process::id();
        let mut process = ServerProcesses::watch(&[own]).expect("this one runs");
        process.sample(Duration::from_secs(1));
        let resident = process.report(1).resident_bytes;
        assert!(resident > 0);
        let twice = ServerProcesses::watch(&[own, own]).expect("this one runs");
        assert!(twice.first.resident > resident * 3 / 2, "{twice:?}");
        let error = ServerProcesses::watch(&[own, u32::MAX]).expect_err("no process");
        assert!(error.to_string().starts_with("--server-pid: "), "{error}");
    }
}
