//! Tells every second how a run is going, and looks at the server's processes.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use super::latencies::Latencies;
use super::sender::Sender;
use super::server_process::ServerProcesses;
use crate::error::Result;
use crate::lock::lock;

/// How a run is going.
#[derive(Clone, Debug)]
pub enum Progress {
    /// What is being done before it.
    Preparing(String),
    /// Requests of the warm-up are under way.
    WarmingUp {
        /// How many.
        under_way: usize,
    },
    /// Figures so far.
    Running {
        /// Since the end of the warm-up.
        elapsed: Duration,
        /// Right answers a second, in the time since the last word.
        rate: f64,
        /// Milliseconds, since the end of the warm-up.
        p50: f64,
        /// Milliseconds, since the end of the warm-up.
        p99: f64,
        /// Answers that were not right.
        errors: u64,
        /// Requests that found no room.
        dropped: u64,
        /// Requests under way.
        under_way: usize,
    },
}

/// Begins to look at these processes, if they are any.
///
/// # Errors
/// Names the flag when there is no such process.
pub(crate) fn begin(pids: &[u32]) -> Result<Option<ServerProcesses>> {
    (!pids.is_empty()).then(|| ServerProcesses::watch(pids)).transpose()
}

/// Looks every second, without end.
pub(crate) async fn watch(
    sender: &Sender,
    warmup: Duration,
    pids: &[u32],
    server: &mut Option<ServerProcesses>,
    told: &impl Fn(Progress),
) {
    let mut before = 0;
    let mut began = false;
    let mut ticks = tokio::time::interval_at(sender.start + warmup, Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    if !warmup.is_zero() {
        told(Progress::WarmingUp { under_way: sender.under_way.load(Ordering::Relaxed) });
    }
    loop {
        ticks.tick().await;
        let elapsed = sender.start.elapsed().saturating_sub(warmup);
        let under_way = sender.under_way.load(Ordering::Relaxed);
        if !began {
            began = true;
            // What the warm-up cost is none of the run's.
            *server = begin(pids).ok().flatten();
            continue;
        }
        if let Some(server) = server {
            server.sample(elapsed);
        }
        let measured = lock(&sender.measured);
        let right = measured.requests() - measured.wrong();
        let all: &Latencies = measured.all();
        let progress = Progress::Running {
            elapsed,
            rate: (right - before) as f64,
            p50: all.at(0.5),
            p99: all.at(0.99),
            errors: measured.wrong(),
            dropped: measured.dropped(),
            under_way,
        };
        before = right;
        drop(measured);
        told(progress);
    }
}
