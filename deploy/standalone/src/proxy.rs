//! Puts the process together: backend, shard, gateway, in this order, and takes it apart again.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::CommandFactory;
use goma_common::drain::{Drain, on_signals};
use goma_common::preset::{AbsolutePaths, Preset, Traits};
use goma_common::program::Failure;
use goma_common::reapi::{self, Address, RemoteConfig};
use goma_common::remote_args::RemoteArgs;
use goma_common::{Code, Error};
use goma_gateway::doctor;
use goma_gateway::platforms;
use goma_gateway::worker::{Probed, WorkerFiles};
use goma_gateway::{Gateway, GatewayConfig, Place};
use tokio::io::DuplexStream;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};

use crate::args::{self, BackendArgs, BackendCommand, Cli, Command, ProxyArgs};
use crate::backend::{Backend, Config as BackendConfig, SandboxMode};
use crate::own_disk::OwnDisk;
use crate::own_shards::OwnShards;

/// Beside the shard's own memory in the same process the gateway's needs no more.
const KEY_CACHE_ENTRIES: usize = 200_000;
/// Connections to the embedded backend that may wait to be accepted.
const CONNECTIONS: usize = 16;

/// Runs the program to its end.
///
/// # Errors
/// Before anything is served; naming the flag or file.
pub async fn run(cli: Cli) -> Result<(), Failure> {
    let drain = Drain::new();
    let signals = on_signals(drain.clone()).map_err(Failure::start)?;
    let ended = match cli.command {
        Some(Command::Backend(command)) => serve_backend(command, drain).await,
        Some(Command::Doctor(command)) => {
            let ProxyArgs { remote, gateway, .. } = &command.proxy;
            match doctor::subjects(remote, gateway) {
                Ok(subjects) => doctor::run(subjects, &command.doctor).await,
                Err(why) => Err(why),
            }
        }
        Some(Command::Token(command)) => command.run(),
        Some(Command::Docs(command)) => command.run(Cli::command()),
        None => serve_proxy(cli.proxy, drain).await,
    };
    signals.abort();
    ended
}

async fn serve_backend(command: BackendCommand, drain: Drain) -> Result<(), Failure> {
    let data_dir = data_dir(&command.backend)?;
    let backend = open_backend(&command.backend, &data_dir).await?;
    let listener = bind(command.listen).await?;
    let address = listener.local_addr().unwrap_or(command.listen);
    tracing::info!(%address, data_dir = %data_dir.display(), "embedded backend listening");
    let incoming = TcpListenerStream::new(listener).map(|stream| {
        // Small answers must not wait for acknowledgements.
        stream.inspect(|stream| drop(stream.set_nodelay(true)))
    });
    let served = backend.serve(incoming, drain).await;
    backend.close().await;
    served.map_err(|error| Failure::Start(format!("--listen {address}: {error}")))
}

async fn serve_proxy(args: ProxyArgs, drain: Drain) -> Result<(), Failure> {
    args.check()?;
    let identity = args.gateway.identity(args.listen, &args.remote)?;
    let port = args.gateway.port()?;
    let data_dir = data_dir(&args.backend)?;
    let listener = bind(SocketAddr::new(args.listen, args.port)).await?;
    let address = listener.local_addr().map_err(Failure::start)?;
    let admin = args.gateway.admin().await?;

    let side = match &args.remote.remoteexec_addr {
        Some(_) => Side::remote(&args)?,
        None => Side::embedded(&args, &data_dir).await?,
    };
    let args = Arc::new(args);
    let own = OwnShards::new(args.clone(), data_dir.clone());
    let shards = own.open("", &side.told, side.backend.clone())?;
    let worker = match side.own_disk {
        Some(disk) => disk,
        None => Arc::new(Probed::new(side.backend.clone(), shards.clone())) as Arc<dyn WorkerFiles>,
    };
    let config = GatewayConfig {
        flags: args.gateway.flags()?,
        key_cache_entries: args.max_digest_cache_entries.clamp(1, KEY_CACHE_ENTRIES),
        ..args.gateway.config(&side.traits)
    };
    let others = own.clone();
    let inventory = args.gateway.inventory(side.traits, move |name, table| {
        let remote: RemoteArgs = platforms::entry(name, table)?;
        let backend = reapi::connect(&remote.config()?)?;
        let shards = others.open(name, &remote.told(), backend.clone());
        let shards = shards.map_err(|why| Error::new(Code::InvalidArgument, why.to_string()))?;
        let worker = Arc::new(Probed::new(backend.clone(), shards.clone()));
        Ok((Place { backend, shards, worker }, remote.traits()))
    })?;
    let gateway = Gateway::new(config, shards, side.backend, worker, drain);
    let gateway = gateway.with_identity(identity);
    let gateway = Arc::new(gateway.with_backend_told(side.told.clone()));
    let _admin = admin.serve(goma_gateway::pages(gateway.clone()));
    let _inventory = inventory.map(|inventory| platforms::follow(gateway.clone(), inventory));

    tracing::info!(%address, backend = side.told, data_dir = %data_dir.display(), "listening");
    let served = goma_gateway::serve(gateway, listener, port).await;
    own.flush().await;
    if let Some(embedded) = side.embedded {
        embedded.stop().await;
    }
    tracing::info!("ended");
    served.map_err(|error| Failure::Start(format!("--port {}: {error}", args.port)))
}

