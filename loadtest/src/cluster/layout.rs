//! Who is started with which command line and connects where: decided before anything runs.

use std::ffi::OsString;
use std::fs::{DirBuilder, File, TryLockError};
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use super::Member;
use super::balancer;
use super::config::{Backend, Config, Redis};
use super::ports::Ports;
use super::process::{CommandLine, Process};
use super::programs::Program;
use super::readiness::Probe;
use crate::error::{Error, Result};

pub(super) const BACKEND: &str = "backend";
pub(super) const REDIS: &str = "redis";
pub(super) const BALANCER: &str = "balancer";
/// The REAPI instance that all members use.
pub(super) const INSTANCE: &str = "main";

/// Everything that is about to run.
pub(super) struct Plan {
    /// In the order of their start.
    pub(super) members: Vec<Member>,
    pub(super) links: Vec<Way>,
    /// `host:port` of the backend itself.
    pub(super) backend: String,
    /// Where the proxy listens that counts what goes there.
    pub(super) doorkeeper: SocketAddr,
}

/// A link that is about to be.
pub(super) struct Way {
    pub(super) name: String,
    /// The member at its end.
    pub(super) target: String,
    pub(super) address: SocketAddr,
    pub(super) to: SocketAddr,
}

/// Makes `dir` ours: locked, and free of what a former cluster left.
///
/// # Errors
/// When a cluster runs there, or the directory cannot be used.
pub(super) fn take(dir: &Path) -> Result<File> {
    let at = |error| Error::file(dir, error);
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(at)?;
    let lock = File::create(dir.join("lock")).map_err(at)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let why = format!("one runs in {}; --dir names another directory", dir.display());
            return Err(Error::member("cluster", why));
        }
        Err(TryLockError::Error(error)) => return Err(at(error)),
    }
    for ours in ["data", "log"] {
        let path = dir.join(ours);
        match std::fs::remove_dir_all(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::file(path, error));
            }
            _ => {}
        }
        std::fs::create_dir(&path).map_err(|error| Error::file(&path, error))?;
    }
    Ok(lock)
}

/// Where the embedded backend keeps its files.
pub(super) fn backend_dir(dir: &Path) -> PathBuf {
    dir.join("data/backend")
}

impl Plan {
    /// # Errors
    /// When a program is missing or ports are.
    pub(super) fn of(config: &Config) -> Result<Self> {
        let mut draft =
            Draft { config, dir: &config.dir, ports: Ports::new(), members: vec![], links: vec![] };
        let backend = match &config.backend {
            Backend::Embedded => draft.embedded_backend()?.to_string(),
            Backend::Address(address) => address.clone(),
        };
        let doorkeeper = draft.ports.take()?;
        // One spelling for all: it is part of what they compare and of the names of their facts.
        let remote = remote_flags(draft.link(BACKEND.into(), BACKEND, doorkeeper)?);
        let redis = match &config.redis {
            Redis::Own => Some(draft.redis()?),
            Redis::Address(address) => Some(resolve(address)?),
            Redis::None => None,
        };
        let mut shards = Vec::new();
        for n in 1..=config.shards {
            shards.push(draft.shard(&format!("shard-{n}"), redis, &remote)?);
        }
        let mut gateways = Vec::new();
        for n in 1..=config.gateways {
            gateways.push(draft.gateway(&format!("gateway-{n}"), &shards, &remote)?);
        }
        if config.balancer {
            draft.balancer(&gateways)?;
        }
        Ok(Self { members: draft.members, links: draft.links, backend, doorkeeper })
    }
}

/// A plan in the making.
struct Draft<'a> {
    config: &'a Config,
    dir: &'a Path,
    ports: Ports,
    members: Vec<Member>,
    links: Vec<Way>,
}

