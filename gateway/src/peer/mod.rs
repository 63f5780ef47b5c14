//! Where a request comes from: the client's address, and what the connection has shown.
//!
//! [`args`] are the flags, [`proxies`] says which addresses are proxies of ours, and so may say where a
//! request comes from in their place; [`proxy_protocol`] reads how balancers say it that do not speak
//! HTTP; [`certificate`] is the name in what a TLS client shows.

mod args;
mod certificate;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod proxies;
mod proxy_protocol;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use http::HeaderMap;

pub use args::PeerArgs;
pub use proxies::Proxies;

pub(crate) use certificate::name as certificate_name;
pub(crate) use proxy_protocol::read_header;

/// Who speaks on a connection.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    /// Of whoever opened it, as a balancer in front of us tells it where one does.
    pub(crate) address: IpAddr,
    /// The name in the certificate that was shown, if one was.
    pub(crate) certificate: Option<String>,
    /// Whether it speaks TLS with us.
    pub(crate) is_tls: bool,
    proxies: Arc<Proxies>,
}

impl Peer {
    /// Known by its address, so far.
    pub(crate) fn new(address: IpAddr, proxies: Arc<Proxies>) -> Self {
        // IPv4 on a socket of IPv6.
        Self { address: address.to_canonical(), certificate: None, is_tls: false, proxies }
    }

    /// What a URL that leads here begins with.
    pub(crate) fn scheme(&self) -> &'static str {
        if self.is_tls { "https" } else { "http" }
    }

    /// Where the request of these headers comes from: whoever opened the connection, unless that is a
    /// proxy of ours, which tells.
    pub(crate) fn client(&self, headers: &HeaderMap) -> IpAddr {
        self.proxies.client(self.address, headers)
    }

    /// Whom a proxy of ours says that the request is from. Nobody else is believed.
    pub(crate) fn user<'h>(&self, headers: &'h HeaderMap) -> Option<&'h str> {
        self.proxies.user(self.address, headers)
    }
}

impl Default for Peer {
    /// Where nobody has said.
    fn default() -> Self {
        Self::new(Ipv4Addr::UNSPECIFIED.into(), Arc::default())
    }
}
