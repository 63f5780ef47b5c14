//! `goma-loadtest cluster`: a cluster in the foreground, and what can be done to it from elsewhere.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use goma_loadtest::cluster::control::{self, Control};
use goma_loadtest::cluster::{
    self, Backend, Cluster, Command, Config, Fault, Percent, Redis, Status,
};
use goma_loadtest::{Error, Result};
use tokio::signal::unix::{SignalKind, signal};

/// A cluster on this machine.
#[derive(Debug, Args)]
pub(crate) struct ClusterArgs {
    #[command(subcommand)]
    verb: ClusterVerb,
    /// Directory of the cluster's data, logs and control socket [default: goma-cluster in the
    /// directory for temporary files]
    #[arg(long, value_name = "DIR", global = true)]
    dir: Option<PathBuf>,
}

/// What to do with it.
#[derive(Debug, Subcommand)]
enum ClusterVerb {
    /// Starts one, and keeps it until ctrl-C
    Up(UpArgs),
    /// Tells how everything is
    Status {
        /// Print one JSON object instead of tables
        #[arg(long)]
        json: bool,
    },
    /// Kills a member (SIGKILL)
    Kill { member: String },
    /// Stops a member where it is (SIGSTOP): its connections stay open and silent
    Pause { member: String },
    /// Lets a member go on (SIGCONT)
    Resume { member: String },
    /// Ends a member as a supervisor would (SIGTERM), and waits for its end
    Terminate { member: String },
    /// Starts a member again on its port, and waits until it is ready
    Restart { member: String },
    /// Cuts a link, or all links of a member: silence, no reset
    Cut { link: String },
    /// Delays each piece on a link, or on all links of a member, in each direction
    Slow {
        link: String,
        #[arg(value_name = "MILLISECONDS")]
        delay: u32,
    },
    /// Closes a link, or all links of a member, and refuses new connections
    Refuse { link: String },
    /// Makes links well again, all of them where none is named
    Heal { link: Option<String> },
    /// Makes Redis forget everything
    FlushRedis,
    /// Stops the backend, empties its directory, and starts it again
    WipeBackend,
    /// Makes the backend evict some of its blobs, and know it
    Evict {
        #[arg(value_name = "PERCENT")]
        percent: Percent,
    },
    /// Makes the backend lose some of its blobs while it believes that it has them
    Lose {
        #[arg(value_name = "PERCENT")]
        percent: Percent,
    },
}

/// What the cluster is made of.
#[derive(Debug, Args)]
pub(crate) struct UpArgs {
    /// How many gateways
    #[arg(long, value_name = "N", default_value_t = 2)]
    gateways: usize,
    /// How many shards
    #[arg(long, value_name = "N", default_value_t = 3)]
    shards: usize,
    /// `embedded`, or HOST:PORT of a backend that runs, spoken to without TLS
    #[arg(long, value_name = "BACKEND", default_value = "embedded")]
    backend: Backend,
    /// `own`, `none`, or redis://HOST:PORT of one that runs
    #[arg(long, value_name = "REDIS", default_value = "own")]
    redis: Redis,
    /// No HAProxy before the gateways
    #[arg(long)]
    no_balancer: bool,
}

/// Does what the verb says; the exit code.
///
/// # Errors
/// When it could not.
pub(crate) async fn run(args: ClusterArgs) -> Result<u8> {
    let dir = args.dir.unwrap_or_else(|| cluster::default_dir("cluster"));
    match args.verb {
        ClusterVerb::Up(up) => keep_up(up.config(dir)).await,
        ClusterVerb::Status { json: false } => {
            let json = control::tell(&dir, &Command::Status).await?;
            let status: Status =
                serde_json::from_str(&json).map_err(|error| Error::Answer(error.to_string()))?;
            println!("{status}");
            Ok(0)
        }
        verb => {
            println!("{}", control::tell(&dir, &verb.command()).await?);
            Ok(0)
        }
    }
}

/// Runs a cluster until somebody ends it.
async fn keep_up(config: Config) -> Result<u8> {
    // From before the start: who gives up while it starts leaves nothing running either.
    let stopped = stopped()?;
    tokio::select! {
        ended = serve(config) => ended,
        () = stopped => Ok(0),
    }
}

async fn serve(config: Config) -> Result<u8> {
    let mut cluster = Cluster::start(config).await?;
    let control = Control::open(cluster.dir())?;
    println!("{}\n", cluster.status());
    let dir = cluster.dir().display();
    println!("its files are in {dir}; ctrl-C ends it");
    control.serve(&mut cluster).await;
    Ok(0)
}

/// The signals that end a program in the foreground.
pub(crate) fn stopped() -> Result<impl Future<Output = ()>> {
    let watch = |kind| {
        signal(kind)
            .map_err(|error| Error::Member { name: "cluster".into(), reason: error.to_string() })
    };
    let (mut interrupt, mut terminate, mut hangup) = (
        watch(SignalKind::interrupt())?,
        watch(SignalKind::terminate())?,
        watch(SignalKind::hangup())?,
    );
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    })
}

impl UpArgs {
    /// The cluster that these flags describe.
    pub(crate) fn config(&self, dir: PathBuf) -> Config {
        Config {
            gateways: self.gateways,
            shards: self.shards,
            backend: self.backend.clone(),
            redis: self.redis.clone(),
            balancer: !self.no_balancer,
            dir,
            env: Vec::new(),
        }
    }
}

impl ClusterVerb {
    /// What the running cluster is told.
    fn command(self) -> Command {
        match self {
            Self::Up(_) | Self::Status { .. } => Command::Status,
            Self::Kill { member } => Command::Kill(member),
            Self::Pause { member } => Command::Pause(member),
            Self::Resume { member } => Command::Resume(member),
            Self::Terminate { member } => Command::Terminate(member),
            Self::Restart { member } => Command::Restart(member),
            Self::Cut { link } => Command::Break(link, Fault::Cut),
            Self::Refuse { link } => Command::Break(link, Fault::Refused),
            Self::Slow { link, delay } => {
                Command::Break(link, Fault::Slow(Duration::from_millis(delay.into())))
            }
            Self::Heal { link } => Command::Heal(link),
            Self::FlushRedis => Command::FlushRedis,
            Self::WipeBackend => Command::WipeBackend,
            Self::Evict { percent } => Command::Evict(percent),
            Self::Lose { percent } => Command::Lose(percent),
        }
    }
}
