//! The flags that say which backend, the same in every program.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::credential_args::{CredentialArgs, read};
use crate::error::{Code, Error, Result};
use crate::preset::{Preset, Traits};
use crate::print_config::Derived;
use crate::reapi::{Address, RemoteConfig, STREAMS, Tls};

/// The Remote Execution API backend. Flags of the original keep their names.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Backend")]
pub struct RemoteArgs {
    /// REAPI backend, host:port; several that are equal, separated by commas, are used in turn, and
    /// one that is away is left out
    #[arg(long, env = "GOMA_REMOTEEXEC_ADDR", value_name = "HOST:PORT,...")]
    pub remoteexec_addr: Option<String>,
    /// REAPI instance name
    #[arg(long, env = "GOMA_REMOTE_INSTANCE_NAME", default_value = "", value_name = "NAME")]
    pub remote_instance_name: String,
    /// What kind of backend it is: properties, limits and fields that suit it, each of which a flag
    /// can say otherwise
    #[arg(long, env = "GOMA_BACKEND_PRESET", value_enum, default_value_t = Preset::Generic)]
    pub backend_preset: Preset,
    /// A name for the backend that stays when its address changes: what is known of it is kept under
    /// that name [default: the address]
    #[arg(long, env = "GOMA_BACKEND_NAME", value_name = "NAME")]
    pub backend_name: Option<String>,
    /// Tries of a call to the backend, the first included; 0 is as many as the deadline allows
    #[arg(long, env = "GOMA_EXEC_MAX_RETRY_COUNT", default_value_t = 5, value_name = "N")]
    pub exec_max_retry_count: u32,
    /// Bytes in one batch of small blobs [default: what the backend and the preset say]
    #[arg(long, env = "GOMA_BACKEND_BATCH_BYTES", value_name = "BYTES")]
    pub backend_batch_bytes: Option<u64>,
    /// Whether contents go as zstd where the backend takes and gives it. It spares the network and
    /// costs time of processors
    #[arg(long, env = "GOMA_BACKEND_COMPRESSION", value_enum, default_value_t = Compress::Auto)]
    pub backend_compression: Compress,
    /// How it is connected to.
    #[command(flatten)]
    pub connections: ConnectionArgs,
    /// Who we are to it.
    #[command(flatten)]
    pub credentials: CredentialArgs,
}

/// Whether contents are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Compress {
    /// Where the backend says that it can
    Auto,
    /// Never
    Off,
}

/// How it is connected to.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Connections to the backend")]
pub struct ConnectionArgs {
    /// Speak to the backend without TLS
    #[arg(long, env = "GOMA_INSECURE_REMOTEEXEC", num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = false, action = clap::ArgAction::Set)]
    pub insecure_remoteexec: bool,
    /// Certificate authority, PEM, to trust for the backend beside the system's
    #[arg(long, env = "GOMA_ADDITIONAL_TLS_CERTIFICATE", value_name = "FILE")]
    pub additional_tls_certificate: Option<PathBuf>,
    /// Certificate authorities, PEM, to trust for the backend in place of the system's
    #[arg(long, env = "GOMA_REMOTE_CA_CERTIFICATES", value_name = "FILE")]
    pub remote_ca_certificates: Option<PathBuf>,
    /// Name that the backend's certificate bears, where it is not the address's
    #[arg(long, env = "GOMA_REMOTE_SERVER_NAME", value_name = "NAME")]
    pub remote_server_name: Option<String>,
    /// Calls under way on one connection; further ones get another connection
    #[arg(long, env = "GOMA_REMOTE_STREAMS", default_value_t = STREAMS, value_name = "N")]
    pub remote_streams: usize,
    /// How long a connection takes new calls; then another one is made, to wherever the name then
    /// leads
    #[arg(long, env = "GOMA_REMOTE_CONNECTION_LIFE", default_value = "10m", value_parser = humantime::parse_duration, value_name = "TIME")]
    pub remote_connection_life: Duration,
    /// After how long a question to the backend that has no answer is asked a second time, over
    /// another connection; the twentieth part of its answers should take longer. One call in ten is
    /// made again at most [default: never]
    #[arg(long, env = "GOMA_REMOTE_HEDGE", value_parser = humantime::parse_duration, value_name = "TIME")]
    pub remote_hedge: Option<Duration>,
}