impl Draft<'_> {
    fn embedded_backend(&mut self) -> Result<SocketAddr> {
        let address = self.ports.take()?;
        let mut args = words(["backend", "--listen"]);
        args.extend([address.to_string().into(), "--data-dir".into()]);
        args.push(backend_dir(self.dir).into());
        let env = self.config.env.clone();
        self.member(BACKEND, Program::Backend, address, Probe::Accepts, args, env)
    }

    fn redis(&mut self) -> Result<SocketAddr> {
        let address = self.ports.take()?;
        let mut args = words(["--bind", "127.0.0.1", "--port"]);
        args.push(address.port().to_string().into());
        args.extend(words(["--save", "", "--appendonly", "no", "--dir"]));
        args.push(self.dir.join("data").into());
        self.member(REDIS, Program::Redis, address, Probe::Redis, args, vec![])
    }

    fn shard(
        &mut self,
        name: &str,
        redis: Option<SocketAddr>,
        remote: &[OsString],
    ) -> Result<(String, SocketAddr)> {
        let address = self.ports.take()?;
        let mut args = words(["--name", name, "--listen", &address.to_string()]);
        if let Some(redis) = redis {
            let link = self.link(format!("{name}:{REDIS}"), REDIS, redis)?;
            args.extend(words(["--redis-url", &format!("redis://{link}")]));
        }
        args.extend_from_slice(remote);
        self.server(name, Program::Shard, address, Probe::Accepts, args)?;
        Ok((name.to_owned(), address))
    }

    fn gateway(
        &mut self,
        name: &str,
        shards: &[(String, SocketAddr)],
        remote: &[OsString],
    ) -> Result<SocketAddr> {
        let address = self.ports.take()?;
        let mut list = Vec::new();
        for (shard, at) in shards {
            let link = self.link(format!("{name}:{shard}"), shard, *at)?;
            list.push(format!("{shard}={link}"));
        }
        let mut args = words(["--listen", &address.to_string(), "--shards", &list.join(",")]);
        args.extend(words(["--auth", "none"]));
        args.extend_from_slice(remote);
        self.server(name, Program::Gateway, address, Probe::Http, args)
    }

    /// A gateway or a shard, with a port for operators.
    fn server(
        &mut self,
        name: &str,
        program: Program,
        address: SocketAddr,
        probe: Probe,
        mut args: Vec<OsString>,
    ) -> Result<SocketAddr> {
        let admin = self.ports.take()?;
        args.extend(words(["--admin-listen", &admin.to_string()]));
        let env = self.config.env.clone();
        self.member(name, program, address, probe, args, env)?;
        if let Some(member) = self.members.last_mut() {
            member.admin = Some(admin);
        }
        Ok(address)
    }

    fn balancer(&mut self, gateways: &[SocketAddr]) -> Result<SocketAddr> {
        let address = self.ports.take()?;
        let file = self.dir.join("data/haproxy.cfg");
        std::fs::write(&file, balancer::config(gateways.len()))
            .map_err(|error| Error::file(&file, error))?;
        let numbered = gateways.iter().zip(1..);
        let mut env: Vec<(String, String)> = numbered
            .map(|(gateway, n)| (format!("GOMA_GATEWAY_{n}"), gateway.to_string()))
            .collect();
        env.push(("GOMA_LISTEN".into(), address.to_string()));
        let args = vec!["-db".into(), "-f".into(), file.into()];
        self.member(BALANCER, Program::Balancer, address, Probe::Http, args, env)
    }

    /// A link to the member `target` at `to`; its own address.
    fn link(&mut self, name: String, target: &str, to: SocketAddr) -> Result<SocketAddr> {
        let address = self.ports.take()?;
        self.links.push(Way { name, target: target.to_owned(), address, to });
        Ok(address)
    }

    fn member(
        &mut self,
        name: &str,
        program: Program,
        address: SocketAddr,
        probe: Probe,
        args: Vec<OsString>,
        env: Vec<(String, String)>,
    ) -> Result<SocketAddr> {
        let log = self.dir.join(format!("log/{name}.log"));
        let line = CommandLine { program: program.find()?, args, env };
        let process = Process::new(name, line, log);
        let name = name.to_owned();
        self.members.push(Member { name, address, admin: None, probe, process });
        Ok(address)
    }
}

fn remote_flags(backend: SocketAddr) -> Vec<OsString> {
    words([
        "--remoteexec-addr",
        &backend.to_string(),
        "--remote-instance-name",
        INSTANCE,
        "--insecure-remoteexec",
    ])
}

fn words<const N: usize>(words: [&str; N]) -> Vec<OsString> {
    words.map(OsString::from).to_vec()
}

fn resolve(address: &str) -> Result<SocketAddr> {
    let invalid = |reason: String| Error::Config { flag: "--redis", reason };
    let mut found = std::net::ToSocketAddrs::to_socket_addrs(address)
        .map_err(|error| invalid(format!("{address}: {error}")))?;
    found.next().ok_or_else(|| invalid(format!("{address} has no address")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_one_clusters_alone_and_begins_empty() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::create_dir(dir.path().join("data")).expect("made");
        std::fs::write(dir.path().join("data/old"), "").expect("written");
        let lock = take(dir.path()).expect("free");
        assert!(!dir.path().join("data/old").exists());
        let error = take(dir.path()).expect_err("taken").to_string();
        assert!(error.starts_with("cluster: one runs in "), "{error}");
        drop(lock);
        take(dir.path()).expect("free again");
    }
}
