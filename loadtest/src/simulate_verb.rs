//! `goma-loadtest simulate`: a fleet on paper.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use goma_loadtest::simulate::{self, SimulateConfig, SimulateReport};
use goma_loadtest::{Error, Result};
use indicatif::{ProgressBar, ProgressStyle};

/// The fleet, and where the report goes.
#[derive(Debug, Args)]
pub(crate) struct SimulateArgs {
    /// Gateways behind a balancer
    #[arg(long, value_name = "N", default_value_t = 20)]
    gateways: usize,
    /// Shards
    #[arg(long, value_name = "N", default_value_t = 100)]
    shards: usize,
    /// People who build
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    developers: usize,
    /// Compiles of one build at once
    #[arg(short, long, value_name = "N", default_value_t = 200)]
    jobs: usize,
    /// Sources of the tree; each has about 290 inputs
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    sources: usize,
    /// Headers of the tree
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    headers: usize,
    /// Builds of a developer in an hour of work
    #[arg(long, value_name = "N", default_value_t = 2.0)]
    builds_per_hour: f64,
    /// Commits to the tree in an hour
    #[arg(long, value_name = "N", default_value_t = 40.0)]
    commits_per_hour: f64,
    /// Shards that are lost at 10:15
    #[arg(long, value_name = "N", default_value_t = 10)]
    lost: usize,
    /// Shards keep their facts in memory, each its own
    #[arg(long)]
    no_redis: bool,
    /// How long shards take the backend to hold a blob after it said so
    #[arg(long, default_value = "4h", value_parser = humantime::parse_duration, value_name = "TIME")]
    presence_life: Duration,
    /// Seed of everything random
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// File for a page with pictures
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// File for the report in JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Plays the day; the exit code is 1 where a compile failed.
///
/// # Errors
/// When the flags make no fleet, or a report cannot be written.
pub(crate) async fn run(args: SimulateArgs) -> Result<u8> {
    let config = args.config();
    let bar = ProgressBar::new(simulate::builds(&config) as u64);
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} builds, {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    // It has a runtime of its own, whose time is not ours.
    let played = tokio::task::spawn_blocking({
        let bar = bar.clone();
        move || simulate::run(&config, move || bar.inc(1))
    });
    let ended = |error: tokio::task::JoinError| Error::Member {
        name: "simulate".to_owned(),
        reason: error.to_string(),
    };
    let report = played.await.map_err(ended)??;
    bar.finish_and_clear();
    println!("{}", report.table());
    args.write(&report)?;
    Ok(u8::from(report.failed() > 0))
}

impl SimulateArgs {
    fn config(&self) -> SimulateConfig {
        SimulateConfig {
            gateways: self.gateways,
            shards: self.shards,
            developers: self.developers,
            jobs: self.jobs,
            sources: self.sources,
            headers: self.headers,
            builds_per_hour: self.builds_per_hour,
            commits_per_hour: self.commits_per_hour,
            lost: self.lost,
            redis: !self.no_redis,
            presence_life: self.presence_life.as_secs(),
            seed: self.seed,
        }
    }

    fn write(&self, report: &SimulateReport) -> Result<()> {
        if let Some(path) = &self.report {
            write(path, report.page())?;
        }
        if let Some(path) = &self.json {
            let json = serde_json::to_string_pretty(report);
            write(path, json.map(|json| json + "\n").map_err(Into::into))?;
        }
        Ok(())
    }
}

fn write(path: &Path, text: std::io::Result<String>) -> Result<()> {
    let written = text.and_then(|text| std::fs::write(path, text));
    written.map_err(|source| Error::File { path: path.to_owned(), source })
}
