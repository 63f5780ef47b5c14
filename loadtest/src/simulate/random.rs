//! Chance that is the same on every run and release.

use std::time::Duration;

/// A number that looks like chance and is a function of another: the end of SplitMix64.
pub(super) fn mix(n: u64) -> u64 {
    let n = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

/// 32 bytes that look like a hash and are a function of a number.
pub(super) fn spread(n: u64) -> [u8; 32] {
    let mut bytes = [0; 32];
    let words = (1..).map(|word: u64| mix(n ^ word.wrapping_mul(0xd6e8_feb8_6659_fd93)));
    for (eight, word) in bytes.chunks_exact_mut(8).zip(words) {
        eight.copy_from_slice(&word.to_be_bytes());
    }
    bytes
}

/// How long something takes whose median this is: a little more or less, sometimes much more.
pub(super) fn about(median: Duration, random: u64) -> Duration {
    let share = (random >> 11) as f64 / (1_u64 << 53) as f64;
    median.mul_f64(0.5 + 0.375 / (1.001 - share).powf(0.4166))
}
