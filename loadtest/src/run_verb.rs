//! `goma-loadtest run`: measures a Goma server under load.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use goma_loadtest::load::{self, Arrivals, LoadConfig, Pace, Verb};
use goma_loadtest::report::{LatencyReport, LoadReport};
use goma_loadtest::{Error, Result};

use crate::interrupt::interrupt;
use crate::live_view::LiveView;
use crate::open_files;
use crate::way_args::{TellArgs, WayArgs};

/// Which load, and on what.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    way: WayArgs,
    /// What to ask for
    #[arg(long, value_name = "VERB", default_value = "exec")]
    verb: Verb,
    /// Closed loop: requests under way at all times
    #[arg(long, value_name = "N", default_value_t = 8, conflicts_with = "rate")]
    workers: usize,
    /// Open loop: requests a second, sent when they are due and measured from then
    #[arg(long, value_name = "R")]
    rate: Option<f64>,
    /// Open loop: how far apart requests are
    #[arg(long, value_name = "HOW", default_value = "poisson", requires = "rate")]
    arrivals: Arrivals,
    /// Open loop: how long the rate grows from nothing, beginning with the warm-up
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = humantime::parse_duration, requires = "rate")]
    ramp: Duration,
    /// Open loop: requests under way at most; those that find no room are counted as dropped
    #[arg(long, value_name = "N", default_value_t = 2000, requires = "rate")]
    max_in_flight: usize,
    /// How long to measure
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = humantime::parse_duration)]
    duration: Duration,
    /// How long to send before that without counting
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = humantime::parse_duration)]
    warmup: Duration,
    /// Seed of the files, of the choice among them and of the arrivals
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Inputs of a compile, or files of a store or lookup; requests take the next of the list
    #[arg(long, value_name = "N,N,...", value_delimiter = ',', default_value = "100,500,2000")]
    inputs: Vec<usize>,
    /// Size of each of them
    #[arg(long, value_name = "BYTES", default_value_t = 4096)]
    input_bytes: usize,
    /// Different known actions of each size
    #[arg(long, value_name = "N", default_value_t = 4)]
    actions: usize,
    /// Share of requests that bring files which nobody has seen
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    new_share: f64,
    /// Such files in each of those
    #[arg(long, value_name = "N", default_value_t = 10)]
    new_files: usize,
    /// Share of requests that repeat a known action; the rest cannot be answered from a cache
    /// [default: what --new-share leaves]
    #[arg(long, value_name = "SHARE")]
    hit_share: Option<f64>,
    /// The compiler of the compiles
    #[arg(long, value_name = "PROGRAM", default_value = "gcc")]
    compiler: String,
    /// Do not name the toolchain: the server must have the compiler registered
    #[arg(long)]
    no_toolchain: bool,
    /// Root of the tree that compiles ask for, as RBE_exec_root
    #[arg(long, value_name = "DIR")]
    exec_root: Option<String>,
    /// Platform dimension besides os:linux; may be given more than once
    #[arg(long, value_name = "NAME:VALUE")]
    dimension: Vec<String>,
    /// Directory below which the sources are made, for as long as the run
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    #[command(flatten)]
    tell: TellArgs,
}

/// Measures, and tells; 1 when an answer was not right.
///
/// # Errors
/// A flag that cannot be meant, a server that does not answer, or a file that cannot be written.
pub(crate) async fn run(args: RunArgs) -> Result<u8> {
    let config = args.config()?;
    open_files::raise_limit();
    let view = LiveView::new(Some(config.duration));
    let report = load::run(&config, interrupt(), |progress| view.show(&progress)).await?;
    view.end();
    finish(&report, args.tell.json, args.tell.out)
}

/// Tells of a run, and keeps its report where that is wished.
pub(crate) fn finish(report: &LoadReport, json: bool, out: Option<PathBuf>) -> Result<u8> {
    let text = serde_json::to_string(report)
        .map_err(|error| failed("standard output".into(), error.into()))?;
    if let Some(out) = out {
        std::fs::write(&out, format!("{text}\n")).map_err(|error| failed(out, error))?;
    }
    let words = if json { text } else { summary(report) };
    writeln!(std::io::stdout(), "{words}")
        .map_err(|error| failed("standard output".into(), error))?;
    Ok(u8::from(report.wrong() > 0))
}

impl RunArgs {
    fn config(&self) -> Result<LoadConfig> {
        let pace = match self.rate {
            None => Pace::Closed { workers: self.workers },
            Some(rate) => Pace::Open {
                rate,
                arrivals: self.arrivals,
                ramp: self.ramp,
                max_in_flight: self.max_in_flight,
            },
        };
        let config = LoadConfig {
            way: self.way.way()?,
            verb: self.verb,
            pace,
            duration: self.duration,
            warmup: self.warmup,
            seed: self.seed,
            inputs: self.inputs.clone(),
            input_bytes: self.input_bytes,
            actions: self.actions,
            new_share: self.new_share,
            new_files: self.new_files,
            hit_share: self.hit_share.unwrap_or(1.0 - self.new_share),
            compiler: self.compiler.clone(),
            toolchain_included: !self.no_toolchain,
            exec_root: self.exec_root.clone(),
            dimensions: self.dimension.clone(),
            server_pids: self.tell.server_pids.clone(),
            dir: self.dir.clone(),
        };
        config.check()?;
        Ok(config)
    }
}

fn failed(path: PathBuf, source: std::io::Error) -> Error {
    Error::File { path, source }
}

fn summary(report: &LoadReport) -> String {
    let LoadReport { requests, dropped, duration_s, rate, throughput_mb_s, .. } = report;
    let mut lines = vec![
        format!(
            "{requests} requests in {duration_s:.1} s: {rate:.1} right answers a second, \
             {throughput_mb_s:.1} MB/s, {} not right, {dropped} dropped",
            report.wrong()
        ),
        latencies("latency", &report.latency_ms),
    ];
    if report.by_inputs.len() > 1 {
        let mut sizes: Vec<_> = report.by_inputs.iter().collect();
        sizes.sort_by_key(|(inputs, _)| inputs.parse::<usize>().unwrap_or(0));
        let told = sizes.iter().map(|(inputs, size)| latencies(inputs, &size.latency_ms));
        lines.extend(told);
    }
    for (kind, count) in &report.errors {
        let words = report.examples.get(kind).map_or("", String::as_str);
        lines.push(format!("not right: {count} of kind {kind}, the first: {words}"));
    }
    for (name, stage) in report.stages.iter().flatten() {
        lines.push(format!("{name:<12} mean {:>9.3}   p99 {:>9.3} ms", stage.mean, stage.p99));
    }
    if let Some(server) = &report.server {
        lines.push(format!(
            "server: {:.2} ms of CPU a request, {:.1} MB resident at the end, {:.1} MB at most",
            server.cpu_ms_a_request,
            server.resident_bytes as f64 / 1e6,
            server.peak_resident_bytes as f64 / 1e6
        ));
    }
    lines.push(format!("this program kept {:.1} cores busy", report.generator.cores));
    lines.extend(report.doubt().map(|doubt| format!("beware: {doubt}")));
    lines.join("\n")
}

fn latencies(name: &str, latency: &LatencyReport) -> String {
    let LatencyReport { min, mean, p50, p90, p99, p99_9, max } = latency;
    format!(
        "{name:<12} min {min:.1}, mean {mean:.1}, p50 {p50:.1}, p90 {p90:.1}, p99 {p99:.1}, \
         p99.9 {p99_9:.1}, max {max:.1} ms"
    )
}
