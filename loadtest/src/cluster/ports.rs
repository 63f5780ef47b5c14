//! Ports for the members of a cluster, which must be theirs again after a restart.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use crate::error::{Error, Result};

/// Below the ports that Linux gives to outgoing connections (32768 and up): one of those could take
/// the port of a member that is down.
const FIRST: u16 = 20_000;
const LAST: u16 = 32_000;

/// Hands out loopback ports, each once.
#[derive(Debug)]
pub(super) struct Ports {
    next: u16,
    left: u16,
}

impl Ports {
    /// Begins anywhere, so that clusters of one machine rarely meet.
    pub(super) fn new() -> Self {
        Self { next: fastrand::u16(FIRST..LAST), left: LAST - FIRST }
    }

    /// An address that is free at this moment.
    ///
    /// # Errors
    /// When there is none left.
    pub(super) fn take(&mut self) -> Result<SocketAddr> {
        while self.left > 0 {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.next));
            self.next = if self.next + 1 == LAST { FIRST } else { self.next + 1 };
            self.left -= 1;
            if TcpListener::bind(address).is_ok() {
                return Ok(address);
            }
        }
        Err(Error::member("cluster", format!("no free port from {FIRST} to {LAST}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_given_once_and_not_while_somebody_has_it() {
        let mut ports = Ports { next: LAST - 1, left: 3 };
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, FIRST));
        let first = ports.take().expect("free").port();
        let second = ports.take().expect("free").port();
        assert!(first != second && first != FIRST && second != FIRST);
        assert!((FIRST..LAST).contains(&first) && (FIRST..LAST).contains(&second));
        drop(taken);
        let mut none = Ports { next: FIRST, left: 0 };
        assert!(none.take().is_err());
    }
}
