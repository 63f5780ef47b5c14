//! The command line, and what it means.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use goma_common::docs_command::DocsCommand;
use goma_common::print_config;
use goma_common::program::Failure;
use goma_common::remote_args::RemoteArgs;
use goma_common::telemetry::{self, TelemetryArgs};
use goma_gateway::args::GatewayArgs;
use goma_gateway::doctor::DoctorArgs;
use goma_gateway::identity::TokenCommand;
use goma_shard::RedisArgs;
use goma_shard::facts::RedisConfig;

/// A Goma server in one process: turns compiles of Goma clients into Remote Execution API actions.
///
/// Without --remoteexec-addr it runs them on this machine, in an embedded backend.
#[derive(Debug, Parser)]
#[command(name = "remoteexec_proxy", version = telemetry::version(), args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// Print what the flags, the environment and the preset come down to, and end
    #[arg(long)]
    pub(crate) print_config: bool,
    #[command(flatten)]
    pub(crate) proxy: ProxyArgs,
    /// What it tells of itself.
    #[command(flatten)]
    pub telemetry: TelemetryArgs,
}

impl Cli {
    /// This command line; prints the configuration and ends where that is asked for.
    #[must_use]
    pub fn of(line: Vec<String>) -> Self {
        print_config::parse(
            line,
            |cli: &Self| cli.print_config,
            |cli| cli.proxy.gateway.derived(&cli.proxy.remote),
        )
    }
}

/// What the program does other than being a proxy.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the embedded backend alone, for clusters and tests
    Backend(BackendCommand),
    /// Examine a remote backend step by step, with the flags of the proxy, and say what to change
    Doctor(Box<DoctorCommand>),
    /// Make tokens for --auth-token-file
    Token(TokenCommand),
    #[command(flatten)]
    Docs(DocsCommand),
}

/// What to examine, and how to tell.
#[derive(Debug, Args)]
pub(crate) struct DoctorCommand {
    #[command(flatten)]
    pub(crate) doctor: DoctorArgs,
    #[command(flatten)]
    pub(crate) proxy: ProxyArgs,
}

/// The embedded backend as a server of its own.
#[derive(Debug, Args)]
pub(crate) struct BackendCommand {
    /// Address and port to serve REAPI on
    #[arg(long, default_value = "127.0.0.1:8980", value_name = "ADDR")]
    pub(crate) listen: std::net::SocketAddr,
    #[command(flatten)]
    pub(crate) backend: BackendArgs,
}

/// The embedded backend.
#[derive(Debug, Args)]
pub(crate) struct BackendArgs {
    /// Directory for contents, results and what is known of files [default: goma-server in the
    /// user's cache directory]
    #[arg(long, env = "GOMA_DATA_DIR", value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Bound of what the embedded backend keeps on disk, in bytes; the least recently used goes
    #[arg(long, default_value_t = 10 << 30, value_name = "BYTES")]
    pub(crate) max_disk_bytes: u64,
    /// Commands that the embedded backend runs at once [default: one a core]
    #[arg(long, value_name = "N")]
    pub(crate) jobs: Option<usize>,
    /// Whether the embedded backend runs commands in a sandbox
    #[arg(long, value_enum, default_value_t = Sandbox::Auto)]
    pub(crate) sandbox: Sandbox,
}

/// Where commands run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sandbox {
    /// In a sandbox where the machine allows it
    Auto,
    /// In a sandbox, or not at all
    Require,
    /// Outside of any
    Off,
}

/// The proxy itself. Flags of the original keep their names.
#[derive(Debug, Args)]
pub(crate) struct ProxyArgs {
    /// Port for Goma clients
    #[arg(long, default_value_t = 8090)]
    pub(crate) port: u16,
    /// Address for Goma clients
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST), value_name = "IP")]
    pub(crate) listen: IpAddr,
    // Without an address there, the backend is an embedded one on this machine.
    #[command(flatten)]
    pub(crate) remote: RemoteArgs,
    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
    #[command(flatten)]
    pub(crate) redis: RedisArgs,
    /// File keys kept in memory
    #[arg(long, default_value_t = 2_000_000, value_name = "N")]
    pub(crate) max_digest_cache_entries: usize,
    /// Bytes of contents that passed through, kept in memory to repair a backend that loses some
    #[arg(long, default_value_t = 64 << 20, value_name = "BYTES")]
    pub(crate) contents_memory_bytes: u64,
    #[command(flatten)]
    pub(crate) backend: BackendArgs,
    #[command(flatten)]
    pub(crate) foreign: ForeignArgs,
}

/// Flags of the original that mean nothing here, or not yet.
#[derive(Debug, Args)]
pub(crate) struct ForeignArgs {
    #[arg(long, hide = true)]
    pub(crate) exec_inventory_timeout: Option<String>,
    #[arg(long, hide = true)]
    pub(crate) exec_setup_timeout: Option<String>,
    #[arg(long, hide = true)]
    pub(crate) exec_check_missing_timeout: Option<String>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = false, action = clap::ArgAction::Set)]
    pub(crate) insecure_skip_verify: bool,
    #[arg(long, hide = true, env = "REDISHOST")]
    pub(crate) redis_host: Option<String>,
    #[arg(long, hide = true, env = "REDISPORT")]
    pub(crate) redis_port: Option<String>,
    #[arg(long, hide = true)]
    pub(crate) file_cache_bucket: Option<String>,
    #[arg(long, hide = true)]
    pub(crate) trace_project_id: Option<String>,
    #[arg(long, hide = true)]
    pub(crate) trace_sampling_fraction: Option<String>,
    #[arg(long, hide = true)]
    pub(crate) trace_sampling_qps_limit: Option<String>,
    #[arg(long, hide = true)]
    pub(crate) redis_max_idle_conns: Option<String>,
    #[arg(long, hide = true)]
    pub(crate) redis_max_active_conns: Option<String>,
}

