//! Requests for the tests of this folder.

use std::time::{Duration, SystemTime};

use crate::trail::{End, Ended, Kind, Told};

/// A compile of that build, so many seconds after 1970.
pub(super) fn ended(end: End, build: &str, second: u64) -> Ended {
    Ended {
        kind: Kind::Exec,
        when: SystemTime::UNIX_EPOCH + Duration::from_secs(second),
        took: Duration::from_millis(1),
        stages: Vec::new(),
        told: Told { build: build.to_owned(), end, ..Told::default() },
    }
}
