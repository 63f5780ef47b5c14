//! One client process, shared by all its compiles.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::attempts;
use super::compile::Compile;
use super::compiler::Compilers;
use super::config::ClientConfig;
use super::files::Files;
use super::job::Job;
use super::outcome::Outcome;
use super::request::Identity;
use crate::error::Error;
use crate::http::{Failure, Traffic, Transport};
use crate::stock::Trap;

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
        let process = &self.process;
        let started = Instant::now();
        let prepared = {
            let process = Arc::clone(process);
            let policy = compile.cache_policy;
            let prepare = move || {
                Job::prepare(&compile, &process.compilers, process.config.toolchain_included)
            };
            tokio::task::spawn_blocking(prepare).await.map(|job| (job, policy))
        };
        let (job, policy) = match prepared {
            Ok((Ok(job), policy)) => (job, policy),
            Ok((Err(error), _)) => {
                let not_remote = matches!(error, Error::NotRemote(_));
                return Outcome { not_remote, ..Outcome::failed(error.to_string()) };
            }
            Err(panic) => return Outcome::failed(format!("scanning: {panic}")),
        };
        let scanned = Instant::now();
        self.greet().await;
        let task = process.tasks.fetch_add(1, Ordering::Relaxed) + 1;
        let mut outcome = if process.transport.is_on() {
            attempts::run(process, Arc::new(job), task, policy).await
        } else {
            Outcome::failed(Failure::SwitchedOff.to_string())
        };
        outcome.scan_time = scanned - started;
        outcome.latency = scanned.elapsed();
        outcome
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
