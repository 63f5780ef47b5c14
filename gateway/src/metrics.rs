//! What a gateway counts.

use std::sync::LazyLock;

use goma_common::telemetry::metrics;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Histogram, UpDownCounter};

use crate::trail::{End, Ended, Kind};

struct Metrics {
    requests: Histogram<f64>,
    stages: Histogram<f64>,
    under_way: UpDownCounter<i64>,
    received: Counter<u64>,
    sent: Counter<u64>,
    keys: Counter<u64>,
    joined: Counter<u64>,
    given_up: Counter<u64>,
    unknown_flags: Counter<u64>,
    mismatches: Counter<u64>,
    queued: Histogram<f64>,
    ran: Histogram<f64>,
    saved: Counter<f64>,
    shard_calls: Histogram<f64>,
    shards: Gauge<u64>,
    ring: Gauge<u64>,
}

static METRICS: LazyLock<Metrics> = LazyLock::new(|| {
    use metrics::{bytes, counter, gauge, meter, seconds};
    Metrics {
        requests: seconds("goma_request", "Requests of clients, by kind and outcome"),
        stages: seconds("goma_stage", "Stages of requests"),
        under_way: meter()
            .i64_up_down_counter("goma_requests_under_way")
            .with_description("Requests that wait for room, arrive or are served")
            .build(),
        received: bytes("goma_request_body", "Bodies of requests, as sent"),
        sent: bytes("goma_answer_body", "Bodies of answers, as sent"),
        keys: counter("goma_file_keys", "File keys asked for, by who knew them"),
        joined: counter("goma_joined", "Compiles that another request ran meanwhile"),
        given_up: counter("goma_given_up", "Executions given up, as nobody waited for them"),
        unknown_flags: counter("goma_unknown_flags", "Flags that no table knows, by family"),
        mismatches: counter("goma_mismatches", "Contents that were not what their keys said"),
        queued: seconds("goma_worker_queue", "Actions in the backend's queue, as it tells"),
        ran: seconds("goma_worker_run", "Compilers on workers, as the backend tells"),
        saved: meter()
            .f64_counter("goma_worker_saved")
            .with_description("Workers' time that cached results saved")
            .with_unit("s")
            .build(),
        shard_calls: seconds("goma_shard_call", "Calls to shards, by shard, method and end"),
        shards: gauge("goma_shards", "Shards, by whether they are up"),
        ring: gauge("goma_ring_version", "32 bits of the ring's hash: gateways must agree"),
    }
});

/// Counts a request that was answered.
pub(crate) fn ended(ended: &Ended) {
    let (kind, told) = (ended.kind.name(), &ended.told);
    let which = [KeyValue::new("kind", kind), KeyValue::new("outcome", told.end.name())];
    METRICS.requests.record(ended.took.as_secs_f64(), &which);
    METRICS.received.add(told.received as u64, &which[..1]);
    METRICS.sent.add(told.sent as u64, &which[..1]);
    if ended.kind == Kind::Exec {
        for stage in &ended.stages {
            METRICS.stages.record(stage.took.as_secs_f64(), &[KeyValue::new("stage", stage.name)]);
        }
    }
    if told.joined {
        METRICS.joined.add(1, &[]);
    }
    match (&told.end, told.worker.ran) {
        (End::Hit { .. }, Some(ran)) => METRICS.saved.add(ran.as_secs_f64(), &[]),
        (End::Ran { .. }, Some(ran)) => METRICS.ran.record(ran.as_secs_f64(), &[]),
        _ => {}
    }
    if let (End::Ran { .. }, Some(queued)) = (&told.end, told.worker.queued) {
        METRICS.queued.record(queued.as_secs_f64(), &[]);
    }
}

/// The trace of a request is sent, and stands for others that took as long.
pub(crate) fn is_traced(ended: &Ended) {
    if let Some(trace) = &ended.told.trace {
        let which = [("kind", ended.kind.name()), ("outcome", ended.told.end.name())];
        metrics::exemplar("goma_request_seconds", &which, ended.took.as_secs_f64(), trace);
    }
}

/// A request under way, counted until this is dropped.
pub(crate) struct UnderWay(&'static str);

impl UnderWay {
    /// One that waits for room.
    pub(crate) fn waiting() -> Self {
        Self::count("waiting", 1);
        Self("waiting")
    }

    /// There is room for its body, which is on its way: how long that takes is the client's line's.
    pub(crate) fn arrives(&mut self) {
        self.turn("arriving");
    }

    /// It waits for room again, to be worked on.
    pub(crate) fn waits(&mut self) {
        self.turn("waiting");
    }

    /// It is worked on from now on.
    pub(crate) fn is_served(&mut self) {
        self.turn("served");
    }

    fn turn(&mut self, state: &'static str) {
        Self::count(std::mem::replace(&mut self.0, state), -1);
        Self::count(state, 1);
    }

    fn count(state: &'static str, change: i64) {
        METRICS.under_way.add(change, &[KeyValue::new("state", state)]);
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        Self::count(self.0, -1);
    }
}

/// Counts file keys by who knew them: `"gateway"`, `"shard"` or nobody, `"unknown"`.
pub(crate) fn keys(found: &'static str, count: usize) {
    if count > 0 {
        METRICS.keys.add(count as u64, &[KeyValue::new("found", found)]);
    }
}

/// Counts an execution that the backend was told to give up, as nobody waited for it.
pub(crate) fn given_up() {
    METRICS.given_up.add(1, &[]);
}

/// Counts a flag that the table of its family lacks.
pub(crate) fn unknown_flag(family: &'static str) {
    METRICS.unknown_flags.add(1, &[KeyValue::new("family", family)]);
}

/// Counts contents that were not what their key said.
pub(crate) fn mismatch() {
    METRICS.mismatches.add(1, &[]);
}

/// Counts a call to a shard; `code` is the error's, or nothing.
pub(crate) fn shard_call(shard: &str, method: &'static str, code: &'static str, seconds: f64) {
    let which = [
        KeyValue::new("shard", shard.to_owned()),
        KeyValue::new("method", method),
        KeyValue::new("code", code),
    ];
    METRICS.shard_calls.record(seconds, &which);
}

/// A new ring over the shards of a backend: so many are up, and so many are not.
pub(crate) fn ring(backend: &str, hash: u64, up: usize, out: usize) {
    let backend = KeyValue::new("backend", backend.to_owned());
    let with = |state| [backend.clone(), KeyValue::new("state", state)];
    METRICS.shards.record(up as u64, &with("up"));
    METRICS.shards.record(out as u64, &with("out"));
    METRICS.ring.record(hash & u64::from(u32::MAX), std::slice::from_ref(&backend));
}
