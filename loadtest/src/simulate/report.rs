//! What a simulated day says: in JSON for programs, as a table for people.

use serde::Serialize;

use super::SimulateConfig;
use super::counts::{Counts, Ledger, Load, Phase};
use crate::cluster::table;

/// All of a day.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SimulateReport {
    /// The fleet.
    pub config: SimulateConfig,
    /// In order.
    pub phases: Vec<PhaseReport>,
    /// Of each minute from the beginning, at six o'clock.
    pub minutes: Vec<Counts>,
    /// Of each shard.
    pub shards: Vec<ShardReport>,
    /// Blobs that the CAS holds at the end.
    pub blobs: usize,
}

/// A stretch of the day.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PhaseReport {
    /// When and what.
    pub name: String,
    /// Its length; what was begun in it may end later.
    pub seconds: f64,
    /// What happened.
    #[serde(flatten)]
    pub counts: Counts,
    /// Of compiles that ended well, in the simulation's own time.
    pub p50_ms: u64,
    /// See `p50_ms`.
    pub p99_ms: u64,
    /// See `p50_ms`.
    pub worst_ms: u64,
    /// Shards that are left.
    pub shards: usize,
    /// Questions to one of them, in the mean.
    pub mean_questions: f64,
    /// Questions to the one that is asked most.
    pub worst_questions: u64,
    /// Keys and digests asked of one of them, in the mean.
    pub mean_items: f64,
    /// Keys and digests asked of the one that is asked most.
    pub worst_items: u64,
}

/// A shard.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ShardReport {
    /// Its name.
    pub name: String,
    /// What it owns of all hashes while all are there, as a part of the mean.
    pub share: f64,
    /// Its load in each phase.
    pub loads: Vec<Load>,
}

impl SimulateReport {
    pub(super) fn new(
        config: SimulateConfig,
        ledger: &Ledger,
        shares: &[f64],
        blobs: usize,
    ) -> Self {
        let (phases, minutes) = ledger.told();
        let shards = shares.iter().enumerate().map(|(number, share)| ShardReport {
            name: format!("shard-{number}"),
            share: *share,
            loads: phases.iter().map(|(phase, _)| phase.loads[number]).collect(),
        });
        Self {
            shards: shards.collect(),
            phases: phases
                .iter()
                .map(|(phase, length)| told(phase, length.as_secs_f64()))
                .collect(),
            minutes,
            blobs,
            config,
        }
    }

    /// Compiles that ended without an object.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.phases.iter().map(|phase| phase.counts.failed).sum()
    }

    /// A line for each phase.
    #[must_use]
    pub fn table(&self) -> String {
        format!("{}(calls and questions a compile)\n", table(self.rows()))
    }

    /// A head, and a row for each phase.
    pub(super) fn rows(&self) -> Vec<[String; 13]> {
        let head = [
            "",
            "compiles",
            "failed",
            "hits",
            "GetActionResult",
            "Execute",
            "FindMissing",
            "BatchUpdate",
            "shards asked",
            "Redis asked",
            "p99 ms",
            "shard mean/s",
            "worst/s",
        ];
        let mut rows = vec![head.map(str::to_owned)];
        rows.extend(self.phases.iter().map(PhaseReport::row));
        rows
    }
}

impl PhaseReport {
    /// So much of it a compile.
    #[must_use]
    pub fn per_compile(&self, count: u64) -> f64 {
        count as f64 / self.counts.compiles.max(1) as f64
    }

    fn row(&self) -> [String; 13] {
        let counts = &self.counts;
        let per = |count| format!("{:.3}", self.per_compile(count));
        [
            self.name.clone(),
            counts.compiles.to_string(),
            counts.failed.to_string(),
            format!("{:.1} %", 100.0 * self.per_compile(counts.hits)),
            per(counts.get_action_result),
            per(counts.execute),
            per(counts.find_missing),
            per(counts.batch_update),
            per(counts.shard_questions),
            per(counts.redis_questions),
            self.p99_ms.to_string(),
            format!("{:.1}", self.mean_questions / self.seconds),
            format!("{:.1}", self.worst_questions as f64 / self.seconds),
        ]
    }
}

fn told(phase: &Phase, seconds: f64) -> PhaseReport {
    let left = phase.loads.iter().enumerate().filter(|(number, _)| !phase.lost.contains(number));
    let left: Vec<Load> = left.map(|(_, load)| *load).collect();
    let mean = |of: fn(&Load) -> u64| left.iter().map(of).sum::<u64>() as f64 / left.len() as f64;
    let worst = |of: fn(&Load) -> u64| left.iter().map(of).max().unwrap_or(0);
    PhaseReport {
        name: phase.name.clone(),
        seconds,
        counts: phase.counts,
        p50_ms: phase.times.value_at_quantile(0.5),
        p99_ms: phase.times.value_at_quantile(0.99),
        worst_ms: phase.times.max(),
        shards: left.len(),
        mean_questions: mean(|load| load.questions),
        worst_questions: worst(|load| load.questions),
        mean_items: mean(|load| load.items),
        worst_items: worst(|load| load.items),
    }
}
