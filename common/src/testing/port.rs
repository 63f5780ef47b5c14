//! Ports that stay free: below those that a system gives to whoever asks for any.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

/// Linux gives out 32,768 and up, and Redis as a cluster's node listens 10,000 above its own.
const FIRST: u16 = 10_000;
const COUNT: u16 = 10_000;

/// A port of 127.0.0.1 at which nobody listens, and which no other call in this process returns soon.
///
/// Port 0 would not do: once closed, it may be given to the next who asks, even the program under test.
///
/// # Panics
/// If not one port of the range is free.
pub fn free_port() -> u16 {
    static TAKEN: AtomicU16 = AtomicU16::new(0);
    // Tests of several processes begin at places of their own.
    let start = u16::try_from(std::process::id() % u32::from(COUNT)).unwrap_or(0);
    (0..COUNT)
        .map(|_| TAKEN.fetch_add(1, Ordering::Relaxed) % COUNT)
        .map(|step| FIRST + (start + step) % COUNT)
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("a free port")
}
