//! What a shard counts: for its metrics, and for gateways that ask how it is.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use goma_common::telemetry::metrics;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Histogram};

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// File keys asked for, and those of them that are known.
    Keys,
    KnownKeys,
    /// Blobs that are to be present, and those that are believed to be without asking.
    Blobs,
    BelievedBlobs,
    /// Blobs that the CAS was asked about, and those of them that it lacked.
    AskedBlobs,
    LackedBlobs,
    /// Blobs and bytes that were uploaded.
    Uploads,
    UploadedBytes,
    /// Blobs that were believed to be there and were not.
    FalsePositives,
}

/// All of it, in the order of the enum, by the names that people see.
const NAMES: [(&str, &str); 9] = [
    ("goma_shard_keys", "File keys asked for"),
    ("goma_shard_known_keys", "File keys that were known"),
    ("goma_shard_blobs", "Blobs that are to be present in the CAS"),
    ("goma_shard_believed_blobs", "Blobs believed to be present without asking the CAS"),
    ("goma_shard_asked_blobs", "Blobs that the CAS was asked about"),
    ("goma_shard_lacked_blobs", "Blobs that the CAS said it lacks"),
    ("goma_shard_uploads", "Blobs uploaded to the CAS"),
    ("goma_shard_uploaded_bytes", "Bytes uploaded to the CAS"),
    ("goma_shard_false_positives", "Blobs believed to be present that were not"),
];

static COUNTERS: LazyLock<[Counter<u64>; NAMES.len()]> =
    LazyLock::new(|| NAMES.map(|(name, told)| metrics::counter(name, told)));
static BATCHES: LazyLock<Histogram<u64>> =
    LazyLock::new(|| metrics::sizes("goma_shard_batch_blobs", "Blobs in one call to the CAS"));
static BREAKER: LazyLock<Gauge<u64>> =
    LazyLock::new(|| metrics::gauge("goma_shard_breaker_open", "1 while presence is not believed"));

/// The counts of one shard.
pub(crate) struct Counts {
    started: Instant,
    sums: [AtomicU64; NAMES.len()],
}

impl Default for Counts {
    fn default() -> Self {
        // There from the start, so that the first of each is seen as one more.
        COUNTERS.iter().for_each(|counter| counter.add(0, &[]));
        Self::breaker(false);
        Self { started: Instant::now(), sums: Default::default() }
    }
}

impl Counts {
    /// So many more.
    pub(crate) fn add(&self, what: What, count: usize) {
        if count > 0 {
            self.sums[what as usize].fetch_add(count as u64, Ordering::Relaxed);
            COUNTERS[what as usize].add(count as u64, &[]);
        }
    }

    /// A call to the CAS was about so many blobs.
    pub(crate) fn batch(call: &'static str, blobs: usize) {
        BATCHES.record(blobs as u64, &[KeyValue::new("call", call)]);
    }

    /// Presence is believed from now on, or not.
    pub(crate) fn breaker(is_open: bool) {
        BREAKER.record(u64::from(is_open), &[]);
    }

    /// The shard of that name is in this process: by it one finds its other metrics, which are the process's.
    pub(crate) fn shard(name: &str) {
        metrics::gauge("goma_shard_info", "Which shard this is; always 1")
            .record(1, &[KeyValue::new("shard", name.to_owned())]);
    }

    /// All sums by name, without what their names have in common.
    pub(crate) fn sums(&self) -> BTreeMap<String, u64> {
        let name = |name: &str| name.trim_start_matches("goma_shard_").to_owned();
        let sums = NAMES.iter().zip(&self.sums);
        sums.map(|((told, _), sum)| (name(told), sum.load(Ordering::Relaxed))).collect()
    }

    /// Seconds since the shard started.
    pub(crate) fn uptime(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_count_has_its_name() {
        let counts = Counts::default();
        counts.add(What::Keys, 3);
        counts.add(What::UploadedBytes, 70);
        counts.add(What::FalsePositives, 1);
        let sums = counts.sums();
        assert_eq!((sums["keys"], sums["uploaded_bytes"], sums["false_positives"]), (3, 70, 1));
        assert_eq!(sums.values().filter(|sum| **sum == 0).count(), NAMES.len() - 3);
    }
}
