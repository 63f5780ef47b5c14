//! Moments for people and scripts.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970.
pub(crate) fn seconds(when: SystemTime) -> f64 {
    when.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
