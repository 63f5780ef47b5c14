//! Runs a compile on this machine, where its outputs belong.

use std::process::{Output, Stdio};

use tokio::process::Command;

use super::commands::Entry;
use crate::client::Outcome;
use crate::error::{Error, Result};

/// Runs it; what the compiler says is as in the C locale, as it is remotely.
pub(super) async fn run(entry: &Entry) -> Result<Output> {
    let program = &entry.argv[0];
    let failed =
        |e: std::io::Error| Error::Compiler { program: program.clone(), reason: e.to_string() };
    // A relative program is looked for in our own directory, not in the child's.
    let path = if program.contains('/') { entry.directory.join(program) } else { program.into() };
    Command::new(path)
        .args(&entry.argv[1..])
        .current_dir(&entry.directory)
        .env("PWD", &entry.directory)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(failed)
}

/// A command that is not sent, run as gomacc would run it.
pub(super) async fn outcome(entry: &Entry, why: String) -> Outcome {
    let mut outcome = Outcome { exit_status: -1, not_remote: true, ..Outcome::default() };
    match run(entry).await {
        Ok(output) => {
            outcome.exit_status = output.status.code().unwrap_or(-1);
            outcome.stdout = output.stdout;
            outcome.stderr = output.stderr;
        }
        Err(error) => outcome.failure = Some(format!("{error} (run locally: {why})")),
    }
    outcome
}
