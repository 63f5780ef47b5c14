//! How a shard is, as it tells whoever asks for its gateways' status.

use std::collections::BTreeMap;

use serde::Serialize;

/// One shard.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ShardStatus {
    /// Its place on the ring, or its address where that is not known.
    pub name: String,
    /// Whether it serves.
    pub up: bool,
    /// Why it does not, or what is wrong with it.
    pub why: Option<String>,
    /// Its share of the ring.
    pub weight: u32,
    /// Where its facts are: `redis`, `disk` or `memory`.
    pub facts: String,
    /// Why they cannot be asked at the moment.
    pub facts_trouble: Option<String>,
    /// Seconds since it started.
    pub uptime: f64,
    /// Whether presence is not believed at the moment.
    pub breaker_open: bool,
    /// Counts since it started, by name; the same as its metrics.
    pub counts: BTreeMap<String, u64>,
}
