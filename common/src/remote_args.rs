//! The flags that say which backend, the same in every program.

use std::path::PathBuf;

use crate::error::{Code, Error, Result};
use crate::reapi::{Address, RemoteConfig};

/// The Remote Execution API backend. Flags of the original keep their names.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Backend")]
pub struct RemoteArgs {
    /// REAPI backend, host:port
    #[arg(long, env = "GOMA_REMOTEEXEC_ADDR", value_name = "HOST:PORT")]
    pub remoteexec_addr: Option<String>,
    /// REAPI instance name
    #[arg(long, env = "GOMA_REMOTE_INSTANCE_NAME", default_value = "", value_name = "NAME")]
    pub remote_instance_name: String,
    /// Speak to the backend without TLS
    #[arg(long, env = "GOMA_INSECURE_REMOTEEXEC", num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = false, action = clap::ArgAction::Set)]
    pub insecure_remoteexec: bool,
    /// Certificate authority, PEM, to trust for the backend beside the system's
    #[arg(long, env = "GOMA_ADDITIONAL_TLS_CERTIFICATE", value_name = "FILE")]
    pub additional_tls_certificate: Option<PathBuf>,
    /// Tries of a call to the backend, the first included; 0 is as many as the deadline allows
    #[arg(long, env = "GOMA_EXEC_MAX_RETRY_COUNT", default_value_t = 5, value_name = "N")]
    pub exec_max_retry_count: u32,
}

impl RemoteArgs {
    /// The backend's address, for programs that have no backend of their own.
    ///
    /// # Errors
    /// `InvalidArgument` naming the flag, when it was not given.
    pub fn address(&self) -> Result<&str> {
        self.remoteexec_addr.as_deref().ok_or_else(|| {
            Error::new(Code::InvalidArgument, "--remoteexec-addr: name the backend, host:port")
        })
    }

    /// Which backend and which part of it, in words: what gateways and shards compare, and what
    /// sets the facts of one backend apart from those of others.
    #[must_use]
    pub fn told(&self) -> String {
        let address = self.remoteexec_addr.as_deref().unwrap_or("embedded");
        format!("{address} instance {}", self.remote_instance_name)
    }

    /// How to reach the backend. Reads the certificate.
    ///
    /// # Errors
    /// `InvalidArgument` naming the flag that is missing, or whose file cannot be read.
    pub fn config(&self) -> Result<RemoteConfig> {
        let ca_certificate = match &self.additional_tls_certificate {
            Some(file) => Some(std::fs::read(file).map_err(|error| {
                let file = file.display();
                let why = format!("--additional-tls-certificate {file}: {error}");
                Error::new(Code::InvalidArgument, why)
            })?),
            None => None,
        };
        Ok(RemoteConfig {
            address: Address::Network(self.address()?.to_owned()),
            instance: self.remote_instance_name.clone(),
            tls: !self.insecure_remoteexec,
            ca_certificate,
            tries: self.tries(),
        })
    }

    /// Tries of a call. The original takes 0 for "no limit": the deadline is one.
    #[must_use]
    pub fn tries(&self) -> u32 {
        match self.exec_max_retry_count {
            0 => u32::MAX,
            count => count,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        remote: RemoteArgs,
    }

    fn parse(line: &str) -> RemoteArgs {
        Cli::try_parse_from(line.split_whitespace()).expect("parses").remote
    }

    #[test]
    fn a_backend_is_told_by_its_address_and_instance() {
        let args = parse("x --remoteexec-addr farm:8980 --remote-instance-name main");
        assert_eq!(args.told(), "farm:8980 instance main");
        assert_eq!(args.address().expect("given"), "farm:8980");
        let config = args.config().expect("no file to read");
        assert!(config.tls);
        assert_eq!((config.instance.as_str(), config.tries), ("main", 5));
    }

    #[test]
    fn what_is_missing_is_named() {
        let missing = parse("x").config().expect_err("no address");
        assert!(missing.message.contains("--remoteexec-addr"), "{missing}");
        let unread = parse("x --remoteexec-addr h:1 --additional-tls-certificate /no/such/file")
            .config()
            .expect_err("no file");
        assert!(unread.message.contains("--additional-tls-certificate /no/such/file"), "{unread}");
    }

    #[test]
    fn no_limit_of_tries_is_spelled_0() {
        assert_eq!(parse("x --exec-max-retry-count 0").tries(), u32::MAX);
        assert_eq!(parse("x --exec-max-retry-count 3 --insecure-remoteexec=false").tries(), 3);
    }
}
