//! Which shards there are, as an operator says it.

use std::collections::BTreeSet;
use std::str::FromStr;

/// A shard with a name of its own: `NAME=HOST:PORT` or `NAME=HOST:PORT*WEIGHT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedShard {
    /// Its place on the ring.
    pub name: String,
    /// `host:port`; the host is resolved whenever a connection is made.
    pub address: String,
    /// Its share of the ring, 1 to 100.
    pub weight: u32,
}

/// How the shards are found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberList {
    /// These.
    Named(Vec<NamedShard>),
    /// All addresses of a name, `host:port`; each says its own name and weight.
    Dns(String),
}

impl FromStr for NamedShard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, rest) = text.split_once('=').unwrap_or_default();
        let (address, weight) = match rest.split_once('*') {
            Some((address, weight)) => (address, weight.parse().unwrap_or(0)),
            None => (rest, 1),
        };
        if name.is_empty() || !(1..=100).contains(&weight) {
            return Err("write NAME=HOST:PORT, or NAME=HOST:PORT*WEIGHT with 1 to 100".to_owned());
        }
        Ok(Self { name: name.to_owned(), address: host_and_port(address)?, weight })
    }
}

/// Reads `host:port`.
///
/// # Errors
/// When it is anything else.
pub(crate) fn host_and_port(text: &str) -> Result<String, String> {
    match text.rsplit_once(':') {
        Some((host, port))
            if !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0) =>
        {
            Ok(text.to_owned())
        }
        _ => Err(format!("{text:?} is not HOST:PORT")),
    }
}

/// Takes a list in which every name stands once.
///
/// # Errors
/// Naming the one that stands twice.
pub(crate) fn distinct(shards: Vec<NamedShard>) -> Result<MemberList, String> {
    let mut names = BTreeSet::new();
    match shards.iter().find(|shard| !names.insert(&shard.name)) {
        Some(twice) => Err(format!("{} is there twice", twice.name)),
        None => Ok(MemberList::Named(shards)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_is_a_name_an_address_and_perhaps_a_weight() {
        let shard = |name: &str, address: &str, weight| {
            Ok(NamedShard { name: name.to_owned(), address: address.to_owned(), weight })
        };
        assert_eq!("a=h:1".parse(), shard("a", "h:1", 1));
        assert_eq!("a=[::1]:8091*100".parse(), shard("a", "[::1]:8091", 100));
        for bad in ["", "h:1", "=h:1", "a=h", "a=:1", "a=h:0", "a=h:1*0", "a=h:1*101", "a=h:1*x"] {
            assert!(bad.parse::<NamedShard>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_name_stands_once() {
        let list = |text: &str| distinct(text.split(',').flat_map(str::parse).collect());
        assert!(list("a=h:1,b=h:2").is_ok());
        assert!(list("a=h:1,b=h:2,a=h:3").expect_err("twice").starts_with('a'));
    }
}
