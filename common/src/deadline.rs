//! When an answer is no longer wanted; handed down through every call so that all waits add up to it.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

use crate::error::{Code, Error, Result};

/// A point in time after which nobody waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

impl Deadline {
    /// So long from now.
    #[must_use]
    pub fn after(duration: Duration) -> Self {
        Self(Instant::now() + duration)
    }

    /// The earlier of this and so long from now, which may be for ever.
    #[must_use]
    pub fn at_most(self, duration: Duration) -> Self {
        Instant::now().checked_add(duration).map_or(self, |then| self.min(Self(then)))
    }

    /// Time left; zero when it has passed.
    #[must_use]
    pub fn remaining(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// Whether it has passed.
    #[must_use]
    pub fn is_past(self) -> bool {
        self.remaining().is_zero()
    }

    /// Waits for `work`, but no longer than this.
    ///
    /// # Errors
    /// `DeadlineExceeded` naming `what`, or the error of `work`.
    pub async fn bound<T>(self, what: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
        match tokio::time::timeout_at(self.0, work).await {
            Ok(result) => result,
            Err(_) => Err(Error::new(Code::DeadlineExceeded, format!("{what}: out of time"))),
        }
    }
}
