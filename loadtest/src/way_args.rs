//! Flags of those verbs that put load on a server: where it is, how requests are written, and what is told.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, value_parser};
use goma_loadtest::Result;
use goma_loadtest::http::Coding;
use goma_loadtest::load::Way;

use crate::args::read_token;
use crate::server_arg::ServerArg;

/// The way to the server.
#[derive(Debug, Args)]
pub(crate) struct WayArgs {
    #[command(flatten)]
    server: ServerArg,
    /// How long one request may take
    #[arg(long, value_name = "TIME", default_value = "620s", value_parser = humantime::parse_duration)]
    timeout: Duration,
    /// File that holds a bearer token; several make several users, in rotation
    #[arg(long = "token-file", value_name = "FILE")]
    token_files: Vec<PathBuf>,
    /// Write head and body apart with Nagle's algorithm on, as the stock client does
    #[arg(long)]
    two_writes: bool,
    /// Neither send nor ask for gzip
    #[arg(long)]
    no_compression: bool,
}

/// What is told of a run.
#[derive(Debug, Args)]
pub(crate) struct TellArgs {
    /// The server's process on this machine, whose CPU and memory are to be told; of several, the sum
    #[arg(long = "server-pid", value_name = "PID", value_delimiter = ',', value_parser = value_parser!(u32).range(1..))]
    pub(crate) server_pids: Vec<u32>,
    /// Print one JSON object instead of a summary
    #[arg(long)]
    pub(crate) json: bool,
    /// Write the same JSON object here
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

impl WayArgs {
    /// # Errors
    /// An address that is none, or a token's file that cannot be read.
    pub(crate) fn way(&self) -> Result<Way> {
        Ok(Way {
            server: self.server.server()?,
            url: self.server.url().to_owned(),
            tokens: self.token_files.iter().map(read_token).collect::<Result<_>>()?,
            two_writes: self.two_writes,
            coding: (!self.no_compression).then_some(Coding::Gzip),
            timeout: self.timeout,
        })
    }
}
