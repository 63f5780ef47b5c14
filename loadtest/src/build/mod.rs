//! A whole build: every compile of a `compile_commands.json`, on the server.
//!
//! Three phases, so that each can be timed alone: find out what every compile reads; with `verify`,
//! compile it locally as a reference; send them all. What Goma clients do not send runs locally.

mod commands;
mod local;
mod progress;
mod reference;
mod shell;

use std::path::PathBuf;
use std::time::Instant;

use futures::stream::{self, StreamExt};

use self::commands::Entry;
use self::progress::Progress;
use self::reference::{Reference, References};
use crate::client::{Client, Outcome, Prepared};
use crate::error::{Error, Result};
use crate::report::{BuildReport, UnitReport};

/// What to build and how.
#[derive(Clone, Debug)]
pub struct BuildConfig {
    /// A `compile_commands.json`.
    pub compile_commands: PathBuf,
    /// Compiles at once.
    pub jobs: usize,
    /// Compare each output with that of a local compile.
    pub verify: bool,
    /// Only the first so many compiles.
    pub limit: Option<usize>,
    /// Keeps the results of local compiles from run to run.
    pub local_dir: Option<PathBuf>,
}

/// One compile on its way through the phases.
struct Unit {
    entry: Entry,
    scanned: Result<Prepared>,
    reference: Option<Result<Reference>>,
}

/// Builds everything with one client.
///
/// # Errors
/// When there is nothing to begin with; a compile that fails is in the report.
pub async fn run(client: &Client, config: &BuildConfig) -> Result<BuildReport> {
    let mut entries = commands::read(&config.compile_commands)?;
    entries.truncate(config.limit.unwrap_or(usize::MAX));
    let jobs = config.jobs.max(1);

    let begun = Instant::now();
    let progress = Progress::new("scan", entries.len());
    let mut units: Vec<Unit> = stream::iter(entries)
        .map(|entry| progress.count(scan(client, entry)))
        .buffered(jobs)
        .collect()
        .await;
    progress.finish();
    let scan_time = begun.elapsed();

    if config.verify {
        let references = References::open(config.local_dir.clone())?;
        let progress = Progress::new("local", units.len());
        units = stream::iter(units)
            .map(|unit| progress.count(refer(client, &references, unit)))
            .buffered(jobs)
            .collect()
            .await;
        progress.finish();
        return Ok(send_all(client, units, jobs, scan_time).await);
    }
    Ok(send_all(client, units, jobs, scan_time).await)
}

async fn scan(client: &Client, entry: Entry) -> Unit {
    let scanned = client.prepare(entry.compile()).await;
    if let Ok(prepared) = &scanned {
        // Build systems make these before they compile; who only has the list has not.
        let parents = prepared
            .outputs()
            .iter()
            .filter_map(|o| Some(entry.directory.join(o).parent()?.to_owned()));
        for parent in parents {
            // A directory that cannot be made shows as an output that cannot be written.
            tokio::fs::create_dir_all(parent).await.ok();
        }
    }
    Unit { entry, scanned, reference: None }
}

async fn refer(client: &Client, references: &References, mut unit: Unit) -> Unit {
    if let Ok(prepared) = &unit.scanned {
        unit.reference = Some(references.of(client, &unit.entry, prepared).await);
    }
    unit
}

async fn send_all(
    client: &Client,
    units: Vec<Unit>,
    jobs: usize,
    scan_time: std::time::Duration,
) -> BuildReport {
    let begun = Instant::now();
    let progress = Progress::new("send", units.len());
    let results: Vec<UnitReport> = stream::iter(units)
        .map(|unit| progress.count(send(client, unit)))
        .buffered(jobs)
        .collect()
        .await;
    progress.finish();
    BuildReport::new(results, scan_time, begun.elapsed())
}

async fn send(client: &Client, unit: Unit) -> UnitReport {
    let Unit { entry, scanned, reference } = unit;
    let name = entry.name();
    let prepared = match scanned {
        Ok(prepared) => prepared,
        Err(Error::NotRemote(why)) => {
            let outcome = local::outcome(&entry, why).await;
            return UnitReport::new(name, &outcome);
        }
        Err(error) => return UnitReport::new(name, &Outcome::failed(error.to_string())),
    };
    let outcome = client.send(prepared).await;
    let mut report = UnitReport::new(name, &outcome);
    match reference {
        Some(Ok(reference)) => reference.compare(&entry.directory, &outcome, &mut report).await,
        Some(Err(error)) => report.fail(format!("local compile: {error}")),
        None => {}
    }
    report
}
