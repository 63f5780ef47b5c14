//! One request that has come to its end, and whether it counts.

use std::time::Duration;

use super::checked::Fault;

/// The requests that count: those that were due from the end of the warm-up on, for so long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) warmup: Duration,
    pub(crate) duration: Duration,
}

/// One request that has come to its end.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    /// Since the run began, as are the next two.
    pub(crate) due: Duration,
    pub(crate) left: Duration,
    pub(crate) ended: Duration,
    /// Place in the list of sizes.
    pub(crate) size: usize,
    /// Whether the server had the result already, or what was wrong.
    pub(crate) result: Result<bool, Fault>,
    pub(crate) sent: u64,
    pub(crate) received: u64,
    /// Bytes of files in it or in its answer.
    pub(crate) contents: u64,
    pub(crate) resent: u64,
    /// `Server-Timing`.
    pub(crate) timing: Option<String>,
}

impl Window {
    /// The time since the end of the warm-up at which a request counts, if it does.
    pub(crate) fn place(self, due: Duration) -> Option<Duration> {
        due.checked_sub(self.warmup).filter(|place| *place < self.duration)
    }

    pub(crate) fn end(self) -> Duration {
        self.warmup + self.duration
    }
}
