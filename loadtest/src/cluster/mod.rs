//! A whole cluster on this machine: gateways behind a balancer, shards, a Redis and a backend, each a
//! process of its own, with links between them that can be broken.
//!
//! In reading order: [`Config`] says what is wanted, [`Cluster`] is what runs, [`Command`] what can
//! be done to it, `layout` which command line each member is given. `process` is a program, `link` a
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
mod readiness;
mod status;

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use self::counting::CountingProxy;
use self::link::Link;
use self::process::Process;
use self::readiness::Probe;
use crate::error::{Error, Result};

pub use command::{Command, Percent};
pub use config::{Backend, Config, Redis};
pub use counts::{Counts, Times};
pub use link::Fault;
pub(crate) use status::table;
pub use status::{LinkStatus, MemberStatus, Status};

/// A member is ready within this of its start: a gateway looks at the workers' headers first.
const READY: Duration = Duration::from_secs(60);
/// A member ends within this of a SIGTERM while only short compiles are under way.
const END: Duration = Duration::from_secs(60);

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

    /// Does what the command says, to its end; answers in words.
    ///
    /// # Errors
    /// When there is no such member or link, or it did not do as it was told.
    pub async fn run(&mut self, command: &Command) -> Result<String> {
        match command {
            Command::Kill(name) => self.kill(name).await?,
            Command::Pause(name) => self.member(name)?.process.pause()?,
            Command::Resume(name) => self.member(name)?.process.resume()?,
            Command::Terminate(name) => return self.terminate(name).await,
            Command::Restart(name) => self.restart(name).await?,
            Command::Break(name, fault) => self.set_fault(name, *fault)?,
            Command::Heal(None) => self.links.iter().for_each(|link| link.set_fault(Fault::None)),
            Command::Heal(Some(name)) => self.set_fault(name, Fault::None)?,
            Command::FlushRedis => self.flush_redis().await?,
            Command::WipeBackend => self.wipe_backend().await?,
            Command::Evict(percent) => return self.evict(*percent, true).await,
            Command::Lose(percent) => return self.evict(*percent, false).await,
            Command::Status => {
                let json = serde_json::to_string(&self.status());
                return json.map_err(|error| Error::member("cluster", error));
            }
        }
        Ok("done".to_owned())
    }

    /// Brings everything back: links, paused and ended members.
    ///
    /// # Errors
    /// When a member does not come back.
    pub async fn recover(&mut self) -> Result<()> {
        self.links.iter().for_each(|link| link.set_fault(Fault::None));
        for at in 0..self.members.len() {
            let member = &mut self.members[at];
            if member.process.is_paused() {
                member.process.resume()?;
            }
            if !member.process.is_running() {
                let name = member.name.clone();
                self.restart(&name).await?;
            }
        }
        for member in &mut self.members {
            member.ready().await?;
        }
        Ok(())
    }

    async fn kill(&mut self, name: &str) -> Result<()> {
        self.member(name)?.process.kill().await?;
        self.set_up(name, false);
        Ok(())
    }

    async fn terminate(&mut self, name: &str) -> Result<String> {
        // Its links stay until it has ended: it finishes what it has.
        let ended = self.member(name)?.process.terminate(END).await?;
        self.set_up(name, false);
        Ok(format!("{name} ended: {ended}"))
    }

    async fn restart(&mut self, name: &str) -> Result<()> {
        if self.member(name)?.process.is_running() {
            self.terminate(name).await?;
        }
        self.member(name)?.start().await?;
        self.set_up(name, true);
        Ok(())
    }

    async fn flush_redis(&mut self) -> Result<()> {
        let address = self.member(layout::REDIS)?.address;
        let answer = readiness::ask(address, "FLUSHALL\r\n");
        let answer = tokio::time::timeout(END, answer).await;
        match answer {
            Ok(Ok(answer)) if answer == "+OK" => Ok(()),
            Ok(Ok(answer)) => Err(Error::member(layout::REDIS, answer)),
            Ok(Err(error)) => Err(Error::member(layout::REDIS, error)),
            Err(late) => Err(Error::member(layout::REDIS, late)),
        }
    }

    async fn wipe_backend(&mut self) -> Result<()> {
        self.terminate(layout::BACKEND).await?;
        let dir = layout::backend_dir(&self.config.dir);
        std::fs::remove_dir_all(&dir).map_err(|error| Error::file(&dir, error))?;
        self.restart(layout::BACKEND).await
    }

    async fn evict(&mut self, percent: Percent, tell: bool) -> Result<String> {
        let backend = self.backend.ok_or_else(|| {
            Error::member(layout::BACKEND, "only an embedded one can be made to lose blobs")
        })?;
        let dir = layout::backend_dir(&self.config.dir).join("backend");
        let lost = tokio::task::spawn_blocking(move || eviction::lose(&dir, percent)).await;
        let lost = lost.map_err(|error| Error::member(layout::BACKEND, error))??;
        let count = lost.len();
        if tell {
            let channel = counting::connect(&backend.to_string())?;
            eviction::tell(channel, layout::INSTANCE, lost).await?;
        }
        Ok(format!("{count} blobs"))
    }

    fn member(&mut self, name: &str) -> Result<&mut Member> {
        let names: Vec<&str> = self.members.iter().map(|member| member.name.as_str()).collect();
        let unknown = format!("no such member; there are {}", names.join(", "));
        let found = self.members.iter_mut().find(|member| member.name == name);
        found.ok_or_else(|| Error::member(name, unknown))
    }

    fn set_up(&self, member: &str, up: bool) {
        self.links.iter().filter(|link| link.target == member).for_each(|link| link.set_up(up));
    }

    /// Of the link of this name, or of all links of the member of this name.
    fn set_fault(&self, name: &str, fault: Fault) -> Result<()> {
        let of_member =
            |link: &&Link| link.name.split(':').any(|end| end == name) || link.name == name;
        let mut found = self.links.iter().filter(of_member).peekable();
        if found.peek().is_none() {
            let names: Vec<&str> = self.links.iter().map(|link| link.name.as_str()).collect();
            let why = format!("no such link; there are {}", names.join(", "));
            return Err(Error::member(name, why));
        }
        found.for_each(|link| link.set_fault(fault));
        Ok(())
    }
}

/// Where clusters lie whose owner named no directory.
#[must_use]
pub fn default_dir(what: &str) -> PathBuf {
    std::env::temp_dir().join(format!("goma-{what}"))
}
