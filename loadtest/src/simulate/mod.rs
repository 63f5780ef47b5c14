//! A fleet on paper: thousands of developers on a shared tree, many gateways and shards, in virtual
//! time. The rings, the shards with their presence, uploads and joins, and the gateways' caches of
//! keys are the real code; the network, Redis, the backend and the people are made up.
//!
//! In reading order: [`day`] is what happens, [`developer`] what a build compiles of the [`tree`];
//! [`cluster`] has the real parts put together, [`member`] a shard of it, [`store`] and [`farm`] what
//! stands behind; [`counts`] what is counted, [`report`] what is told, [`page`]
//! with pictures.
//!
//! Equal configurations give equal reports.

mod cluster;
mod counts;
mod day;
mod developer;
mod farm;
mod member;
mod page;
mod random;
mod report;
mod store;
mod tree;

use std::sync::Arc;

use serde::Serialize;
use tokio::runtime::Builder;

pub use counts::{Counts, Load};
pub use report::{PhaseReport, ShardReport, SimulateReport};

use crate::{Error, Result};
use cluster::Cluster;
use counts::Ledger;
use day::Day;
use farm::Farm;
use tree::{Shape, Tree};

/// The fleet, and its work.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SimulateConfig {
    /// Gateways behind a balancer.
    pub gateways: usize,
    /// Shards of equal weight.
    pub shards: usize,
    /// People who build.
    pub developers: usize,
    /// Compiles of one build at once.
    pub jobs: usize,
    /// Sources of the tree.
    pub sources: usize,
    /// Headers of the tree.
    pub headers: usize,
    /// Builds of a developer in an hour of work.
    pub builds_per_hour: f64,
    /// Commits to the tree in an hour, each of one to three files.
    pub commits_per_hour: f64,
    /// Shards that are lost at 10:15.
    pub lost: usize,
    /// Whether the shards share a Redis; else each keeps its facts in memory.
    pub redis: bool,
    /// How long shards take the backend to hold a blob after it said so, in seconds.
    pub presence_life: u64,
    /// Seed of everything random.
    pub seed: u64,
}

impl Default for SimulateConfig {
    fn default() -> Self {
        Self {
            gateways: 20,
            shards: 100,
            developers: 10_000,
            jobs: 200,
            sources: 20_000,
            headers: 20_000,
            builds_per_hour: 2.0,
            commits_per_hour: 40.0,
            lost: 10,
            redis: true,
            presence_life: 4 * 60 * 60,
            seed: 0,
        }
    }
}

/// Builds that are made in all.
#[must_use]
pub fn builds(config: &SimulateConfig) -> usize {
    Day::builds(config)
}

/// Plays the day on this thread, which must not be one that runs tasks. `done` hears of each build
/// that ended.
///
/// # Errors
/// When the configuration makes no fleet.
pub fn run(
    config: &SimulateConfig,
    done: impl Fn() + Send + Sync + 'static,
) -> Result<SimulateReport> {
    check(config)?;
    let failed = |error: &dyn std::fmt::Display| Error::member("simulate", error);
    // The delays between tries of the code under test.
    fastrand::seed(config.seed);
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.map_err(|error| failed(&error))?.block_on(async {
        let ledger = Arc::new(Ledger::new(config.shards).map_err(|error| failed(&error))?);
        let farm = Farm::new(ledger.clone());
        let hours = day::ELEVEN.as_secs_f64() / 3600.0;
        let shape = Shape {
            sources: config.sources,
            headers: config.headers,
            commits_per_hour: config.commits_per_hour,
            commits: (hours * config.commits_per_hour) as u32,
        };
        let tree = Tree::new(shape, &mut fastrand::Rng::with_seed(config.seed));
        let cluster = Cluster::new(config, &ledger, &farm).map_err(|error| failed(&error))?;
        let shares = cluster.shares();
        Arc::new(Day::new(config.clone(), tree, cluster)).play(done).await;
        Ok(SimulateReport::new(config.clone(), &ledger, &shares, farm.blobs()))
    })
}

fn check(config: &SimulateConfig) -> Result<()> {
    let atleast = |flag, value: usize, least: usize| match value < least {
        true => Err(Error::Config { flag, reason: format!("{value}: at least {least}") }),
        false => Ok(()),
    };
    atleast("--gateways", config.gateways, 1)?;
    atleast("--shards", config.shards, 1)?;
    atleast("--jobs", config.jobs, 1)?;
    atleast("--sources", config.sources, 1)?;
    atleast("--headers", config.headers, 100)?;
    if config.lost >= config.shards {
        let reason = format!("{} of {} shards: one must be left", config.lost, config.shards);
        return Err(Error::Config { flag: "--lost", reason });
    }
    Ok(())
}