impl RemoteArgs {
    /// The backend's addresses, for programs that have no backend of their own; at least one.
    ///
    /// # Errors
    /// `InvalidArgument` naming the flag, when none was given.
    pub fn addresses(&self) -> Result<Vec<String>> {
        let invalid = |why: &str| Error::new(Code::InvalidArgument, why);
        let told = self.remoteexec_addr.as_deref();
        let told = told.ok_or_else(|| invalid("--remoteexec-addr: name the backend, host:port"))?;
        let names: Vec<String> = told.split(',').map(|name| name.trim().to_owned()).collect();
        match names.iter().any(String::is_empty) {
            true => Err(invalid("--remoteexec-addr: an address is empty; write host:port")),
            false => Ok(names),
        }
    }

    /// Which backend and which part of it, in words: what gateways and shards compare, and what
    /// sets the facts of one backend apart from those of others.
    #[must_use]
    pub fn told(&self) -> String {
        let address = self.remoteexec_addr.as_deref().unwrap_or("embedded");
        let name = self.backend_name.as_deref().unwrap_or(address);
        format!("{name} instance {}", self.remote_instance_name)
    }

    /// What the backend is like where no flag says it.
    #[must_use]
    pub fn traits(&self) -> Traits {
        self.backend_preset.traits()
    }

    /// What follows from the preset, for whoever prints the configuration.
    #[must_use]
    pub fn derived(&self) -> Vec<Derived> {
        let bytes = match self.traits().batch_bytes {
            Some(bytes) => bytes.to_string(),
            None => "as the backend says".to_owned(),
        };
        vec![self.derive("backend-batch-bytes", bytes)]
    }

    /// A value of the preset.
    #[must_use]
    pub fn derive(&self, flag: &'static str, value: String) -> Derived {
        Derived { flag, value, from: format!("preset {}", self.backend_preset.name()) }
    }

    /// Whether headers and tokens may be sent to the backend.
    #[must_use]
    pub fn may_send_credentials(&self) -> bool {
        !self.connections.insecure_remoteexec || self.credentials.remote_insecure_credentials
    }

