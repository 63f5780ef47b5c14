//! Builds of the stock client, over and over, while things happen to a cluster: no compile may fail,
//! and each object must be that of a local compile.
//!
//! A [`Scenario`] is a list of commands to a [`Cluster`], a [`Script`] one that is in a file, with what must hold; `workload` makes each round new; the
//! checker is [`crate::build`] with its references; [`ChaosReport`] sums up.

mod report;
mod scenario;
mod script;
mod workload;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use self::workload::Workload;
use crate::build::{self, BuildConfig};
use crate::client::{Client, ClientConfig};
use crate::cluster::Cluster;
use crate::error::Result;
use crate::http::Server;
use crate::sources::{self, Sources};

pub use report::{ChaosReport, ScenarioReport, Tally};
pub use scenario::Scenario;
pub use script::Script;

/// What to try.
#[derive(Clone, Debug)]
pub struct ChaosConfig {
    /// A directory with a `compile_commands.json`; `None` for a small project made from the seed.
    pub project: Option<PathBuf>,
    /// Sources of the small project.
    pub files: usize,
    /// What happens, one after the other.
    pub scenarios: Vec<Script>,
    /// How long each of them lasts, and the undisturbed builds before.
    pub time: Duration,
    /// Compiles at once.
    pub jobs: usize,
    /// Of the sources and of the client.
    pub seed: u64,
    /// For sources and local objects.
    pub dir: PathBuf,
}

/// Builds undisturbed, then under each scenario. `tell` is given a line as things happen.
///
/// # Errors
/// When the cluster does not do as it is told, or nothing can be built; compiles that fail are in
/// the report.
pub async fn run(
    cluster: &mut Cluster,
    config: &ChaosConfig,
    tell: &dyn Fn(&str),
) -> Result<ChaosReport> {
    let builder = Builder::new(cluster, config)?;
    tell(&format!("{} for {:?}", Scenario::Undisturbed, config.time));
    // What is known to nobody yet belongs to no scenario.
    let mut first = Tally::default();
    builder.round(&builder.client()?, &mut first).await?;
    let nothing = Script::from(Scenario::Undisturbed);
    let (_, undisturbed) = disturb(cluster, &builder, &nothing, config, tell).await?;
    let mut scenarios = Vec::new();
    for scenario in &config.scenarios {
        tell(&format!("{} for {:?}", scenario.name, config.time));
        let (events, tally) = disturb(cluster, &builder, scenario, config, tell).await?;
        let broken = scenario.broken(&tally);
        tally.failures.iter().chain(&broken).for_each(|why| tell(why));
        let name = scenario.name.clone();
        scenarios.push(ScenarioReport::new(name, events, tally, &undisturbed, broken));
    }
    Ok(ChaosReport { seconds: config.time.as_secs(), undisturbed, scenarios })
}

/// Builds while the scenario's events happen; how many happened, and what came of the builds.
async fn disturb(
    cluster: &mut Cluster,
    builder: &Builder,
    scenario: &Script,
    config: &ChaosConfig,
    tell: &dyn Fn(&str),
) -> Result<(usize, Tally)> {
    let over = AtomicBool::new(false);
    let events = async {
        let happened = happen(cluster, scenario, config.time, tell).await;
        // Before the last build ends: what it waits for may be what is broken.
        let recovered = cluster.recover().await;
        over.store(true, Ordering::Relaxed);
        recovered.and(happened)
    };
    let builds = async {
        let client = builder.client()?;
        let mut tally = Tally::default();
        while !over.load(Ordering::Relaxed) {
            builder.round(&client, &mut tally).await?;
        }
        Ok(tally)
    };
    tokio::try_join!(events, builds)
}

/// Lets the scenario happen, turn after turn, until `time` is over; how many events there were.
async fn happen(
    cluster: &mut Cluster,
    scenario: &Script,
    time: Duration,
    tell: &dyn Fn(&str),
) -> Result<usize> {
    let end = Instant::now() + time;
    let mut count = 0;
    let turn = scenario.turn(cluster.config());
    for event in turn.iter().cycle() {
        let due = Instant::now() + event.after;
        if due >= end {
            break;
        }
        tokio::time::sleep_until(due).await;
        let words = cluster.run(&event.command).await?;
        tell(&format!("  {}: {words}", event.command));
        count += 1;
    }
    tokio::time::sleep_until(end).await;
    Ok(count)
}

/// Builds rounds through the cluster's front door.
struct Builder {
    server: Server,
    workload: Workload,
    rounds: std::sync::atomic::AtomicUsize,
    jobs: usize,
    seed: u64,
    local_dir: PathBuf,
}

impl Builder {
    fn new(cluster: &Cluster, config: &ChaosConfig) -> Result<Self> {
        let dir = |name: &str| sources::fresh_dir(&config.dir.join(name));
        let sources = dir("sources")?;
        let workload = match &config.project {
            Some(project) => Workload::of_project(project, &sources)?,
            None => Workload::Generated(Sources::create(&sources, config.seed, config.files)?),
        };
        Ok(Self {
            server: Server::parse(&cluster.server())?,
            workload,
            rounds: Default::default(),
            jobs: config.jobs,
            seed: config.seed,
            local_dir: dir("local")?,
        })
    }

    /// One that remembers nothing, as after a start of the machine.
    fn client(&self) -> Result<Client> {
        let mut config = ClientConfig::new(self.server.clone(), true);
        config.seed = self.seed;
        Ok(Client::new(config))
    }

    async fn round(&self, client: &Client, tally: &mut Tally) -> Result<()> {
        let round = self.rounds.fetch_add(1, Ordering::Relaxed) + 1;
        let config = BuildConfig {
            compile_commands: self.workload.round(round)?,
            jobs: self.jobs,
            verify: true,
            limit: None,
            local_dir: Some(self.local_dir.clone()),
        };
        tally.add(&build::run(client, &config).await?);
        Ok(())
    }
}
