//! Proxies of ours in front of a gateway, which are believed about whose request they pass on.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName};
use ipnet::IpNet;

/// What proxies tell of the client; each adds whom it was asked by at the end.
pub(super) const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Which addresses are proxies of ours, and what they tell. Nobody is by default.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    pub(super) networks: Vec<IpNet>,
    /// Whether their connections begin with a header of the PROXY protocol.
    pub(super) announce: bool,
    /// The header in which they name the user, whom they have identified.
    pub(super) user_header: Option<HeaderName>,
}

impl Proxies {
    /// Whether whoever is at this address is one.
    pub(crate) fn includes(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(&address.to_canonical()))
    }

    /// Whether a connection from this address begins with a header of the PROXY protocol.
    pub(crate) fn announces(&self, address: IpAddr) -> bool {
        self.announce && self.includes(address)
    }

    /// Where a request comes from that this address passed on: the last one in the list that is no
    /// proxy. What stands before it anybody may have written. Pure.
    pub(super) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let told = headers.get_all(FORWARDED_FOR).iter().rev();
        let mut hops = told.flat_map(|line| line.to_str().unwrap_or("").rsplit(','));
        let mut client = peer;
        while self.includes(client) {
            match hops.next().and_then(address) {
                Some(before) => client = before,
                None => break,
            }
        }
        client
    }

    /// Whom this address says that a request is from, if it may say that. Pure.
    pub(super) fn user<'h>(&self, peer: IpAddr, headers: &'h HeaderMap) -> Option<&'h str> {
        let header = self.user_header.as_ref().filter(|_| self.includes(peer))?;
        let mut told = headers.get_all(header).iter();
        // Of two, one may be the client's own.
        let (Some(user), None) = (told.next(), told.next()) else { return None };
        user.to_str().ok().map(str::trim).filter(|user| !user.is_empty())
    }
}

/// An address, perhaps with a port.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().or_else(|_| text.parse().map(|socket: SocketAddr| socket.ip()));
    address.ok().map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn proxies() -> Proxies {
        Proxies {
            networks: vec![
                "10.0.0.0/8".parse().expect("a network"),
                "fd00::/8".parse().expect("one"),
            ],
            announce: false,
            user_header: Some(HeaderName::from_static("x-user")),
        }
    }

    fn from(peer: &str, told: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for told in told {
            headers.append(FORWARDED_FOR, HeaderValue::from_str(told).expect("a value"));
        }
        proxies().client(peer.parse().expect("an address"), &headers).to_string()
    }

    #[test]
    fn the_last_address_that_is_no_proxy_is_the_client() {
        for (peer, told, client) in [
            ("198.51.100.7", &["1.2.3.4"][..], "198.51.100.7"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["1.2.3.4"], "1.2.3.4"),
            ("10.0.0.1", &["6.6.6.6, 1.2.3.4, 10.0.0.2"], "1.2.3.4"),
            ("10.0.0.1", &["6.6.6.6", "1.2.3.4:99,10.0.0.2"], "1.2.3.4"),
            ("10.0.0.1", &["6.6.6.6, nobody, 10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", &["10.0.0.3"], "10.0.0.3"),
            ("fd00::1", &["[2001:db8::1]:7"], "2001:db8::1"),
            ("fd00::1", &["[2001:db8::1]"], "2001:db8::1"),
            ("::ffff:10.0.0.1", &["::ffff:1.2.3.4"], "1.2.3.4"),
        ] {
            assert_eq!(from(peer, told), client, "{peer} {told:?}");
        }
    }

    #[test]
    fn only_a_proxy_says_whom_a_request_is_from() {
        let user = |peer: &str, told: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for told in told {
                headers.append("x-user", HeaderValue::from_static(told));
            }
            let peer = peer.parse().expect("an address");
            proxies().user(peer, &headers).map(str::to_owned)
        };
        assert_eq!(user("10.0.0.1", &["ann@farm.example"]).as_deref(), Some("ann@farm.example"));
        assert_eq!(user("198.51.100.7", &["ann@farm.example"]), None);
        assert_eq!(user("10.0.0.1", &[]), None);
        assert_eq!(user("10.0.0.1", &[" "]), None);
        assert_eq!(user("10.0.0.1", &["eve", "ann@farm.example"]), None, "two of them");
    }
}
