//! What happened, counted by phase and by minute.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;
use tokio::time::Instant;

/// No compile takes longer, in milliseconds.
const LONGEST: u64 = 60 * 60 * 1000;

/// What is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Compiles that ended.
    pub compiles: u64,
    /// Those that ended without an object.
    pub failed: u64,
    /// Requests that they took.
    pub execs: u64,
    /// Answers out of the action cache.
    pub hits: u64,
    /// Calls of the backend's action cache.
    pub get_action_result: u64,
    /// Calls that run an action.
    pub execute: u64,
    /// Calls that ask what the CAS lacks.
    pub find_missing: u64,
    /// Blobs in them.
    pub find_missing_digests: u64,
    /// Calls that upload small blobs.
    pub batch_update: u64,
    /// Blobs in them.
    pub batch_update_blobs: u64,
    /// Bytes in them.
    pub batch_update_bytes: u64,
    /// Questions of gateways to shards.
    pub shard_questions: u64,
    /// Keys and digests in them.
    pub shard_items: u64,
    /// Questions of shards to Redis.
    pub redis_questions: u64,
    /// Keys in them.
    pub redis_items: u64,
}

/// A shard's share of the work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Load {
    /// Questions of gateways.
    pub questions: u64,
    /// Keys and digests in them.
    pub items: u64,
}

/// A stretch of the simulated day.
#[derive(Clone, Debug)]
pub(super) struct Phase {
    pub(super) name: String,
    pub(super) began: Instant,
    /// Shards that are no more.
    pub(super) lost: Vec<usize>,
    pub(super) counts: Counts,
    pub(super) loads: Vec<Load>,
    /// Of compiles, in milliseconds.
    pub(super) times: Histogram<u64>,
}

/// All of it. The last phase is the one that is on.
pub(super) struct Ledger {
    start: Instant,
    shards: usize,
    /// Empty.
    times: Histogram<u64>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    phases: Vec<Phase>,
    minutes: Vec<Counts>,
    ended: Option<Instant>,
}

impl Ledger {
    /// # Errors
    /// None: the histogram's bounds are good ones.
    pub(super) fn new(shards: usize) -> Result<Self, hdrhistogram::CreationError> {
        let times = Histogram::new_with_bounds(1, LONGEST, 3)?;
        Ok(Self { start: Instant::now(), shards, times, state: Mutex::default() })
    }

    /// What happens from now on belongs to this phase, which goes without the lost shards.
    pub(super) fn begin(&self, name: impl Into<String>, lost: &[usize]) {
        self.state().phases.push(Phase {
            name: name.into(),
            began: Instant::now(),
            lost: lost.to_vec(),
            counts: Counts::default(),
            loads: vec![Load::default(); self.shards],
            times: self.times.clone(),
        });
    }

    /// Nothing more is counted.
    pub(super) fn end(&self) {
        self.state().ended = Some(Instant::now());
    }

    /// Counts something.
    pub(super) fn count(&self, add: impl Fn(&mut Counts)) {
        let minute = usize::try_from(self.start.elapsed().as_secs() / 60).unwrap_or(usize::MAX);
        let mut state = self.state();
        if state.ended.is_some() {
            return;
        }
        if state.minutes.len() <= minute {
            state.minutes.resize(minute + 1, Counts::default());
        }
        add(&mut state.minutes[minute]);
        if let Some(phase) = state.phases.last_mut() {
            add(&mut phase.counts);
        }
    }

    /// A question to a shard.
    pub(super) fn asked(&self, shard: usize, items: usize) {
        let items = items as u64;
        self.count(|counts| {
            counts.shard_questions += 1;
            counts.shard_items += items;
        });
        if let Some(phase) = self.state().phases.last_mut() {
            phase.loads[shard].questions += 1;
            phase.loads[shard].items += items;
        }
    }

    /// A compile that ended well after so long.
    pub(super) fn took(&self, time: Duration) {
        if let Some(phase) = self.state().phases.last_mut() {
            let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
            phase.times.saturating_record(millis);
        }
    }

    /// Phases with their lengths, and minutes.
    pub(super) fn told(&self) -> (Vec<(Phase, Duration)>, Vec<Counts>) {
        let state = self.state();
        let end = state.ended.unwrap_or_else(Instant::now);
        let ends = state.phases.iter().skip(1).map(|phase| phase.began).chain([end]);
        let phases = state.phases.iter().zip(ends);
        let phases = phases.map(|(phase, end)| (phase.clone(), end - phase.began)).collect();
        (phases, state.minutes.clone())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each critical section is a few additions, so a panic cannot leave it half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
