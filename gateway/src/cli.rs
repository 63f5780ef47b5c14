//! The command line of `goma-gateway`.

use std::net::SocketAddr;

use clap::{Args, Parser, Subcommand};
use goma_common::docs_command::DocsCommand;
use goma_common::print_config;
use goma_common::program::Failure;
use goma_common::remote_args::RemoteArgs;
use goma_common::telemetry::{self, TelemetryArgs};
use goma_common::tls::PeerTlsArgs;

use crate::args::GatewayArgs;
use crate::doctor::DoctorArgs;
use crate::identity::TokenCommand;
use crate::ring::{MemberList, NamedShard};

/// A gateway of a Goma cluster: turns compiles of Goma clients into Remote Execution API actions.
///
/// It keeps nothing but caches. Run as many as the load needs behind any balancer, and kill any of
/// them at any time. What the cluster knows is with the shards (goma-shard): give every gateway the
/// same list of them, by --shards or by --shards-dns, and the same backend. Gateways that see
/// different shards for a moment do some work twice, and none wrong.
///
/// /readyz says in words what is missing. Each flag can be set by the environment variable named
/// with it.
#[derive(Debug, Parser)]
#[command(
    name = "goma-gateway",
    version = telemetry::version(),
    max_term_width = 100,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true
)]
pub struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// Address and port for Goma clients
    #[arg(
        long,
        env = "GOMA_GATEWAY_LISTEN",
        default_value = "127.0.0.1:8090",
        value_name = "ADDR:PORT"
    )]
    pub(crate) listen: SocketAddr,
    /// What it tells of itself.
    #[command(flatten)]
    pub telemetry: TelemetryArgs,
    /// Print what the flags, the environment and the preset come down to, and end
    #[arg(long)]
    pub(crate) print_config: bool,
    #[command(flatten)]
    pub(crate) shards: ShardArgs,
    #[command(flatten)]
    pub(crate) shards_tls: PeerTlsArgs,
    #[command(flatten)]
    pub(crate) remote: RemoteArgs,
    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
    /// File keys in the gateway's own cache; what is not there is asked of the shards
    #[arg(
        long,
        env = "GOMA_GATEWAY_KEY_CACHE_ENTRIES",
        default_value_t = 200_000,
        value_name = "N",
        help_heading = "Limits"
    )]
    pub(crate) key_cache_entries: usize,
}

/// What the program does other than being a gateway.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Examine a backend step by step, with the flags of a gateway, and say what to change
    Doctor(Box<DoctorCommand>),
    /// Make tokens for --auth-token-file
    Token(TokenCommand),
    #[command(flatten)]
    Docs(DocsCommand),
}

/// Which backend, how a gateway would use it, and how to tell.
#[derive(Debug, Args)]
pub(crate) struct DoctorCommand {
    #[command(flatten)]
    pub(crate) doctor: DoctorArgs,
    #[command(flatten)]
    pub(crate) remote: RemoteArgs,
    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}

/// How the shards are found: exactly one of these.
#[derive(Debug, Args)]
#[command(next_help_heading = "Shards")]
#[group(required = true, multiple = false)]
pub(crate) struct ShardArgs {
    /// The shards by name. A name is a place on the ring and stays while addresses change; hosts
    /// are resolved whenever a connection is made. WEIGHT is a share of the ring, 1 to 100
    #[arg(
        long,
        env = "GOMA_GATEWAY_SHARDS",
        value_delimiter = ',',
        value_name = "NAME=HOST:PORT[*WEIGHT],..."
    )]
    shards: Vec<NamedShard>,
    /// A DNS name whose addresses are the shards, such as a headless Service; each says its own
    /// name and weight. Resolved again every ten seconds and when a shard is away
    #[arg(
        long,
        env = "GOMA_GATEWAY_SHARDS_DNS",
        value_name = "HOST:PORT",
        value_parser = crate::ring::host_and_port
    )]
    shards_dns: Option<String>,
}

impl Cli {
    /// The command line of this process; prints the configuration and ends where that is asked for.
    #[must_use]
    pub fn of_process() -> Self {
        print_config::parse(
            std::env::args(),
            |cli: &Self| cli.print_config,
            |cli| cli.gateway.derived(&cli.remote),
        )
    }
}

impl ShardArgs {
    /// How the shards are found.
    ///
    /// # Errors
    /// Naming a shard that is there twice.
    pub(crate) fn list(&self) -> Result<MemberList, Failure> {
        match &self.shards_dns {
            Some(name) => Ok(MemberList::Dns(name.clone())),
            None => crate::ring::distinct(self.shards.clone())
                .map_err(|why| Failure::Configuration(format!("--shards: {why}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn shards_are_named_or_found_by_dns_and_not_both() {
        let cli = parse("x --shards a=h:1,b=h:2*3 --shards c=h:3").expect("parses");
        let MemberList::Named(shards) = cli.shards.list().expect("distinct") else { panic!("dns") };
        let weights: Vec<u32> = shards.iter().map(|shard| shard.weight).collect();
        assert_eq!(weights, [1, 3, 1]);
        let cli = parse("x --shards-dns shards:8091").expect("parses");
        assert_eq!(cli.shards.list().expect("given"), MemberList::Dns("shards:8091".to_owned()));
        for bad in ["x", "x --shards a=h:1 --shards-dns s:1", "x --shards a", "x --shards-dns s"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        let twice = parse("x --shards a=h:1,a=h:2").expect("parses").shards.list();
        assert!(twice.expect_err("twice").to_string().contains("--shards: a"));
    }

    #[test]
    fn every_flag_can_be_set_by_the_environment() {
        for flag in Cli::command().get_arguments() {
            let name = flag.get_id().as_str();
            if ["help", "version", "log", "print_config"].contains(&name) {
                continue;
            }
            let variable = flag.get_env().and_then(|name| name.to_str()).unwrap_or("");
            let flag = name.to_uppercase();
            let names = [format!("GOMA_{flag}"), format!("GOMA_GATEWAY_{flag}")];
            assert!(names.iter().any(|name| name == variable), "{flag} by {variable:?}");
        }
    }
}
