//! The way to the server: whose requests they are, and how they are written.

use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use tokio::time::Instant;

use super::measured::Measured;
use super::sample::Window;
use super::sender::Sender;
use crate::client::ClientConfig;
use crate::http::{Caller, CallerConfig, Coding, Manners, Server};

/// Settings of the wire.
#[derive(Clone, Debug)]
pub struct Way {
    /// Where to.
    pub server: Server,
    /// As the user wrote it.
    pub url: String,
    /// Bearer tokens of the users; none for one user without.
    pub tokens: Vec<String>,
    /// Head and body in two writes, with Nagle's algorithm on, as the stock client has them.
    pub two_writes: bool,
    /// Of bodies.
    pub coding: Option<Coding>,
    /// How long one request may take.
    pub timeout: Duration,
}

impl Way {
    /// Each user's token.
    pub(crate) fn users(&self) -> Vec<Option<String>> {
        match &*self.tokens {
            [] => vec![None],
            tokens => tokens.iter().cloned().map(Some).collect(),
        }
    }

    /// On the wire nothing is tried twice, and nothing waits longer than the deadline.
    fn manners(&self) -> Manners {
        let manners = if self.two_writes { Manners::stock() } else { Manners::polite() };
        Manners {
            connect: Duration::from_secs(5),
            connect_tries: 1,
            first_byte: self.timeout,
            ..manners
        }
    }

    /// What sends requests of so many sizes, from now on.
    pub(crate) fn sender(&self, window: Window, sizes: usize) -> Sender {
        let caller = |token| {
            Caller::new(CallerConfig {
                server: self.server.clone(),
                user_agent: ClientConfig::new(self.server.clone(), true).user_agent,
                token,
                coding: self.coding,
                manners: self.manners(),
                deadline: self.timeout,
            })
        };
        Sender {
            callers: self.users().into_iter().map(caller).collect(),
            coding: self.coding,
            start: Instant::now(),
            measured: Mutex::new(Measured::new(window, sizes)),
            under_way: AtomicUsize::new(0),
        }
    }
}
