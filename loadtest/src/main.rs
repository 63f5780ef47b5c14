//! `goma-loadtest`: compiles on a Goma server, as one user or as many.

mod args;
mod chaos_verb;
mod cluster_verbs;
mod conformance_verb;
mod interrupt;
mod live_view;
mod open_files;
mod preload_verb;
mod record_verb;
mod replay_verb;
mod report_verb;
mod run_verb;
mod server_arg;
mod simulate_verb;
mod token_service_verb;
mod way_args;
mod worker_verb;

use std::io::Write;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use goma_loadtest::report::{BuildReport, CompileReport};
use goma_loadtest::{Client, Error, Result};

use crate::args::{BuildArgs, Cli, CompileArgs, HerdArgs, Verb};

#[global_allocator]
static ALLOCATOR: goma_common::program::Allocator = goma_common::program::Allocator;

/// Exit code for a command line that cannot be meant.
const USAGE: u8 = 64;

#[tokio::main]
async fn main() -> ExitCode {
    let result = match Cli::parse().verb {
        Verb::Compile(args) => compile(args).await,
        Verb::Build(args) => build(args).await,
        Verb::Herd(args) => herd(args).await,
        Verb::Chaos(args) => chaos_verb::run(args).await,
        Verb::Cluster(args) => cluster_verbs::run(args).await,
        Verb::Conformance(args) => conformance_verb::run(*args).await,
        Verb::Preload(args) => preload_verb::run(args).await,
        Verb::Record(args) => record_verb::run(args).await,
        Verb::Replay(args) => replay_verb::run(args).await,
        Verb::Report(args) => report_verb::run(args),
        Verb::Run(args) => run_verb::run(*args).await,
        Verb::Simulate(args) => simulate_verb::run(args).await,
        Verb::TokenService(args) => token_service_verb::run(args).await,
        Verb::Docs(command) => match command.run(Cli::command()) {
            Ok(()) => Ok(0),
            Err(failure) => {
                eprintln!("goma-loadtest: {failure}");
                return failure.exit_code();
            }
        },
        Verb::Worker(args) => worker_verb::run(args).await,
    };
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("goma-loadtest: {error}");
            ExitCode::from(if matches!(error, Error::Config { .. }) { USAGE } else { 1 })
        }
    }
}

async fn compile(args: CompileArgs) -> Result<u8> {
    let client = Client::new(args.server.config()?);
    let outcome = client.compile(args.compile()?).await;
    if args.json {
        print_json(&CompileReport::from(&outcome))?;
    } else {
        let mut streams = std::io::stdout().write_all(&outcome.stdout);
        streams = streams.and(std::io::stderr().write_all(&outcome.stderr));
        streams.map_err(|source| Error::File { path: "standard output".into(), source })?;
        if let Some(failure) = &outcome.failure {
            eprintln!("goma-loadtest: {failure}");
        }
    }
    Ok(outcome.exit_code())
}

async fn build(args: BuildArgs) -> Result<u8> {
    let client = Client::new(args.server.config()?);
    let report = goma_loadtest::build::run(&client, &args.config()).await?;
    for unit in &report.results {
        if let Some(failure) = &unit.failure {
            eprintln!("{}: {failure}", unit.name);
            eprint!("{}", unit.stderr.as_deref().unwrap_or_default());
        }
        for output in &unit.different {
            eprintln!("{}: {output} differs from the local one", unit.name);
        }
    }
    if args.json {
        print_json(&report)?;
    } else {
        eprintln!("{}", summary(&report));
    }
    Ok(u8::from(!report.is_success()))
}

async fn herd(args: HerdArgs) -> Result<u8> {
    let report = goma_loadtest::herd::run(&args.config()?).await?;
    print_json(&report)?;
    Ok(u8::from(!report.is_clean()))
}

fn summary(report: &BuildReport) -> String {
    let BuildReport { compiles, local, failed, cache_hits, attempts, identical, .. } = report;
    format!(
        "{compiles} compiles ({local} local), {failed} failed, {cache_hits} from the cache, \
         {attempts} execs, {identical} outputs identical, {} different; {:.1} s, p50 {:.0} ms, \
         p99 {:.0} ms",
        report.different.len(),
        report.wall_ms / 1e3,
        report.p50_ms,
        report.p99_ms
    )
}

fn print_json(report: &impl serde::Serialize) -> Result<()> {
    let failed = |source| Error::File { path: "standard output".into(), source };
    let text = serde_json::to_string(report).map_err(|e| failed(e.into()))?;
    writeln!(std::io::stdout(), "{text}").map_err(failed)
}
