//! The command line of `goma-loadtest`.

use std::path::PathBuf;

use bytes::Bytes;
use clap::{Args, Parser, Subcommand};
use goma_common::docs_command::DocsCommand;
use goma_loadtest::build::BuildConfig;
use goma_loadtest::herd::HerdConfig;
use goma_loadtest::http::Coding;
use goma_loadtest::{ClientConfig, Compile, Error, Result, Server};

use crate::chaos_verb::ChaosArgs;
use crate::cluster_verbs::ClusterArgs;
use crate::conformance_verb::ConformanceArgs;
use crate::preload_verb::PreloadArgs;
use crate::record_verb::RecordArgs;
use crate::replay_verb::ReplayArgs;
use crate::report_verb::ReportArgs;
use crate::run_verb::RunArgs;
use crate::server_arg::ServerArg;
use crate::simulate_verb::SimulateArgs;
use crate::token_service_verb::TokenServiceArgs;
use crate::worker_verb::WorkerArgs;

/// A Goma client that compiles on any Goma server, politely or as awkwardly as the stock client.
#[derive(Debug, Parser)]
#[command(name = "goma-loadtest", version = goma_common::telemetry::version())]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Sends one compile and exits as the compiler would
    Compile(CompileArgs),
    /// Sends all compiles of a compile_commands.json
    Build(BuildArgs),
    /// Runs a whole cluster on this machine, and breaks it in parts
    Cluster(ClusterArgs),
    /// Lets many users build the same files at the same moment
    Herd(HerdArgs),
    /// Builds over and over on a cluster of its own while parts of it fail, and checks each object
    Chaos(ChaosArgs),
    /// Puts directories of files on a server before any compile needs them, skipping what it has
    Preload(PreloadArgs),
    /// Tells how a worker behind a server differs from this machine: compilers, headers, what it needs
    Worker(WorkerArgs),
    /// Plays a day of a large fleet in virtual time, and tells what it asks of shards and backend
    Simulate(SimulateArgs),
    /// Measures a Goma server under load: compiles, stores or lookups at a rate, or as fast as it can
    Run(Box<RunArgs>),
    /// Writes down what clients ask a server for, as a proxy between them
    Record(RecordArgs),
    /// Sends what was recorded once more, to any server
    Replay(ReplayArgs),
    /// Makes a page with pictures of one load run, or compares several
    Report(ReportArgs),
    /// Asks a Remote Execution server what it can do, and tells whether a Goma server can use it
    Conformance(Box<ConformanceArgs>),
    /// Gives the stock client refreshable tokens, without which its own retries do not work
    TokenService(TokenServiceArgs),
    #[command(flatten)]
    Docs(DocsCommand),
}

/// How to speak to which server.
#[derive(Debug, Args)]
pub(crate) struct ServerArgs {
    #[command(flatten)]
    server: ServerArg,
    /// Behave as the stock client does, its traps and all
    #[arg(long)]
    stock: bool,
    /// Seed of everything random
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Value of the User-Agent header
    #[arg(long, value_name = "TEXT")]
    user_agent: Option<String>,
    /// File that holds a bearer token
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Do not name the toolchain: the server must have the compiler registered
    #[arg(long)]
    no_toolchain: bool,
    /// Root of the tree that the request asks for, as RBE_exec_root
    #[arg(long, value_name = "DIR")]
    exec_root: Option<String>,
    /// Compression to advertise and begin with
    #[arg(long, value_name = "CODING", default_value = "gzip")]
    accept_encoding: Coding,
    /// Neither send nor advertise compression
    #[arg(long, conflicts_with = "accept_encoding")]
    no_compression: bool,
    /// Platform dimension besides os:linux; may be given more than once
    #[arg(long, value_name = "NAME:VALUE")]
    dimension: Vec<String>,
    /// Do not ask /ping first
    #[arg(long)]
    no_ping: bool,
}

