//! What commands do to a running cluster.

use std::time::Duration;

use super::link::Link;
use super::{Cluster, Command, Fault, Member, Percent, counting, eviction, layout, readiness};
use crate::error::{Error, Result};

/// A member ends within this of a SIGTERM while only short compiles are under way; a Redis that is
/// slow answers within it.
const END: Duration = Duration::from_secs(60);

impl Cluster {
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
