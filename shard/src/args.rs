//! The command line of `goma-shard`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use goma_common::program::Failure;
use goma_common::remote_args::RemoteArgs;

use crate::facts::RedisConfig;
use crate::local::ShardConfig;

/// A shard of a Goma cluster: owns a slice of the digest space for the gateways.
///
/// It knows which file key is which digest and what the backend's CAS holds already, and uploads what
/// it lacks, each blob once for the whole cluster. What it knows is kept in Redis, which all shards
/// share: any of them may be killed, and its successor on the ring finds everything. Run a few, name
/// each (the name is its place on the ring and stays while addresses change), and give the gateways
/// the list.
#[derive(Debug, Parser)]
#[command(name = "goma-shard", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) shard: ShardArgs,
    /// What is logged, in the syntax of RUST_LOG
    #[arg(long, env = "RUST_LOG", default_value = "info", global = true, value_name = "FILTER")]
    pub log: String,
}

/// What the program does other than being a shard.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Tell running shards to do something
    #[command(subcommand)]
    Admin(Admin),
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
    pub(crate) redis: RedisArgs,
    #[command(flatten)]
    pub(crate) memory: MemoryArgs,
    #[command(flatten)]
    pub(crate) remote: RemoteArgs,
}

/// Where facts are kept.
#[derive(Debug, Args)]
#[command(next_help_heading = "Redis or Valkey")]
pub(crate) struct RedisArgs {
    /// redis://HOST:PORT or rediss://HOST:PORT; repeated, the nodes of a Redis Cluster [default:
    /// facts are kept in memory and end with the process]
    #[arg(long, env = "GOMA_REDIS_URL", value_delimiter = ',', value_name = "URL")]
    pub(crate) redis_url: Vec<String>,
    /// A single --redis-url is that of a Redis Cluster
    #[arg(long, env = "GOMA_REDIS_CLUSTER")]
    pub(crate) redis_cluster: bool,
    /// User, in place of the URL's
    #[arg(long, env = "GOMA_REDIS_USERNAME", value_name = "NAME")]
    pub(crate) redis_username: Option<String>,
    /// File with the password, in place of the URL's; GOMA_REDIS_PASSWORD holds one directly
    #[arg(long, env = "GOMA_REDIS_PASSWORD_FILE", value_name = "FILE")]
    pub(crate) redis_password_file: Option<PathBuf>,
    /// Certificate authority of a rediss:// server, PEM, in place of the system's
    #[arg(long, env = "GOMA_REDIS_CA_CERTIFICATE", value_name = "FILE")]
    pub(crate) redis_ca_certificate: Option<PathBuf>,
    /// How long the backend is taken to hold a blob after it said so; well under its retention
    #[arg(long, env = "GOMA_PRESENCE_LIFE", default_value = "4h", value_parser = humantime::parse_duration, value_name = "TIME")]
    pub(crate) presence_life: Duration,
    /// How long it is remembered what a file key stands for
    #[arg(long, env = "GOMA_MAPPING_LIFE", default_value = "30d", value_parser = humantime::parse_duration, value_name = "TIME")]
    pub(crate) mapping_life: Duration,
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

    /// Where facts are kept, if not in memory. Reads the password.
    ///
    /// # Errors
    /// Naming the flag whose file cannot be read.
    pub(crate) fn redis(&self) -> Result<Option<RedisConfig>, Failure> {
        let args = &self.redis;
        if args.redis_url.is_empty() {
            return Ok(None);
        }
        let read = |flag: &str, file: &PathBuf| {
            std::fs::read_to_string(file).map_err(|error| {
                Failure::Configuration(format!("{flag} {}: {error}", file.display()))
            })
        };
        let password = match &args.redis_password_file {
            Some(file) => Some(read("--redis-password-file", file)?),
            None => std::env::var("GOMA_REDIS_PASSWORD").ok(),
        };
        let ca_certificate = match &args.redis_ca_certificate {
            Some(file) => Some(read("--redis-ca-certificate", file)?.into_bytes()),
            None => None,
        };
        Ok(Some(RedisConfig {
            urls: args.redis_url.clone(),
            username: args.redis_username.clone(),
            password: password.map(|password| password.trim_end().to_owned()),
            ca_certificate,
            cluster: args.redis_cluster,
            namespace: self.remote.told(),
            mapping_life: args.mapping_life,
            presence_life: args.presence_life,
        }))
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
        assert!(cli.shard.redis().expect("reads").is_none());
        let line = "goma-shard --name a --redis-url redis://x --redis-url redis://y";
        let redis = parse(line).shard.redis().expect("reads").expect("Redis");
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
        let redis = parse(&line).shard.redis().expect("reads").expect("Redis");
        assert_eq!(redis.password.as_deref(), Some("secret"));
        let line = "goma-shard --name a --redis-url redis://x --redis-password-file /no/such";
        let why = parse(line).shard.redis().expect_err("no file").to_string();
        assert!(why.contains("--redis-password-file /no/such"), "{why}");
    }

    #[test]
    fn an_operator_needs_no_name() {
        let cli = parse("goma-shard admin bump-epoch --shard a:1 --shard b:2");
        assert!(
            matches!(cli.command, Some(Command::Admin(Admin::BumpEpoch { shard })) if shard.len() == 2)
        );
    }
}
