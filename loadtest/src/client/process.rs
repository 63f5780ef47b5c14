//! One client process, shared by all its compiles.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use goma_common::Digest;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::attempts;
use super::blocking::blocking;
use super::compile::Compile;
use super::compiler::Compilers;
use super::config::ClientConfig;
use super::files::Files;
use super::job::Job;
use super::outcome::Outcome;
use super::prepared::Prepared;
use super::request::Identity;
use crate::error::{Error, Result};
use crate::http::{Failure, Traffic, Transport};
use crate::lock::lock;
use crate::stock::{DisabledCompilers, Trap};

/// How long a server that answers 5xx to the first ping is asked again.
const PING_PATIENCE: Duration = Duration::from_secs(60);

/// A Goma client process. Clones share everything: connections, what was sent, the traps.
#[derive(Clone, Debug)]
pub struct Client {
    process: Arc<Process>,
}

/// What the compiles of a process share.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) config: ClientConfig,
    pub(crate) transport: Transport,
    pub(crate) files: Files,
    pub(crate) trap: Trap,
    pub(crate) disabled: Mutex<DisabledCompilers>,
    pub(crate) random: Mutex<fastrand::Rng>,
    pub(crate) identity: Identity,
    compilers: Compilers,
    tasks: AtomicU64,
    greeted: OnceCell<()>,
}

impl Client {
    /// A process that has not spoken to its server yet.
    #[must_use]
    pub fn new(config: ClientConfig) -> Self {
        let process = Process {
            transport: Transport::new(config.transport()),
            files: Files::default(),
            trap: Trap::default(),
            disabled: Mutex::default(),
            random: Mutex::new(fastrand::Rng::with_seed(config.seed)),
            identity: Identity::new(&config),
            compilers: Compilers::default(),
            tasks: AtomicU64::new(0),
            greeted: OnceCell::new(),
            config,
        };
        Self { process: Arc::new(process) }
    }

    /// Compiles on the server, writing outputs where the compiler would.
    pub async fn compile(&self, compile: Compile) -> Outcome {
        match self.prepare(compile).await {
            Ok(prepared) => self.send(prepared).await,
            Err(error) => Outcome {
                not_remote: matches!(error, Error::NotRemote(_)),
                ..Outcome::failed(error.to_string())
            },
        }
    }

    /// Finds out what a compile reads and writes; sends nothing.
    ///
    /// # Errors
    /// `NotRemote` when a Goma client would run the command locally.
    pub async fn prepare(&self, compile: Compile) -> Result<Prepared> {
        let started = Instant::now();
        let process = Arc::clone(&self.process);
        let cache_policy = compile.cache_policy;
        let job = blocking(move || {
            Job::prepare(&compile, &process.compilers, process.config.toolchain_included)
        });
        let job = Arc::new(job.await?);
        Ok(Prepared { job, cache_policy, scan_time: started.elapsed() })
    }

    pub(super) fn process(&self) -> &Arc<Process> {
        &self.process
    }

    /// Compiles what was prepared.
    pub async fn send(&self, prepared: Prepared) -> Outcome {
        let process = &self.process;
        let started = Instant::now();
        self.greet().await;
        let task = process.tasks.fetch_add(1, Ordering::Relaxed) + 1;
        let mut outcome = if !process.transport.is_on() {
            Outcome::failed(Failure::SwitchedOff.to_string())
        } else if lock(&process.disabled).contains(&prepared.job.compiler.hash) {
            Outcome::failed("the compiler is disabled: the server answered with another one".into())
        } else {
            attempts::run(process, prepared.job, task, prepared.cache_policy).await
        };
        outcome.scan_time = prepared.scan_time;
        outcome.latency = started.elapsed();
        outcome
    }

    /// A digest of everything that a compile's result depends on.
    ///
    /// # Errors
    /// When an input cannot be read.
    pub async fn fingerprint(&self, prepared: &Prepared) -> Result<Digest> {
        let (process, job) = (Arc::clone(&self.process), Arc::clone(&prepared.job));
        blocking(move || job.fingerprint(&process.files)).await
    }

    /// Whether "embed everything" mode is on.
    #[must_use]
    pub fn embeds_everything(&self) -> bool {
        self.process.trap.is_sprung()
    }

    /// Asks the server once whether we are let in. What comes of it shows in the compiles.
    async fn greet(&self) {
        let Process { config, transport, greeted, .. } = &*self.process;
        if !config.ping {
            return;
        }
        greeted
            .get_or_init(|| async {
                let until = Instant::now() + PING_PATIENCE;
                while let Err(Failure::Status { code: 500..600, .. }) =
                    transport.ping(&Traffic::default()).await
                    && Instant::now() < until
                {
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
            })
            .await;
    }
}
