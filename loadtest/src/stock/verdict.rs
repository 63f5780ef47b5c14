//! What follows from a failed Exec: another attempt, or the end of the compile.

use std::time::Duration;

use crate::http::Failure;

/// How a client retries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Temper {
    /// As the stock client: five attempts, at once, and only while healthy.
    Stock,
    /// As a client that wants its compile: more attempts, with pauses.
    Polite,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Send again after this pause.
    Again(Duration),
    /// Give up, for this reason.
    Stop(&'static str),
}

impl Temper {
    /// Execs a compile may take, all causes together.
    #[must_use]
    pub fn max_attempts(self) -> u32 {
        match self {
            Self::Stock => 5,
            Self::Polite => 12,
        }
    }

    /// After a call that failed on the `attempt`th Exec (from 0).
    #[must_use]
    pub fn after_failure(self, failure: &Failure, attempt: u32, healthy: bool) -> Verdict {
        let retriable = match failure {
            Failure::Status { code: 500..600, .. }
            | Failure::Write(_)
            | Failure::Broken(_)
            | Failure::BadBody(_)
            | Failure::Silence { after_first_byte: true, .. } => true,
            Failure::Status { code: 408 | 429, .. }
            | Failure::Connect { .. }
            | Failure::NoHeader
            | Failure::Silence { .. } => self == Self::Polite,
            Failure::Status { .. } | Failure::SwitchedOff => false,
        };
        if retriable {
            self.again(attempt, healthy)
        } else {
            Verdict::Stop("such a failure is never retried")
        }
    }

    /// After an answer that holds no result: missing inputs, a server's error message, an output
    /// that could not be fetched.
    #[must_use]
    pub fn again(self, attempt: u32, healthy: bool) -> Verdict {
        if attempt + 1 >= self.max_attempts() {
            return Verdict::Stop("too many attempts");
        }
        match self {
            Self::Stock if healthy => Verdict::Again(Duration::ZERO),
            Self::Stock => Verdict::Stop("unhealthy: over 30 % failures in the last 3 s"),
            Self::Polite => Verdict::Again(Duration::from_millis(100 << attempt.min(5))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Verdict = Verdict::Again(Duration::ZERO);

    fn stock(failure: Failure, healthy: bool) -> Verdict {
        Temper::Stock.after_failure(&failure, 0, healthy)
    }

    fn status(code: u16) -> Failure {
        Failure::Status { code, words: String::new() }
    }

    #[test]
    fn the_stock_client_retries_5xx_and_broken_answers_while_healthy() {
        for failure in [
            status(500),
            status(503),
            Failure::Write(String::new()),
            Failure::BadBody(String::new()),
            Failure::Broken(String::new()),
        ] {
            assert_eq!(stock(failure.clone(), true), NOW, "{failure}");
            assert!(matches!(stock(failure, false), Verdict::Stop(_)));
        }
    }

    #[test]
    fn the_stock_client_never_retries_4xx_nor_silence_nor_a_close() {
        let silence = Failure::Silence { seconds: 610, after_first_byte: false };
        for failure in [400, 401, 404, 408, 413, 429, 302, 100].map(status).into_iter().chain([
            Failure::NoHeader,
            silence,
            Failure::SwitchedOff,
        ]) {
            assert!(matches!(stock(failure.clone(), true), Verdict::Stop(_)), "{failure}");
        }
    }

    #[test]
    fn five_attempts_are_all() {
        assert_eq!(Temper::Stock.again(3, true), NOW);
        assert!(matches!(Temper::Stock.again(4, true), Verdict::Stop(_)));
    }

    #[test]
    fn the_polite_client_waits_and_tries_again() {
        let polite = |failure| Temper::Polite.after_failure(&failure, 0, false);
        assert!(matches!(polite(Failure::NoHeader), Verdict::Again(_)));
        assert!(matches!(polite(status(429)), Verdict::Again(_)));
        assert!(matches!(polite(status(400)), Verdict::Stop(_)));
    }
}
