//! What a Remote Execution server can do, found out by asking it: what a Goma server cannot do without,
//! and what it makes use of where it is there.
//!
//! [`storage`] and [`actions`] are the checks, each a plain function over the [`Visited`] server;
//! [`report`] is the table.

mod actions;
mod report;
mod script;
mod storage;
mod visited;

use std::time::Duration;

use futures::future::BoxFuture;
use goma_common::reapi::RemoteConfig;
use goma_common::{Deadline, Error, Result};
use tokio::time::Instant;

pub use report::{ConformanceReport, Row};
use visited::Visited;

/// Whether a Goma server can do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Need {
    /// No.
    Must,
    /// Yes, at some price.
    May,
}

/// One thing that a server can do or not.
struct Check {
    need: Need,
    name: &'static str,
    run: Run,
}

/// What was seen, or why not.
type Run = for<'a> fn(&'a Visited) -> BoxFuture<'a, Result<String>>;

/// Checks in the order in which they are made.
fn checks() -> Vec<Check> {
    storage::CHECKS
        .iter()
        .chain(actions::CHECKS)
        .map(|(need, name, run)| Check { need: *need, name, run: *run })
        .collect()
}

/// How many checks there are.
#[must_use]
pub fn count() -> usize {
    checks().len()
}

/// Makes them all, one after the other; `made` is called after each. Writes a few megabytes into the
/// server, all of it new, and runs some twenty commands with these platform properties.
///
/// # Errors
/// When the server cannot be reached at all, or the flags cannot be meant.
pub async fn run(
    config: &RemoteConfig,
    properties: Vec<(String, String)>,
    patience: Duration,
    mut made: impl FnMut(&Row),
) -> Result<ConformanceReport> {
    let visited = Visited::new(config, properties, patience)?;
    let capabilities = visited.capabilities().await?;
    let mut report = ConformanceReport::new(&capabilities);
    for check in checks() {
        let began = Instant::now();
        let ended = Deadline::after(patience).bound(check.name, (check.run)(&visited)).await;
        let (can, said) = match ended {
            Ok(said) => (true, said),
            Err(Error { message, .. }) => (false, message),
        };
        let took = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let row = Row { need: check.need, name: check.name, can, said, milliseconds: took };
        made(&row);
        report.rows.push(row);
    }
    Ok(report)
}