/// One compile.
#[derive(Debug, Args)]
pub(crate) struct CompileArgs {
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// Print one JSON object instead of the compiler's output
    #[arg(long)]
    pub(crate) json: bool,
    /// Claim that the input NAME holds the bytes of FILE; may be given more than once
    #[arg(long = "override", value_name = "NAME=FILE")]
    overrides: Vec<String>,
    /// File to send along though the compile does not read it; may be given more than once
    #[arg(long = "extra-input", value_name = "NAME")]
    extra_inputs: Vec<PathBuf>,
    /// The compiler and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// A whole build.
#[derive(Debug, Args)]
pub(crate) struct BuildArgs {
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// The list of compiles
    #[arg(long, value_name = "FILE", default_value = "compile_commands.json")]
    compile_commands: PathBuf,
    /// Compiles at once
    #[arg(short, long, value_name = "N", default_value_t = 8)]
    jobs: usize,
    /// Compile locally first, and compare every output byte for byte
    #[arg(long)]
    verify: bool,
    /// Keep the results of local compiles here from run to run
    #[arg(long, value_name = "DIR", requires = "verify")]
    local_dir: Option<PathBuf>,
    /// Only the first N compiles
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Print one JSON object instead of a summary
    #[arg(long)]
    pub(crate) json: bool,
}

/// Many users.
#[derive(Debug, Args)]
pub(crate) struct HerdArgs {
    /// The Goma server
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8090")]
    server: String,
    /// Client processes
    #[arg(long, value_name = "N", default_value_t = 100)]
    users: usize,
    /// Sources that each of them compiles, made from the seed
    #[arg(long, value_name = "N", default_value_t = 10)]
    files: usize,
    /// Compiles at once of one user
    #[arg(short, long, value_name = "N", default_value_t = 1)]
    jobs: usize,
    /// Seed of the sources and of the clients
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Directory for the users' homes
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
}

impl HerdArgs {
    /// The herd that these flags describe.
    pub(crate) fn config(&self) -> Result<HerdConfig> {
        Ok(HerdConfig {
            server: Server::parse(&self.server)?,
            users: self.users,
            files: self.files,
            jobs: self.jobs,
            seed: self.seed,
            dir: std::path::absolute(&self.dir)
                .map_err(|source| Error::File { path: self.dir.clone(), source })?,
        })
    }
}

impl BuildArgs {
    /// The build that these flags describe.
    pub(crate) fn config(&self) -> BuildConfig {
        BuildConfig {
            compile_commands: self.compile_commands.clone(),
            jobs: self.jobs,
            verify: self.verify,
            limit: self.limit,
            local_dir: self.local_dir.clone(),
        }
    }
}

impl ServerArgs {
    /// The client that these flags describe.
    pub(crate) fn config(&self) -> Result<ClientConfig> {
        let mut config = ClientConfig::new(self.server.server()?, self.stock);
        config.seed = self.seed;
        config.user_agent = self.user_agent.clone().unwrap_or(config.user_agent);
        config.token = self.token_file.as_ref().map(read_token).transpose()?;
        config.toolchain_included = !self.no_toolchain;
        config.exec_root = self.exec_root.clone();
        config.coding = (!self.no_compression).then_some(self.accept_encoding);
        config.dimensions = self.dimension.clone();
        config.ping = !self.no_ping;
        Ok(config)
    }
}

impl CompileArgs {
    /// The compile, in the current directory.
    pub(crate) fn compile(&self) -> Result<Compile> {
        let here =
            std::env::current_dir().map_err(|source| Error::File { path: ".".into(), source })?;
        let mut compile = Compile::new(here, self.command.iter().cloned());
        compile.extra_inputs = self.extra_inputs.clone();
        for text in &self.overrides {
            let Some((name, file)) = text.split_once('=') else {
                let reason = format!("{text} is not NAME=FILE");
                return Err(Error::Config { flag: "--override", reason });
            };
            let bytes =
                std::fs::read(file).map_err(|source| Error::File { path: file.into(), source })?;
            compile.overrides.push((name.into(), Bytes::from(bytes)));
        }
        Ok(compile)
    }
}

pub(crate) fn read_token(path: &PathBuf) -> Result<String> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| Error::File { path: path.clone(), source })?;
    Ok(text.trim().to_owned())
}
