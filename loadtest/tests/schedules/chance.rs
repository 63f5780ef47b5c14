//! Chance that depends on a seed and on what it is asked about, never on the order of the questions:
//! sets have no order of their own, and a schedule must be the same each time it is played.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use goma_common::Digest;

/// All chance of one schedule.
pub struct Chance {
    seed: u64,
    /// How often each thing was asked about.
    asked: Mutex<HashMap<u64, u64>>,
}

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self { seed, asked: Mutex::default() }
    }

    /// 0 to 1; another value each time the same thing is asked about.
    pub fn share(&self, of: impl Hash) -> f64 {
        let what = self.mixed(&of, 0);
        let count = {
            let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            let count = asked.entry(what).or_default();
            *count += 1;
            *count
        };
        self.mixed(&of, count) as f64 / u64::MAX as f64
    }

    /// Mostly short, sometimes up to `longest`.
    pub fn delay(&self, longest: Duration, of: impl Hash) -> Duration {
        longest.mul_f64(self.share(of).powi(4))
    }

    /// A number for each thing, always the same one.
    pub fn rank(&self, of: impl Hash) -> u64 {
        self.mixed(&of, 0)
    }

    fn mixed(&self, of: &impl Hash, count: u64) -> u64 {
        let mut hasher = Bytes::default();
        (self.seed, of, count).hash(&mut hasher);
        hasher.finish()
    }
}

/// FNV-1a, mixed at its end so that near things lie far apart; the same on every run and release.
struct Bytes(u64);

impl Default for Bytes {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Bytes {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        // The end of SplitMix64.
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// A set of blobs as one number, whatever their order.
pub fn set(digests: impl IntoIterator<Item = Digest>) -> u64 {
    let first = |digest: Digest| digest.hash.iter().take(8).fold(0, |n, b| n << 8 | u64::from(*b));
    digests.into_iter().map(first).fold(0, u64::wrapping_add)
}
