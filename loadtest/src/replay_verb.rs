//! `goma-loadtest replay`: sends what was recorded once more.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, value_parser};
use goma_loadtest::Result;
use goma_loadtest::load::recording::{self, ReplayConfig, ReplayPace};

use crate::interrupt::interrupt;
use crate::live_view::LiveView;
use crate::open_files;
use crate::run_verb::finish;
use crate::way_args::{TellArgs, WayArgs};

/// What, and where to.
#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// Directory of a recording, or of a client's exec_req.data dumps
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    #[command(flatten)]
    way: WayArgs,
    /// How many times faster than it was recorded
    #[arg(long, value_name = "TIMES", default_value_t = 1.0)]
    speed: f64,
    /// Dumps, which have no times: requests a second
    #[arg(long, value_name = "R", default_value_t = 10.0)]
    rate: f64,
    /// Requests under way at most; those that find no room are counted as dropped
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = value_parser!(u32).range(1..))]
    max_in_flight: u32,
    /// All of it over and over instead, by so many workers with a request under way at all times
    #[arg(long, value_name = "N", conflicts_with_all = ["speed", "rate", "max_in_flight"])]
    workers: Option<usize>,
    /// With workers: how long to measure
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = humantime::parse_duration, requires = "workers")]
    duration: Duration,
    /// With workers: how long to send before that without counting
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = humantime::parse_duration, requires = "workers")]
    warmup: Duration,
    #[command(flatten)]
    tell: TellArgs,
}

/// Sends it, and tells as `run` does; 1 when an answer was not right.
///
/// # Errors
/// A flag that cannot be meant, or a file that cannot be read or written.
pub(crate) async fn run(args: ReplayArgs) -> Result<u8> {
    let ReplayArgs { speed, rate, max_in_flight, warmup, duration, .. } = args;
    let pace = match args.workers {
        Some(workers) => ReplayPace::Rotation { workers, warmup, duration },
        None => ReplayPace::Recorded { speed, rate, max_in_flight: max_in_flight as usize },
    };
    let TellArgs { server_pids, json, out } = args.tell;
    let config = ReplayConfig { way: args.way.way()?, dir: args.dir, pace, server_pids };
    open_files::raise_limit();
    let view = LiveView::new(args.workers.map(|_| duration));
    let replaying = recording::replay(&config, interrupt(), |progress| view.show(&progress));
    let report = replaying.await?;
    view.end();
    finish(&report, json, out)
}
