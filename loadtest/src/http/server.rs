//! Where requests go: the parts of `http://host:port/prefix`.

use crate::error::Error;

/// Prefix of every route unless the URL has a path of its own.
const DEFAULT_PREFIX: &str = "/cxx-compiler-service";

/// A Goma server's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Name or address, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// What stands before `/e`; empty for none, else with a leading slash and none at its end.
    pub prefix: String,
}

impl Server {
    /// Reads `http://host[:port][/prefix]`. A lone `/` at the end means: no prefix.
    ///
    /// # Errors
    /// Names the flag when the text is no such URL.
    pub fn parse(url: &str) -> Result<Self, Error> {
        let invalid =
            |reason: String| Error::Config { flag: "--server", reason: format!("{url}: {reason}") };
        let Some(rest) = url.strip_prefix("http://") else {
            return Err(invalid("only http:// is spoken".into()));
        };
        let (authority, path) = match rest.find('/') {
            Some(slash) => rest.split_at(slash),
            None => (rest, DEFAULT_PREFIX),
        };
        let (host, port) = split_port(authority).ok_or_else(|| invalid("no host".into()))?;
        let port = match port {
            Some(port) => port.parse().map_err(|e| invalid(format!("port {port}: {e}")))?,
            None => 80,
        };
        if host.is_empty() {
            return Err(invalid("no host".into()));
        }
        Ok(Self { host: host.to_owned(), port, prefix: path.trim_end_matches('/').to_owned() })
    }

    /// `host:port`, for people.
    #[must_use]
    pub fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

/// Splits `host:port` and `[::1]:port`.
fn split_port(authority: &str) -> Option<(&str, Option<&str>)> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        return Some((host, rest.strip_prefix(':')));
    }
    Some(match authority.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> (String, u16, String) {
        let server = Server::parse(url).expect("valid");
        (server.host, server.port, server.prefix)
    }

    #[test]
    fn urls_have_a_default_prefix_unless_they_have_a_path() {
        let prefix = DEFAULT_PREFIX.to_owned();
        assert_eq!(parsed("http://127.0.0.1:5050"), ("127.0.0.1".into(), 5050, prefix.clone()));
        assert_eq!(parsed("http://goma"), ("goma".into(), 80, prefix.clone()));
        assert_eq!(parsed("http://[::1]:81"), ("::1".into(), 81, prefix));
        assert_eq!(parsed("http://a:1/"), ("a".into(), 1, String::new()));
        assert_eq!(parsed("http://a:1/x/y/"), ("a".into(), 1, "/x/y".into()));
    }

    #[test]
    fn what_is_no_url_is_refused_with_the_flags_name() {
        for url in ["127.0.0.1:5050", "https://a", "http://", "http://a:b"] {
            let error = Server::parse(url).expect_err(url).to_string();
            assert!(error.starts_with("--server: "), "{error}");
        }
    }
}
