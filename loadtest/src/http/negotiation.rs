//! Learns from the server's answers how to compress what is sent next.

use std::sync::Mutex;

use super::encoding::Coding;
use crate::lock::lock;

/// What one client process currently sends and advertises.
#[derive(Debug)]
pub(super) struct Negotiation {
    /// What the user set: advertised whenever compression is on at all.
    wanted: Option<Coding>,
    now: Mutex<State>,
}

/// How the next request is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State {
    /// Value of Accept-Encoding.
    pub(super) advertise: Option<Coding>,
    /// How the body is compressed.
    pub(super) send: Option<Coding>,
}

impl Negotiation {
    pub(super) fn new(wanted: Option<Coding>) -> Self {
        Self { wanted, now: Mutex::new(State { advertise: wanted, send: wanted }) }
    }

    pub(super) fn now(&self) -> State {
        *lock(&self.now)
    }

    /// Takes note of an answer.
    pub(super) fn learn(&self, status: u16, accept_encoding: Option<&str>) {
        if self.wanted.is_none() {
            return;
        }
        let mut now = lock(&self.now);
        match status {
            200 => {
                let send = accept_encoding.and_then(choose);
                // An answer without the header also ends the advertising.
                *now = State { advertise: send.and(self.wanted), send };
            }
            400 | 415 => now.send = None,
            _ => {}
        }
    }
}

/// The first element that begins with the name of a coding we know.
fn choose(accept_encoding: &str) -> Option<Coding> {
    accept_encoding.split(',').map(str::trim).find_map(|element| {
        [Coding::Gzip, Coding::Deflate].into_iter().find(|c| element.starts_with(c.name()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_known_element_decides() {
        assert_eq!(choose("gzip, deflate"), Some(Coding::Gzip));
        assert_eq!(choose("br, deflate;q=1, gzip"), Some(Coding::Deflate));
        assert_eq!(choose("identity"), None);
    }

    #[test]
    fn an_answer_without_the_header_ends_compression_and_advertising() {
        let negotiation = Negotiation::new(Some(Coding::Gzip));
        negotiation.learn(200, None);
        assert_eq!(negotiation.now(), State { advertise: None, send: None });
        negotiation.learn(200, Some("deflate"));
        let again = State { advertise: Some(Coding::Gzip), send: Some(Coding::Deflate) };
        assert_eq!(negotiation.now(), again);
    }

    #[test]
    fn a_400_ends_compression_until_the_next_200() {
        let negotiation = Negotiation::new(Some(Coding::Gzip));
        negotiation.learn(400, Some("gzip"));
        assert_eq!(negotiation.now().send, None);
        negotiation.learn(503, Some("gzip"));
        assert_eq!(negotiation.now().send, None);
        negotiation.learn(200, Some("gzip"));
        assert_eq!(negotiation.now().send, Some(Coding::Gzip));
    }

    #[test]
    fn who_wants_no_compression_learns_none() {
        let negotiation = Negotiation::new(None);
        negotiation.learn(200, Some("gzip"));
        assert_eq!(negotiation.now(), State { advertise: None, send: None });
    }
}
