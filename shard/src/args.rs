//! The command line of `goma-shard`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use goma_common::admin::AdminArgs;
use goma_common::docs_command::DocsCommand;
use goma_common::print_config;
use goma_common::remote_args::RemoteArgs;
use goma_common::telemetry::{self, TelemetryArgs};
use goma_common::tls::{PeerTlsArgs, ServerTlsArgs};

use crate::local::ShardConfig;
use crate::redis_args::RedisArgs;

/// A shard of a Goma cluster: owns a slice of the digest space for the gateways.
///
/// It knows which file key is which digest and what the backend's CAS holds already, and uploads what
/// it lacks, each blob once for the whole cluster. What it knows is kept in Redis, which all shards
/// share: any of them may be killed, and its successor on the ring finds everything. Run a few, name
/// each (the name is its place on the ring and stays while addresses change), and give the gateways
/// the list.
#[derive(Debug, Parser)]
#[command(name = "goma-shard", version = telemetry::version(), args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// Print what the flags, the environment and the preset come down to, and end
    #[arg(long)]
    pub(crate) print_config: bool,
    #[command(flatten)]
    pub(crate) shard: ShardArgs,
    /// What it tells of itself.
    #[command(flatten)]
    pub telemetry: TelemetryArgs,
}

impl Cli {
    /// The command line of this process; prints the configuration and ends where that is asked for.
    #[must_use]
    pub fn of_process() -> Self {
        print_config::parse(
            std::env::args(),
            |cli: &Self| cli.print_config,
            |cli| cli.shard.remote.derived(),
        )
    }
}

/// What the program does other than being a shard.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Tell running shards to do something
    #[command(subcommand)]
    Admin(Admin),
    #[command(flatten)]
    Docs(DocsCommand),
}

/// Verbs for operators.
#[derive(Debug, Subcommand)]
pub(crate) enum Admin {
    /// Believe no presence entry from before now: the backend was wiped or restored from a backup.
    ///
    /// Shards that share a Redis follow within a second or two; those without are told one by one.
    BumpEpoch {
        /// A running shard; may be repeated
        #[arg(long, required = true, value_name = "HOST:PORT")]
        shard: Vec<String>,
        #[command(flatten)]
        tls: PeerTlsArgs,
    },
}

/// The shard itself.
#[derive(Debug, Args)]
pub(crate) struct ShardArgs {
    /// Its name: its place on the ring
    #[arg(long, env = "GOMA_SHARD_NAME", required = true, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Address for gateways
    #[arg(
        long,
        env = "GOMA_SHARD_LISTEN",
        default_value = "127.0.0.1:8091",
        value_name = "ADDR:PORT"
    )]
    pub(crate) listen: SocketAddr,
    /// Its share of the ring, for gateways that find shards by DNS
    #[arg(long, env = "GOMA_SHARD_WEIGHT", default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) weight: u32,
    #[command(flatten)]
    pub(crate) admin: AdminArgs,
    #[command(flatten)]
    pub(crate) tls: ServerTlsArgs,
    #[command(flatten)]
    pub(crate) redis: RedisArgs,
    #[command(flatten)]
    pub(crate) memory: MemoryArgs,
    #[command(flatten)]
    pub(crate) remote: RemoteArgs,
}

/// Bounds.
#[derive(Debug, Args)]
#[command(next_help_heading = "Memory and disk")]
pub(crate) struct MemoryArgs {
    /// Files known in memory, about 200 bytes each
    #[arg(long, env = "GOMA_MEMORY_ENTRIES", default_value_t = 2_000_000, value_name = "N")]
    pub(crate) memory_entries: usize,
    /// Bytes of contents on their way to the backend at once; half of it for one user
    #[arg(long, env = "GOMA_MAX_UPLOAD_BYTES", default_value_t = 512 << 20, value_name = "BYTES")]
    pub(crate) max_upload_bytes: u64,
    /// Bytes of contents that passed through, kept in memory to repair a backend that loses some
    #[arg(long, env = "GOMA_CONTENTS_MEMORY_BYTES", default_value_t = 256 << 20, value_name = "BYTES")]
    pub(crate) contents_memory_bytes: u64,
    /// Directory for contents that memory has no room for [default: none]
    #[arg(long, env = "GOMA_CONTENTS_DIR", value_name = "DIR")]
    pub(crate) contents_dir: Option<PathBuf>,
    /// Bytes of contents in --contents-dir
    #[arg(long, env = "GOMA_CONTENTS_DISK_BYTES", default_value_t = 10 << 30, value_name = "BYTES")]
    pub(crate) contents_disk_bytes: u64,
}

impl ShardArgs {
    /// How much it keeps.
    pub(crate) fn config(&self) -> ShardConfig {
        let memory = &self.memory;
        let disk = memory.contents_dir.clone().map(|dir| (dir, memory.contents_disk_bytes));
        ShardConfig {
            memory_entries: memory.memory_entries,
            presence_life: self.redis.presence_life,
            max_upload_bytes: memory.max_upload_bytes,
            contents_memory: memory.contents_memory_bytes,
            contents_disk: disk,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Cli {
        Cli::try_parse_from(line.split_whitespace()).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn several_urls_are_a_cluster_and_none_is_memory() {
        let cli = parse("goma-shard --name a --remoteexec-addr h:1");
        assert!(cli.shard.redis.config("backend").expect("reads").is_none());
        let line = "goma-shard --name a --redis-url redis://x --redis-url redis://y";
        let redis = parse(line).shard.redis.config("backend").expect("reads").expect("Redis");
        assert_eq!(redis.urls, ["redis://x", "redis://y"]);
        assert!(Cli::try_parse_from(["goma-shard"]).is_err(), "it needs a name");
    }

    #[test]
    fn a_password_comes_from_its_file_without_the_line_end() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "secret\n").expect("writes");
        let path = file.path().display();
        let line =
            format!("goma-shard --name a --redis-url redis://x --redis-password-file {path}");
        let redis = parse(&line).shard.redis.config("backend").expect("reads").expect("Redis");
        assert_eq!(redis.password.as_deref(), Some("secret"));
        let line = "goma-shard --name a --redis-url redis://x --redis-password-file /no/such";
        let why = parse(line).shard.redis.config("backend").expect_err("no file").to_string();
        assert!(why.contains("--redis-password-file /no/such"), "{why}");
    }

    #[test]
    fn an_operator_needs_no_name() {
        let cli = parse("goma-shard admin bump-epoch --shard a:1 --shard b:2");
        assert!(
            matches!(cli.command, Some(Command::Admin(Admin::BumpEpoch { shard, .. })) if shard.len() == 2)
        );
    }
}
