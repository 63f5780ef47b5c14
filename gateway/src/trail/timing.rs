//! The stages of a request in the header of its answer, by <https://www.w3.org/TR/server-timing/>: a load
//! test, or whoever looks, sees where the time went.

use std::fmt::Write;
use std::time::Duration;

use http::{HeaderName, HeaderValue};

use super::Ended;

/// The header.
pub(crate) const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// Each stage in milliseconds, its times added where it was entered more than once, and all of it.
pub(crate) fn value(ended: &Ended) -> Option<HeaderValue> {
    let mut sums: Vec<(&str, Duration)> = Vec::with_capacity(ended.stages.len());
    for stage in &ended.stages {
        match sums.iter_mut().find(|(name, _)| *name == stage.name) {
            Some((_, sum)) => *sum += stage.took,
            None => sums.push((stage.name, stage.took)),
        }
    }
    sums.push(("total", ended.took));
    let mut text = String::with_capacity(24 * sums.len());
    for (name, took) in sums {
        let separator = if text.is_empty() { "" } else { ", " };
        // Writing to a string does not fail.
        let _ = write!(text, "{separator}{name};dur={:.3}", took.as_secs_f64() * 1e3);
    }
    HeaderValue::try_from(text).ok()
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::super::{Kind, Stage, Told};
    use super::*;

    #[test]
    fn stages_are_told_in_order_and_once() {
        let stage =
            |name, micros| Stage { name, at: Duration::ZERO, took: Duration::from_micros(micros) };
        let ended = Ended {
            kind: Kind::Exec,
            when: SystemTime::UNIX_EPOCH,
            took: Duration::from_millis(2),
            stages: vec![stage("job", 123), stage("cached", 500), stage("job", 1000)],
            told: Told::default(),
        };
        let value = value(&ended).expect("a header");
        assert_eq!(value, "job;dur=1.123, cached;dur=0.500, total;dur=2.000");
    }
}