/// The backend's side of the proxy.
struct Side {
    backend: reapi::Backend,
    /// For the log, and to set its facts apart from other backends'.
    told: String,
    /// What it is like, where no flag says it.
    traits: Traits,
    own_disk: Option<Arc<dyn WorkerFiles>>,
    embedded: Option<EmbeddedTask>,
}

impl Side {
    fn remote(args: &ProxyArgs) -> Result<Self, Failure> {
        let config = args.remote.config().map_err(Failure::configuration)?;
        Ok(Self {
            backend: reapi::connect(&config).map_err(Failure::configuration)?,
            told: args.remote.told(),
            traits: args.remote.traits(),
            own_disk: None,
            embedded: None,
        })
    }

    async fn embedded(args: &ProxyArgs, data_dir: &Path) -> Result<Self, Failure> {
        let backend = open_backend(&args.backend, data_dir).await?;
        let absolute_paths = match backend.supports_absolute_root() {
            true => AbsolutePaths::Property,
            false => AbsolutePaths::Rewrite,
        };
        let own_disk = OwnDisk::look().await.map_err(Failure::start)?;
        let (connections, accepted) = mpsc::channel(CONNECTIONS);
        let address = Address::InProcess(connections);
        let config = RemoteConfig {
            tries: args.remote.tries(),
            ..RemoteConfig::plain(address, args.remote.remote_instance_name.clone())
        };
        Ok(Self {
            backend: reapi::connect(&config).map_err(Failure::configuration)?,
            told: "embedded".to_owned(),
            traits: Traits { absolute_paths, ..Preset::Generic.traits() },
            own_disk: Some(Arc::new(own_disk)),
            embedded: Some(EmbeddedTask::start(backend, accepted)),
        })
    }
}

/// The embedded backend while it serves. It outlives the gateway's drain, which still needs it.
struct EmbeddedTask {
    backend: Backend,
    drain: Drain,
    task: JoinHandle<io::Result<()>>,
}

impl EmbeddedTask {
    fn start(backend: Backend, accepted: mpsc::Receiver<DuplexStream>) -> Self {
        let drain = Drain::new();
        let (serving, drained) = (backend.clone(), drain.clone());
        let incoming = ReceiverStream::new(accepted).map(Ok);
        let task = tokio::spawn(async move { serving.serve(incoming, drained).await });
        Self { backend, drain, task }
    }

    async fn stop(self) {
        self.drain.begin();
        // Our own channels are still open: what they carry was answered with the last request.
        self.task.abort();
        self.backend.close().await;
    }
}

async fn open_backend(args: &BackendArgs, data_dir: &Path) -> Result<Backend, Failure> {
    let mut config = BackendConfig::new(data_dir.join("backend"));
    config.max_bytes = args.max_disk_bytes;
    config.sandbox = match args.sandbox {
        args::Sandbox::Auto => SandboxMode::Auto,
        args::Sandbox::Require => SandboxMode::Require,
        args::Sandbox::Off => SandboxMode::Off,
    };
    if let Some(jobs) = args.jobs {
        config.jobs = jobs.max(1);
    }
    Backend::open(config).await.map_err(Failure::start)
}

fn data_dir(args: &BackendArgs) -> Result<PathBuf, Failure> {
    let dir = match &args.data_dir {
        Some(dir) => dir.clone(),
        None => default_data_dir().ok_or_else(|| {
            let why = "--data-dir: neither XDG_CACHE_HOME nor HOME is set, so name one";
            Failure::Configuration(why.to_owned())
        })?,
    };
    std::fs::create_dir_all(&dir)
        .map_err(|error| Failure::Start(format!("--data-dir {}: {error}", dir.display())))?;
    Ok(dir)
}

fn default_data_dir() -> Option<PathBuf> {
    let var = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = var("XDG_CACHE_HOME").or_else(|| var("HOME").map(|home| home.join(".cache")))?;
    Some(cache.join("goma-server"))
}

async fn bind(address: SocketAddr) -> Result<TcpListener, Failure> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|error| Failure::Start(format!("cannot listen on {address}: {error}")))
}
