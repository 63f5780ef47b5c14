//! What a cluster is made of.

use std::path::PathBuf;
use std::str::FromStr;

use crate::error::{Error, Result};

/// Where compiles run and contents lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backend {
    /// `remoteexec_proxy backend`, one of the members.
    Embedded,
    /// `host:port` of one that runs already; it is spoken to without TLS.
    Address(String),
}

/// Where shards keep their facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Redis {
    /// A `redis-server` without persistence, one of the members.
    Own,
    /// In memory, each its own.
    None,
    /// `host:port` of one that runs already.
    Address(String),
}

/// The members, and where their files lie.
#[derive(Clone, Debug)]
pub struct Config {
    /// How many gateways, at least 1.
    pub gateways: usize,
    /// How many shards, at least 1.
    pub shards: usize,
    /// The backend.
    pub backend: Backend,
    /// The shards' store.
    pub redis: Redis,
    /// Whether HAProxy stands before the gateways.
    pub balancer: bool,
    /// For data, logs and the control socket; what a former cluster left there is removed.
    pub dir: PathBuf,
    /// Set in the environment of gateways, shards and the embedded backend: `OTEL_*`, say.
    pub env: Vec<(String, String)>,
}

impl Config {
    /// Two gateways behind a balancer, three shards, a Redis and an embedded backend.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            gateways: 2,
            shards: 3,
            backend: Backend::Embedded,
            redis: Redis::Own,
            balancer: true,
            dir: dir.into(),
            env: Vec::new(),
        }
    }

    /// # Errors
    /// Names the flag of a number that makes no cluster.
    pub(super) fn check(&self) -> Result<()> {
        for (flag, count) in [("--gateways", self.gateways), ("--shards", self.shards)] {
            if !(1..=20).contains(&count) {
                let reason = format!("{count} is not from 1 to 20");
                return Err(Error::Config { flag, reason });
            }
        }
        Ok(())
    }
}

impl FromStr for Backend {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "embedded" => Ok(Self::Embedded),
            address => host_port(address).map(Self::Address),
        }
    }
}

impl FromStr for Redis {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "own" => Ok(Self::Own),
            "none" => Ok(Self::None),
            url => {
                let address = url.strip_prefix("redis://").unwrap_or(url);
                host_port(address.trim_end_matches('/')).map(Self::Address)
            }
        }
    }
}

fn host_port(text: &str) -> Result<String, String> {
    let port = text.rsplit_once(':').and_then(|(host, port)| {
        port.parse::<u16>().ok().filter(|_| !host.is_empty() && !host.contains(['/', '@']))
    });
    port.map(|_| text.to_owned()).ok_or_else(|| format!("{text} is not HOST:PORT"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redis_is_ours_or_none_or_an_address() {
        assert_eq!("own".parse(), Ok(Redis::Own));
        assert_eq!("redis://h:1/".parse(), Ok(Redis::Address("h:1".into())));
        assert_eq!("h:1".parse(), Ok(Redis::Address("h:1".into())));
        for url in ["", "h", "rediss://h:1", "redis://user:secret@h:1", "redis://h:1/2"] {
            assert!(url.parse::<Redis>().is_err(), "{url}");
        }
        assert_eq!("embedded".parse(), Ok(Backend::Embedded));
        assert_eq!("farm:8980".parse(), Ok(Backend::Address("farm:8980".into())));
    }

    #[test]
    fn a_cluster_of_nobody_is_refused_with_the_flags_name() {
        let config = Config { shards: 0, ..Config::new("/d") };
        assert_eq!(
            config.check().expect_err("none").to_string(),
            "--shards: 0 is not from 1 to 20"
        );
        assert!(Config::new("/d").check().is_ok());
    }
}