    /// How to reach the backend. Reads certificates and headers.
    ///
    /// # Errors
    /// `InvalidArgument` naming the flag that is missing or wrong, or whose file cannot be read.
    pub fn config(&self) -> Result<RemoteConfig> {
        let address = Address::Network(self.addresses()?);
        Ok(RemoteConfig {
            name: self.told(),
            tls: self.tls()?,
            credentials: self.credentials.open(self.may_send_credentials())?,
            tries: self.tries(),
            streams: self.connections.remote_streams.max(1),
            connection_life: self.connections.remote_connection_life,
            hedge: self.connections.remote_hedge,
            batch_bytes: self.backend_batch_bytes.or(self.traits().batch_bytes),
            compression: self.backend_compression == Compress::Auto,
            ..RemoteConfig::plain(address, self.remote_instance_name.clone())
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

    fn tls(&self) -> Result<Option<Tls>> {
        let Self { connections, credentials, .. } = self;
        if connections.insecure_remoteexec {
            return match &credentials.remote_client_certificate {
                Some(_) => Err(Error::new(
                    Code::InvalidArgument,
                    "--remote-client-certificate: without TLS (--insecure-remoteexec) there is \
                     nobody to show it to",
                )),
                None => Ok(None),
            };
        }
        let mut tls = Tls {
            system_roots: connections.remote_ca_certificates.is_none(),
            server_name: connections.remote_server_name.clone(),
            ..Tls::default()
        };
        for (flag, file) in [
            ("--additional-tls-certificate", &connections.additional_tls_certificate),
            ("--remote-ca-certificates", &connections.remote_ca_certificates),
        ] {
            if let Some(file) = file {
                tls.authorities.push(read(flag, file)?);
            }
        }
        let files = (&credentials.remote_client_certificate, &credentials.remote_client_key);
        if let (Some(certificate), Some(key)) = files {
            read("--remote-client-certificate", certificate)?;
            read("--remote-client-key", key)?;
            tls.identity = Some((certificate.clone(), key.clone()));
        }
        Ok(Some(tls))
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

    fn refused(line: &str) -> String {
        parse(line).config().expect_err("cannot be meant").message
    }

    #[test]
    fn a_backend_is_told_by_its_name_or_address_and_its_instance() {
        let args = parse("x --remoteexec-addr farm:8980 --remote-instance-name main");
        assert_eq!(args.told(), "farm:8980 instance main");
        assert_eq!(args.addresses().expect("given"), ["farm:8980"]);
        let config = args.config().expect("no file to read");
        assert!(config.tls.is_some());
        assert_eq!((config.instance.as_str(), config.tries), ("main", 5));
        assert_eq!(config.name, args.told(), "metrics of calls and of rings call it the same");
        let named = parse("x --remoteexec-addr 10.0.0.1:8980 --backend-name farm");
        assert_eq!(named.told(), "farm instance ");
    }

    #[test]
    fn what_is_missing_is_named() {
        assert!(refused("x").contains("--remoteexec-addr"));
        for flag in [
            "--additional-tls-certificate",
            "--remote-ca-certificates",
            "--remote-header-file",
            "--remote-token-file",
        ] {
            let why = refused(&format!("x --remoteexec-addr h:1 {flag} /no/such/file"));
            assert!(why.contains(&format!("{flag} /no/such/file")), "{why}");
        }
    }

    #[test]
    fn a_preset_gives_way_to_flags() {
        let config = |line: &str| parse(line).config().expect("no file to read");
        let line = "x --remoteexec-addr h:1 --backend-preset nativelink";
        assert_eq!(config(line).batch_bytes, Some(64 << 10));
        let line = format!("{line} --backend-batch-bytes 1000");
        assert_eq!(config(&line).batch_bytes, Some(1000));
        assert_eq!(config("x --remoteexec-addr h:1").batch_bytes, None);
    }

    #[test]
    fn secrets_are_not_sent_in_the_clear_unless_told_twice() {
        let line =
            "x --remoteexec-addr h:1 --insecure-remoteexec --remote-header x-api-key=hunter2";
        let why = refused(line);
        assert!(why.contains("--remote-insecure-credentials") && !why.contains("hunter2"), "{why}");
        let args = parse(&format!("{line} --remote-insecure-credentials"));
        assert!(!args.config().expect("told twice").credentials.is_empty());
        assert!(!format!("{args:?}").contains("hunter2"));
    }

    #[test]
    fn a_file_of_headers_is_read_and_its_bad_line_is_named() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let line =
            format!("x --remoteexec-addr h:1 --remote-header-file {}", file.path().display());
        std::fs::write(file.path(), "# ours\nx-a=1\n\nx-b: 2\n").expect("writes");
        let credentials = parse(&line).config().expect("two headers").credentials;
        assert!(format!("{credentials:?}").contains(r#"["x-a", "x-b"]"#), "{credentials:?}");
        std::fs::write(file.path(), "x-a=1\nhunter2\n").expect("writes");
        let why = refused(&line);
        assert!(why.contains("line 2") && !why.contains("hunter2"), "{why}");
    }

    #[test]
    fn no_limit_of_tries_is_spelled_0() {
        assert_eq!(parse("x --exec-max-retry-count 0").tries(), u32::MAX);
        let args = parse("x --exec-max-retry-count 3 --insecure-remoteexec=false");
        assert_eq!(args.tries(), 3);
    }
}
