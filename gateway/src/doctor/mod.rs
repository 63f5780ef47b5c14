//! Walks through everything that a compile needs of a backend, one step after the other, and says in
//! plain words which one fails and what to change.

mod advice;
mod args;
mod report;
mod visit;

use goma_common::program::Failure;
use goma_common::remote_args::RemoteArgs;

use crate::config::GatewayConfig;

pub use args::DoctorArgs;
pub use report::{Finding, Outcome, Report, Step};

/// Visits the backend of these flags as a server with these settings would use it. It writes a few
/// small blobs, each new, and runs one command.
pub async fn examine(remote: &RemoteArgs, config: &GatewayConfig, args: &DoctorArgs) -> Report {
    let mut report = Report::default();
    visit::visit(remote, config, args, &mut report).await;
    report
}

/// The same as a program: the report on standard output, a failure when something is wrong.
///
/// # Errors
/// When a step failed.
pub async fn run(
    remote: &RemoteArgs,
    config: &GatewayConfig,
    args: &DoctorArgs,
) -> Result<(), Failure> {
    let report = examine(remote, config, args).await;
    println!("{}", if args.json { report.json() } else { report.text() });
    match report.failed() {
        None => Ok(()),
        Some(finding) => Err(Failure::Start(format!("{} failed", finding.step.name()))),
    }
}
