//! What a transport does on the wire, each habit a field.

use std::time::Duration;

/// Habits and bounds of a transport.
#[derive(Clone, Debug)]
pub struct Manners {
    /// Header and body leave in one write, with TCP_NODELAY.
    pub merge_writes: bool,
    /// An idle connection is looked at before it is used again.
    pub check_idle: bool,
    /// How long an idle connection is kept.
    pub keep_idle: Duration,
    /// How long a TCP handshake may take.
    pub connect: Duration,
    /// How often a connection is tried before the call fails.
    pub connect_tries: u32,
    /// How long the first byte of an answer may take.
    pub first_byte: Duration,
    /// How long an answer may pause once it has begun.
    pub silence: Duration,
    /// Largest answer, inflated or not, in bytes.
    pub max_body: usize,
}

impl Manners {
    /// As the stock client behaves.
    #[must_use]
    pub fn stock() -> Self {
        Self {
            merge_writes: false,
            check_idle: false,
            keep_idle: Duration::from_secs(5),
            connect: Duration::from_secs(10),
            connect_tries: 6,
            first_byte: Duration::from_secs(610),
            silence: Duration::from_secs(10),
            max_body: 1 << 30,
        }
    }

    /// As a considerate client behaves.
    #[must_use]
    pub fn polite() -> Self {
        Self {
            merge_writes: true,
            check_idle: true,
            keep_idle: Duration::from_secs(20),
            ..Self::stock()
        }
    }
}