impl ProxyArgs {
    /// Warns of flags without meaning here, and refuses what is not built yet rather than serving
    /// with less than was asked for.
    ///
    /// # Errors
    /// Naming the flag.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let foreign = &self.foreign;
        let warnings = [
            (
                foreign.file_cache_bucket.is_some(),
                "--file-cache-bucket",
                "files are in the backend's CAS",
            ),
            (foreign.trace_project_id.is_some(), "--trace-project-id", "spans go to the log"),
            (
                foreign.trace_sampling_fraction.is_some(),
                "--trace-sampling-fraction",
                "spans go to the log",
            ),
            (
                foreign.trace_sampling_qps_limit.is_some(),
                "--trace-sampling-qps-limit",
                "spans go to the log",
            ),
            (
                foreign.redis_max_idle_conns.is_some(),
                "--redis-max-idle-conns",
                "a connection carries all calls",
            ),
            (
                foreign.redis_max_active_conns.is_some(),
                "--redis-max-active-conns",
                "a connection carries all calls",
            ),
            (
                foreign.redis_port.is_some() && foreign.redis_host.is_none(),
                "REDISPORT",
                "facts are in --data-dir without REDISHOST or --redis-url",
            ),
            (
                foreign.exec_inventory_timeout.is_some(),
                "--exec-inventory-timeout",
                "--exec-execute-timeout bounds the whole",
            ),
            (
                foreign.exec_setup_timeout.is_some(),
                "--exec-setup-timeout",
                "--exec-execute-timeout bounds the whole",
            ),
            (
                foreign.exec_check_missing_timeout.is_some(),
                "--exec-check-missing-timeout",
                "--exec-execute-timeout bounds the whole",
            ),
        ];
        for (_, flag, instead) in warnings.iter().filter(|(given, ..)| *given) {
            tracing::warn!("{flag} has no effect here: {instead}");
        }
        let unbuilt = [(
            foreign.insecure_skip_verify,
            "--insecure-skip-verify: unverified TLS (trust the authority by --additional-tls-certificate)",
        )];
        if let Some((_, what)) = unbuilt.iter().find(|(given, _)| *given) {
            return Err(Failure::Configuration(format!("{what} is not built yet")));
        }
        Ok(())
    }

    /// Where facts are kept, if not in --data-dir; the original's variables name a host and port.
    ///
    /// # Errors
    /// Naming the flag whose file cannot be read.
    pub(crate) fn redis(&self, namespace: &str) -> Result<Option<RedisConfig>, Failure> {
        let mut redis = self.redis.clone();
        if let (true, Some(host)) = (redis.redis_url.is_empty(), &self.foreign.redis_host) {
            let port = self.foreign.redis_port.as_deref().unwrap_or("6379");
            redis.redis_url.push(format!("redis://{host}:{port}"));
        }
        redis.config(namespace)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use goma_common::preset::Preset;

    use super::*;
    use crate::go_flags::respell;

    fn parse(line: &str) -> Cli {
        let args = line.split_whitespace().map(ToOwned::to_owned);
        Cli::try_parse_from(respell(args)).expect("parses")
    }

    #[test]
    fn the_originals_command_lines_are_understood() {
        let cli = parse(
            "remoteexec_proxy -port 5050 --platform-container-image docker://i@sha256:0 \
             --remoteexec-addr h:1 --remote-instance-name a/b/c -insecure-remoteexec=true \
             --exec-check-cache-timeout 3s --exec-execute-timeout=1m30s",
        );
        assert_eq!(cli.proxy.port, 5050);
        assert!(cli.proxy.remote.connections.insecure_remoteexec);
        let config = cli.proxy.gateway.config(&Preset::Generic.traits());
        assert_eq!(config.timeouts.execute, Duration::from_secs(90));
        assert!(
            parse("remoteexec_proxy --insecure-remoteexec")
                .proxy
                .remote
                .connections
                .insecure_remoteexec
        );
        assert!(
            !parse("remoteexec_proxy -insecure-remoteexec=false")
                .proxy
                .remote
                .connections
                .insecure_remoteexec
        );
    }

    #[test]
    fn the_originals_variables_name_a_redis() {
        let proxy = parse("remoteexec_proxy --redis-host cache --redis-port 7000").proxy;
        let redis = proxy.redis("backend").expect("reads").expect("Redis");
        assert_eq!(redis.urls, ["redis://cache:7000"]);
        assert!(parse("remoteexec_proxy").proxy.redis("backend").expect("reads").is_none());
    }

    #[test]
    fn what_is_not_built_is_refused_by_name() {
        for (line, flag) in [("remoteexec_proxy --insecure-skip-verify", "--insecure-skip-verify")]
        {
            match parse(line).proxy.check() {
                Err(Failure::Configuration(why)) => assert!(why.contains(flag), "{why}"),
                other => panic!("{line}: {other:?}"),
            }
        }
        assert!(parse("remoteexec_proxy --file-cache-bucket b").proxy.check().is_ok());
    }
}
