//! `goma-loadtest chaos`: a cluster, builds, and what happens to them.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use goma_loadtest::chaos::{self, ChaosConfig, ChaosReport, Scenario, Script};
use goma_loadtest::cluster::{self, Cluster};
use goma_loadtest::{Error, Result};

use crate::cluster_verbs::{UpArgs, stopped};

/// Builds under faults.
#[derive(Debug, Args)]
pub(crate) struct ChaosArgs {
    #[command(flatten)]
    up: UpArgs,
    /// Directory with a compile_commands.json [default: a small project made from the seed]
    #[arg(long, value_name = "DIR")]
    project: Option<PathBuf>,
    /// Sources of the small project
    #[arg(long, value_name = "N", default_value_t = 24)]
    files: usize,
    /// What happens: a name, or a file of events and of what must hold; may be repeated. `all` for
    /// everything that has a name
    #[arg(long, value_name = "NAME|FILE", required = true, value_delimiter = ',')]
    scenario: Vec<String>,
    /// How long each scenario lasts, and the undisturbed builds before
    #[arg(long = "for", value_name = "TIME", default_value = "60s", value_parser = humantime::parse_duration)]
    time: Duration,
    /// Compiles at once
    #[arg(short, long, value_name = "N", default_value_t = 16)]
    jobs: usize,
    /// Seed of the sources and of the client
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// File for the report in JSON
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Directory of the cluster's data and logs and of the sources [default: goma-chaos in the
    /// directory for temporary files]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Runs it; the exit code is 1 where a compile failed or differed.
///
/// # Errors
/// When the cluster could not be run.
pub(crate) async fn run(args: ChaosArgs) -> Result<u8> {
    let stopped = stopped()?;
    tokio::select! {
        report = chaos(&args) => finish(&args, &report?),
        () = stopped => Ok(130),
    }
}

async fn chaos(args: &ChaosArgs) -> Result<ChaosReport> {
    let dir = args.dir.clone().unwrap_or_else(|| cluster::default_dir("chaos"));
    let config = ChaosConfig {
        project: args.project.clone(),
        files: args.files,
        scenarios: scenarios(&args.scenario)?,
        time: args.time,
        jobs: args.jobs,
        seed: args.seed,
        dir: dir.clone(),
    };
    let mut cluster = Cluster::start(args.up.config(dir)).await?;
    chaos::run(&mut cluster, &config, &|line| eprintln!("{line}")).await
}

fn scenarios(names: &[String]) -> Result<Vec<Script>> {
    let mut scenarios = Vec::new();
    for name in names {
        match name.as_str() {
            "all" => scenarios.extend(Scenario::ALL.map(Script::from)),
            file if file.ends_with(".toml") => scenarios.push(Script::read(file.as_ref())?),
            name => {
                let one: Result<Scenario, _> = name.parse();
                let one = one.map_err(|reason| Error::Config { flag: "--scenario", reason })?;
                scenarios.push(one.into());
            }
        }
    }
    Ok(scenarios)
}

fn finish(args: &ChaosArgs, report: &ChaosReport) -> Result<u8> {
    println!("{}(times in milliseconds)", report.table());
    if let Some(path) = &args.report {
        let failed = |source| Error::File { path: path.clone(), source };
        let json = serde_json::to_string_pretty(report).map_err(|error| failed(error.into()))?;
        std::fs::write(path, json + "\n").map_err(failed)?;
    }
    Ok(u8::from(!report.is_clean()))
}
