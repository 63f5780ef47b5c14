//! Walks through everything that a compile needs of a backend, one step after the other, and says in
//! plain words which one fails and what to change.

mod advice;
mod args;
mod report;
mod subjects;
mod visit;

use goma_common::program::Failure;
use goma_common::remote_args::RemoteArgs;
use serde_json::Value;

use crate::config::GatewayConfig;

pub use args::DoctorArgs;
pub use report::{Finding, Outcome, Report, Step};
pub use subjects::{Subject, subjects};

/// Visits the backend of these flags as a server with these settings would use it. It writes a few
/// small blobs, each new, and runs one command.
pub async fn examine(remote: &RemoteArgs, config: &GatewayConfig, args: &DoctorArgs) -> Report {
    let mut report = Report::default();
    visit::visit(remote, config, args, &mut report).await;
    report
}

/// The same as a program, for each of the subjects: the reports on standard output, a failure when
/// something is wrong.
///
/// # Errors
/// When a step failed.
pub async fn run(subjects: Vec<Subject>, args: &DoctorArgs) -> Result<(), Failure> {
    let mut reports = Vec::new();
    for Subject { platform, remote, config } in &subjects {
        let report = examine(remote, config, args).await;
        if !args.json {
            if !platform.is_empty() {
                println!("platform {platform}");
            }
            println!("{}", report.text());
        }
        reports.push((platform, report));
    }
    if args.json {
        match reports.as_slice() {
            [(platform, report)] if platform.is_empty() => println!("{}", report.json()),
            several => {
                let told = several.iter().map(|(platform, report)| report.json_of(platform));
                println!("{}", Value::Array(told.collect()));
            }
        }
    }
    match reports.iter().find_map(|(platform, report)| Some((platform, report.failed()?))) {
        None => Ok(()),
        Some((platform, finding)) if platform.is_empty() => {
            Err(Failure::Start(format!("{} failed", finding.step.name())))
        }
        Some((platform, finding)) => {
            Err(Failure::Start(format!("platform {platform}: {} failed", finding.step.name())))
        }
    }
}
