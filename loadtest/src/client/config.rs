//! What one client process is set to do.

use std::time::Duration;

use crate::http::{Coding, Manners, Server, TransportConfig};
use crate::stock::Temper;

/// How the stock client names itself; it ends in a space where the build has no date.
const USER_AGENT: &str = "compiler-proxy built by goma-loadtest at 0000000@0 on 2026-01-01 ";

/// Settings of a client process. [`ClientConfig::new`] has the defaults.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// Where the Goma server is.
    pub server: Server,
    /// As awkward as the stock client, or considerate.
    pub stock: bool,
    /// Of everything random: what is embedded, pauses.
    pub seed: u64,
    /// The header's value.
    pub user_agent: String,
    /// Bearer token.
    pub token: Option<String>,
    /// Name the toolchain in each request; else the server must have the compiler registered.
    pub toolchain_included: bool,
    /// What `RBE_exec_root` would be set to.
    pub exec_root: Option<String>,
    /// What is advertised as Accept-Encoding; `None` for no compression.
    pub coding: Option<Coding>,
    /// Platform dimensions besides `os:linux`.
    pub dimensions: Vec<String>,
    /// Files younger than this are embedded unasked.
    pub young: Duration,
    /// Ask `/ping` before the first compile, as the stock client does.
    pub ping: bool,
    /// Habits on the wire; those of the chosen temper unless a test shortens them.
    pub manners: Manners,
}

impl ClientConfig {
    /// A polite client, or with `stock` one like the stock client, of this server.
    #[must_use]
    pub fn new(server: Server, stock: bool) -> Self {
        Self {
            server,
            stock,
            seed: 0,
            user_agent: USER_AGENT.to_owned(),
            token: None,
            toolchain_included: true,
            exec_root: None,
            coding: Some(Coding::Gzip),
            dimensions: Vec::new(),
            young: Duration::from_secs(60),
            ping: true,
            manners: if stock { Manners::stock() } else { Manners::polite() },
        }
    }

    /// How this client retries.
    #[must_use]
    pub fn temper(&self) -> Temper {
        if self.stock { Temper::Stock } else { Temper::Polite }
    }

    pub(crate) fn transport(&self) -> TransportConfig {
        TransportConfig {
            server: self.server.clone(),
            user_agent: self.user_agent.clone(),
            token: self.token.clone(),
            coding: self.coding,
            manners: self.manners.clone(),
            throttle: self.stock,
            seed: self.seed,
        }
    }
}
