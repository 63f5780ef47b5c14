//! When an answer is no longer wanted; handed down through every call so that all waits add up to it.

use std::future::Future;
use std::time::Duration;

use futures::FutureExt;
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
    // An `async fn` would hold the work twice, as its argument and as what it waits for; those around it
    // would hold it four times, and move all of it.
    pub fn bound<T>(
        self,
        what: &str,
        work: impl Future<Output = Result<T>>,
    ) -> impl Future<Output = Result<T>> {
        let late = move |_| Err(Error::new(Code::DeadlineExceeded, format!("{what}: out of time")));
        tokio::time::timeout_at(self.0, work).map(move |ended| ended.unwrap_or_else(late))
    }
}

/// Reads how long the caller of a gRPC call waits, at most eight digits and a unit:
/// <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>.
#[must_use]
pub fn read_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(count * 3600)),
        "M" => Some(Duration::from_secs(count * 60)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_read_in_every_unit() {
        assert_eq!(read_timeout("2H"), Some(Duration::from_secs(7200)));
        assert_eq!(read_timeout("15S"), Some(Duration::from_secs(15)));
        assert_eq!(read_timeout("99999999u"), Some(Duration::from_micros(99_999_999)));
        assert_eq!(read_timeout("3m"), Some(Duration::from_millis(3)));
        let longest = Duration::from_secs(99_999_999 * 3600);
        assert_eq!(read_timeout("99999999H"), Some(longest));
        for bad in ["", "S", "5", "-1S", "+1S", "5s", "100000000S", "18446744073709551615H"] {
            assert_eq!(read_timeout(bad), None, "{bad:?}");
        }
    }
}
