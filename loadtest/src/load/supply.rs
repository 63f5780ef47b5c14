//! Makes requests ahead of time, and lets those of an open loop go when they are due.
//!
//! Both on threads of their own: making a request takes a millisecond of computing, and the runtime's
//! timers are a millisecond coarse, which is longer than a cached answer takes.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::material::{Making, Material, Request};
use super::workload::Workload;
use crate::error::Result;

/// Requests that wait to be due or taken, and bytes in them.
const AHEAD: usize = 64;
const AHEAD_BYTES: usize = 64 << 20;
/// Requests that are due and have not been taken: more than are due in any moment.
const DUE: usize = 1024;
/// How often a thread that waits looks whether anybody still does.
const LOOK: Duration = Duration::from_millis(100);

/// A request and the time, since the run began, at which it should leave.
#[derive(Debug)]
pub(crate) struct Due {
    pub(crate) at: Duration,
    pub(crate) request: Request,
}

/// Makes requests for as long as they are taken, in the order of their numbers.
pub(crate) fn make(
    material: Arc<Material>,
    workload: Workload,
    making: Making,
) -> mpsc::Receiver<Result<Request>> {
    let ahead = (AHEAD_BYTES / material.largest().max(1)).clamp(2, AHEAD);
    let (made, taken) = mpsc::channel(ahead);
    // It ends when the other end is dropped.
    tokio::task::spawn_blocking(move || {
        for number in 0.. {
            let request = material.request(workload.choose(number), &making);
            let failed = request.is_err();
            if made.blocking_send(request).is_err() || failed {
                return;
            }
        }
    });
    taken
}

/// Hands these over as they are taken.
pub(crate) fn give(
    requests: impl Iterator<Item = Request> + Send + 'static,
) -> mpsc::Receiver<Result<Request>> {
    let (made, taken) = mpsc::channel(AHEAD);
    // It ends after the last of them, or when the other end is dropped.
    tokio::task::spawn_blocking(move || {
        for request in requests {
            if made.blocking_send(Ok(request)).is_err() {
                return;
            }
        }
    });
    taken
}

/// Hands each request over when it is due; times count from `start`, and end at `end`.
pub(crate) fn pace(
    mut requests: mpsc::Receiver<Result<Request>>,
    times: impl Iterator<Item = Duration> + Send + 'static,
    start: Instant,
    end: Duration,
) -> mpsc::Receiver<Result<Due>> {
    let (due, taken) = mpsc::channel(DUE);
    // It ends after the last time, or when the other end is dropped.
    tokio::task::spawn_blocking(move || {
        for at in times.take_while(|at| *at < end) {
            let Some(request) = requests.blocking_recv() else { return };
            while let Some(left) = at.checked_sub(start.elapsed()).filter(|left| !left.is_zero()) {
                if due.is_closed() {
                    return;
                }
                std::thread::park_timeout(left.min(LOOK));
            }
            if due.blocking_send(request.map(|request| Due { at, request })).is_err() {
                return;
            }
        }
    });
    taken
}
