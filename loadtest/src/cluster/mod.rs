//! A whole cluster on this machine: gateways behind a balancer, shards, a Redis and a backend, each a
//! process of its own, with links between them that can be broken.
//!
//! In reading order: [`Config`] says what is wanted, [`Cluster`] is what runs, [`Command`] what can
//! be done to it and `verbs` how, `layout` which command line each member is given. `process` is a program, `link` a
//! forwarder, `counting` a backend's doorkeeper, `eviction` how a backend loses blobs; [`control`]
//! takes commands from other terminals.
//!
//! Every gateway has a link of its own to each shard (`gateway-1:shard-2`), every shard one to Redis
//! (`shard-1:redis`). The way to the backend is one for all (`backend`): members compare how they
//! spell the backend's address, and keep their facts by it.

mod balancer;
mod command;
mod config;
pub mod control;
mod counting;
mod counts;
mod eviction;
mod layout;
mod link;
mod ports;
mod process;
mod programs;
mod pump;
mod readiness;
mod status;
mod verbs;

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use self::counting::CountingProxy;
use self::link::Link;
use self::process::Process;
use self::readiness::Probe;
use crate::error::Result;

pub use command::{Command, Percent};
pub use config::{Backend, Config, Redis};
pub use counts::{Counts, Times};
pub use link::Fault;
pub(crate) use status::table;
pub use status::{LinkStatus, MemberStatus, Status};

/// A member is ready within this of its start: a gateway looks at the workers' headers first.
const READY: Duration = Duration::from_secs(60);

/// A running cluster. Dropping it kills every process of it.
#[derive(Debug)]
pub struct Cluster {
    config: Config,
    /// In the order of their start: each needs only those before it.
    members: Vec<Member>,
    links: Vec<Link>,
    counting: CountingProxy,
    /// The backend itself, where it is a member.
    backend: Option<SocketAddr>,
    _lock: File,
}

/// One process and how to know that it serves.
#[derive(Debug)]
struct Member {
    name: String,
    address: SocketAddr,
    /// For operators.
    admin: Option<SocketAddr>,
    probe: Probe,
    process: Process,
}

impl Member {
    async fn start(&mut self) -> Result<()> {
        self.process.start()?;
        self.ready().await
    }

    async fn ready(&mut self) -> Result<()> {
        readiness::wait(&self.name, &mut self.process, self.address, self.probe, READY).await
    }

    fn status(&mut self) -> MemberStatus {
        let state = match (self.process.is_running(), self.process.is_paused()) {
            (false, _) => "ended",
            (true, true) => "paused",
            (true, false) => "running",
        };
        MemberStatus {
            name: self.name.clone(),
            state: state.to_owned(),
            pid: self.process.id(),
            address: self.address.to_string(),
            admin: self.admin.map(|admin| admin.to_string()),
            log: self.process.log.clone(),
        }
    }
}

impl Cluster {
    /// Starts everything and waits until all of it is ready.
    ///
    /// # Errors
    /// When a program is missing, does not start, or another cluster has the directory.
    pub async fn start(config: Config) -> Result<Self> {
        config.check()?;
        let lock = layout::take(&config.dir)?;
        let plan = layout::Plan::of(&config)?;
        let doorkeeper = plan.doorkeeper;
        let counting = CountingProxy::start(doorkeeper, &plan.backend).await?;
        let mut links = Vec::new();
        for planned in plan.links {
            let layout::Way { name, target, address, to } = planned;
            links.push(Link::open(name, &target, address, to).await?);
        }
        let backend = plan.members.iter().find(|member| member.name == layout::BACKEND);
        let backend = backend.map(|member| member.address);
        let mut cluster =
            Self { config, members: plan.members, links, counting, backend, _lock: lock };
        cluster.start_all().await?;
        Ok(cluster)
    }

    async fn start_all(&mut self) -> Result<()> {
        let bar = ProgressBar::new(self.members.len() as u64).with_prefix("start");
        let template = "{prefix:>6} [{bar:40}] {pos}/{len} {msg}";
        // The template is ours; the default bar is good enough should it ever not parse.
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        for member in &mut self.members {
            bar.set_message(member.name.clone());
            member.start().await?;
            bar.inc(1);
        }
        bar.finish_and_clear();
        Ok(())
    }

    /// Where clients go, as `--server` takes it.
    #[must_use]
    pub fn server(&self) -> String {
        let address = |name: &str| self.members.iter().find(|m| m.name == name).map(|m| m.address);
        let entry = address(layout::BALANCER).or_else(|| address("gateway-1"));
        entry.map(|address| format!("http://{address}")).unwrap_or_default()
    }

    /// Its directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.config.dir
    }

    /// What it is made of.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What reached the backend so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counting.counts()
    }

    /// How everything is.
    pub fn status(&mut self) -> Status {
        let links = self.links.iter().map(|link| LinkStatus {
            name: link.name.clone(),
            state: link.fault().to_string(),
            address: link.address.to_string(),
        });
        Status {
            server: self.server(),
            links: links.collect(),
            members: self.members.iter_mut().map(Member::status).collect(),
            backend: self.counts(),
        }
    }
}

/// Where clusters lie whose owner named no directory.
#[must_use]
pub fn default_dir(what: &str) -> PathBuf {
    std::env::temp_dir().join(format!("goma-{what}"))
}
