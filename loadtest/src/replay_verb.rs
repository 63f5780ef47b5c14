//! `goma-loadtest replay`: sends what was recorded once more.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, value_parser};
use goma_loadtest::http::Coding;
use goma_loadtest::load::Way;
use goma_loadtest::load::recording::{self, ReplayConfig};
use goma_loadtest::{Result, Server};

use crate::args::read_token;
use crate::interrupt::interrupt;
use crate::live_view::LiveView;
use crate::open_files;
use crate::run_verb::finish;

/// What, and where to.
#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// Directory of a recording, or of a client's exec_req.data dumps
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// The Goma server; a path replaces the prefix /cxx-compiler-service, a lone / removes it
    #[arg(
        long,
        value_name = "URL",
        env = "GOMA_LOADTEST_SERVER",
        default_value = "http://127.0.0.1:8090"
    )]
    server: String,
    /// How many times faster than it was recorded
    #[arg(long, value_name = "TIMES", default_value_t = 1.0)]
    speed: f64,
    /// Dumps, which have no times: requests a second
    #[arg(long, value_name = "R", default_value_t = 10.0)]
    rate: f64,
    /// Requests under way at most; those that find no room are counted as dropped
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = value_parser!(u32).range(1..))]
    max_in_flight: u32,
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
    /// The server's process on this machine, whose CPU and memory are to be told
    #[arg(long, value_name = "PID", value_parser = value_parser!(u32).range(1..))]
    server_pid: Option<u32>,
    /// Print one JSON object instead of a summary
    #[arg(long)]
    json: bool,
    /// Write the same JSON object here
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Sends it, and tells as `run` does; 1 when an answer was not right.
///
/// # Errors
/// A flag that cannot be meant, or a file that cannot be read or written.
pub(crate) async fn run(args: ReplayArgs) -> Result<u8> {
    let config = ReplayConfig {
        way: Way {
            server: Server::parse(&args.server)?,
            url: args.server,
            tokens: args.token_files.iter().map(read_token).collect::<Result<_>>()?,
            two_writes: args.two_writes,
            coding: (!args.no_compression).then_some(Coding::Gzip),
            timeout: args.timeout,
        },
        dir: args.dir,
        speed: args.speed,
        rate: args.rate,
        max_in_flight: args.max_in_flight as usize,
        server_pid: args.server_pid,
    };
    open_files::raise_limit();
    let view = LiveView::new(None);
    let replaying = recording::replay(&config, interrupt(), |progress| view.show(&progress));
    let report = replaying.await?;
    view.end();
    finish(&report, args.json, args.out)
}
