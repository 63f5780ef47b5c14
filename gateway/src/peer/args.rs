//! The flags that say which proxies are believed.

use clap::Args;
use goma_common::program::Failure;
use http::HeaderName;
use ipnet::IpNet;

use super::Proxies;

/// What stands in front of a gateway.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Proxies in front of us")]
pub struct PeerArgs {
    /// Networks of proxies and balancers, ADDRESS or ADDRESS/BITS, separated by commas, which are
    /// believed about where a request comes from (X-Forwarded-For)
    #[arg(long, env = "GOMA_GATEWAY_TRUSTED_PROXIES", value_delimiter = ',', value_name = "NETWORK", value_parser = network)]
    trusted_proxies: Vec<IpNet>,
    /// Their connections begin with a header of the PROXY protocol, version 1 or 2
    #[arg(long, env = "GOMA_GATEWAY_PROXY_PROTOCOL", requires = "trusted_proxies")]
    proxy_protocol: bool,
    /// Header in which they name the user, whom they have identified; it is for them to take it out of
    /// what clients send
    #[arg(
        long,
        env = "GOMA_GATEWAY_PROXY_USER_HEADER",
        value_name = "NAME",
        requires = "trusted_proxies"
    )]
    proxy_user_header: Option<HeaderName>,
}

impl PeerArgs {
    /// The proxies that these name.
    ///
    /// # Errors
    /// When everybody would be one.
    pub fn proxies(&self) -> Result<Proxies, Failure> {
        if let Some(all) = self.trusted_proxies.iter().find(|network| network.prefix_len() == 0) {
            return Err(Failure::Configuration(format!(
                "--trusted-proxies {all}: everybody could then say to be anybody; name the network \
                 of the proxies alone"
            )));
        }
        Ok(Proxies {
            networks: self.trusted_proxies.clone(),
            announce: self.proxy_protocol,
            user_header: self.proxy_user_header.clone(),
        })
    }

    /// Whether proxies name users.
    pub(crate) fn name_users(&self) -> bool {
        self.proxy_user_header.is_some()
    }
}

/// A network, or a single address.
fn network(text: &str) -> Result<IpNet, String> {
    let text = text.trim();
    let network =
        text.parse().or_else(|_| text.parse().map(|address: std::net::IpAddr| address.into()));
    network.map_err(|_| "write ADDRESS or ADDRESS/BITS, such as 10.0.0.0/8".to_owned())
}
