//! `goma-loadtest`: compiles on a Goma server, as one user or as many.

mod args;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use goma_loadtest::report::CompileReport;
use goma_loadtest::{Client, Error, Result};

use crate::args::{Cli, CompileArgs, Verb};

/// Exit code for a command line that cannot be meant.
const USAGE: u8 = 64;

#[tokio::main]
async fn main() -> ExitCode {
    let result = match Cli::parse().verb {
        Verb::Compile(args) => compile(args).await,
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

fn print_json(report: &impl serde::Serialize) -> Result<()> {
    let failed = |source| Error::File { path: "standard output".into(), source };
    let text = serde_json::to_string(report).map_err(|e| failed(e.into()))?;
    writeln!(std::io::stdout(), "{text}").map_err(failed)
}
