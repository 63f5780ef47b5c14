//! Many users that build the same files at the same moment, as after a pull in the morning.
//!
//! Each user is a client process of its own with a home of its own; the files are the same bytes.
//! What a server shares between users shows at its backend: each blob and each action there once.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use futures::stream::{self, StreamExt, TryStreamExt};
use goma_common::Digest;
use serde::Serialize;

use crate::client::{Client, ClientConfig, Compile, Outcome, Prepared};
use crate::error::{Error, Result};
use crate::http::Server;
use crate::sources::{self, Sources};

/// Compiles that find out at once what they read; each runs a preprocessor.
const SCANS: usize = 4;

/// Who builds what.
#[derive(Clone, Debug)]
pub struct HerdConfig {
    /// Where to.
    pub server: Server,
    /// Client processes.
    pub users: usize,
    /// Sources that each of them compiles.
    pub files: usize,
    /// Compiles at once of one user.
    pub jobs: usize,
    /// Of the sources and, with a user's number, of its client.
    pub seed: u64,
    /// For the users' homes.
    pub dir: PathBuf,
}

/// What came of it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct HerdReport {
    /// All users' compiles.
    pub compiles: usize,
    /// Those without the result that they should have.
    pub failed: usize,
    /// Those whose object is not that of a local compile.
    pub wrong: usize,
    /// Those that the server had already.
    pub cache_hits: usize,
    /// The longest of their times.
    pub worst_ms: f64,
    /// Why they failed, of each.
    pub failures: Vec<String>,
}

/// A user and what it is about to compile, in the order of the files.
struct User {
    name: String,
    client: Client,
    compiles: Vec<Prepared>,
}

/// Lets everybody find out what to send, then lets all of them send at once.
///
/// # Errors
/// When the files cannot be made or compiled here.
pub async fn run(config: &HerdConfig) -> Result<HerdReport> {
    let mut users = Vec::new();
    for n in 0..config.users {
        users.push(user(config, n).await?);
    }
    let local = sources::fresh_dir(&config.dir.join("local"))?;
    let sources = Sources::create(&local, config.seed, config.files)?;
    let expected: Vec<Digest> = stream::iter(sources.argvs().enumerate())
        .map(|(n, argv)| locally(&local, n, argv))
        .buffered(SCANS)
        .try_collect()
        .await?;
    let building = users.into_iter().map(|user| build(user, config.jobs.max(1)));
    let outcomes = futures::future::join_all(building).await;
    let mut report = HerdReport::default();
    for (user, outcomes) in outcomes {
        for (outcome, expected) in outcomes.iter().zip(&expected) {
            report.add(&user, outcome, expected);
        }
    }
    Ok(report)
}

async fn user(config: &HerdConfig, n: usize) -> Result<User> {
    let name = format!("user-{n}");
    let home = sources::fresh_dir(&config.dir.join(&name))?;
    let sources = Sources::create(&home, config.seed, config.files)?;
    let mut client = ClientConfig::new(config.server.clone(), true);
    client.seed = config.seed.wrapping_add(n as u64);
    let client = Client::new(client);
    let compiles = stream::iter(sources.argvs())
        .map(|argv| client.prepare(Compile::new(home.clone(), argv)))
        .buffered(SCANS)
        .try_collect()
        .await?;
    Ok(User { name, client, compiles })
}

async fn build(user: User, jobs: usize) -> (String, Vec<Outcome>) {
    let User { name, client, compiles } = user;
    let sent = stream::iter(compiles).map(|prepared| client.send(prepared));
    (name, sent.buffered(jobs).collect().await)
}

/// The object of a compile on this machine.
async fn locally(dir: &Path, n: usize, argv: Vec<String>) -> Result<Digest> {
    let program = &argv[0];
    let failed = |reason: String| Error::Compiler { program: program.clone(), reason };
    let mut command = tokio::process::Command::new(program);
    command.args(&argv[1..]).current_dir(dir).stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    let object = dir.join(format!("obj/f{n}.o"));
    let bytes = tokio::fs::read(&object).await.map_err(|error| Error::file(&object, error))?;
    Ok(Digest::of(&bytes))
}

impl HerdReport {
    fn add(&mut self, user: &str, outcome: &Outcome, expected: &Digest) {
        self.compiles += 1;
        self.cache_hits += usize::from(outcome.cache_hit != 0);
        self.worst_ms = self.worst_ms.max(outcome.latency.as_secs_f64() * 1e3);
        let object = outcome.outputs.first().map(|output| output.digest);
        if !outcome.is_success() || object.is_none() {
            self.failed += 1;
            let why = outcome.failure.as_deref().unwrap_or("the compiler refused the source");
            let earlier = outcome.http_failures.join("; ");
            self.failures.push(format!("{user}: {why} [{earlier}]"));
        } else if object != Some(*expected) {
            self.wrong += 1;
        }
    }

    /// Whether every user has every object, and the right one.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.compiles > 0 && self.failed == 0 && self.wrong == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::WrittenFile;

    fn outcome(object: &[u8]) -> Outcome {
        let digest = Digest::of(object);
        let object = WrittenFile { name: "a.o".into(), digest, looked_up: false };
        Outcome { outputs: vec![object], ..Outcome::default() }
    }

    #[test]
    fn an_object_counts_by_its_bytes() {
        let add = |outcome: Outcome| {
            let mut report = HerdReport::default();
            report.add("user-1", &outcome, &Digest::of(b"right"));
            (report.failed, report.wrong, report.is_clean())
        };
        assert_eq!(add(outcome(b"right")), (0, 0, true));
        assert_eq!(add(outcome(b"wrong")), (0, 1, false));
        assert_eq!(add(Outcome::default()), (1, 0, false), "no object");
        assert_eq!(add(Outcome { exit_status: 1, ..outcome(b"right") }), (1, 0, false));
    }
}
