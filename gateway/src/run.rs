//! The program `goma-gateway`: a gateway over a ring of shards, served until it is drained.

use std::sync::Arc;

use clap::CommandFactory;
use goma_common::drain::{Drain, on_signals};
use goma_common::preset::Traits;
use goma_common::program::Failure;
use goma_common::reapi::{self, Backend};
use goma_common::remote_args::RemoteArgs;
use goma_common::tls::{PeerTls, PeerTlsArgs};
use goma_common::{Code, Error};
use tokio::net::TcpListener;
use tokio::sync::watch;
use toml::Table;

use crate::cli::{Cli, Command, ShardArgs};
use crate::config::GatewayConfig;
use crate::doctor;
use crate::gateway::Gateway;
use crate::place::Place;
use crate::platforms;
use crate::readiness::Readiness;
use crate::ring::{MemberList, Membership, Routed, View};
use crate::worker::Probed;

/// Runs the program to its end.
///
/// # Errors
/// Before anything is served; naming the flag.
pub async fn run(cli: Cli) -> Result<(), Failure> {
    match cli.command {
        Some(Command::Doctor(command)) => {
            let subjects = doctor::subjects(&command.remote, &command.gateway)?;
            doctor::run(subjects, &command.doctor).await
        }
        Some(Command::Token(command)) => command.run(),
        Some(Command::Docs(command)) => command.run(Cli::command()),
        None => serve(cli).await,
    }
}

async fn serve(cli: Cli) -> Result<(), Failure> {
    let drain = Drain::new();
    let signals = on_signals(drain.clone()).map_err(Failure::start)?;
    let identity = cli.gateway.identity(cli.listen.ip(), &cli.remote)?;
    let port = cli.gateway.port()?;
    let list = cli.shards.list()?;
    let shards_tls = cli.shards_tls.open().map_err(Failure::configuration)?;
    let backend = cli.remote.config().and_then(|config| reapi::connect(&config));
    let backend = backend.map_err(Failure::configuration)?;
    let failed = |error| Failure::Start(format!("--listen {}: {error}", cli.listen));
    let listener = TcpListener::bind(cli.listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let admin = cli.gateway.admin().await?;

    let inventory = cli.gateway.inventory(cli.remote.traits(), open)?;
    let Ring { view, place: Place { backend, shards, worker } } =
        Ring::start(list, shards_tls, &cli.remote, backend);
    let health = Readiness { backend: backend.health.clone(), view };
    let backend = Backend { health: Arc::new(health), ..backend };
    let config = GatewayConfig {
        flags: cli.gateway.flags()?,
        key_cache_entries: cli.key_cache_entries.max(1),
        ..cli.gateway.config(&cli.remote.traits())
    };
    let gateway = Gateway::new(config, shards, backend, worker, drain);
    let gateway = gateway.with_identity(identity).with_backend_told(cli.remote.told());
    let gateway = Arc::new(gateway);
    let _admin = admin.serve(crate::pages(gateway.clone()));
    let _inventory = inventory.map(|inventory| platforms::follow(gateway.clone(), inventory));

    tracing::info!(%address, backend = cli.remote.told(), "listening");
    let served = crate::server::serve(gateway, listener, port).await;
    signals.abort();
    tracing::info!("ended");
    served.map_err(failed)
}

/// The place of a backend of the file.
fn open(name: &str, table: &Table) -> goma_common::Result<(Place, Traits)> {
    let RingArgs { shards, shards_tls, remote } = platforms::entry(name, table)?;
    let list = shards.list().map_err(|why| Error::new(Code::InvalidArgument, why.to_string()))?;
    let backend = reapi::connect(&remote.config()?)?;
    let ring = Ring::start(list, shards_tls.open()?, &remote, backend);
    Ok((ring.place, remote.traits()))
}

/// A backend and the ring of its shards, which are watched for as long as the place is kept.
struct Ring {
    view: watch::Receiver<Arc<View>>,
    place: Place,
}

impl Ring {
    fn start(
        list: MemberList,
        tls: Option<PeerTls>,
        remote: &RemoteArgs,
        backend: Backend,
    ) -> Self {
        // The backend's name is part of what the shards are asked: their facts are about theirs.
        let membership = Membership::start(list, remote.told(), tls);
        let view = membership.view();
        let shards = Arc::new(Routed::new(view.clone()).keeping(membership));
        let worker = Arc::new(Probed::new(backend.clone(), shards.clone()));
        Self { view, place: Place { backend, shards, worker } }
    }
}

/// A backend of the file, with shards of its own.
#[derive(clap::Args)]
struct RingArgs {
    #[command(flatten)]
    shards: ShardArgs,
    #[command(flatten)]
    shards_tls: PeerTlsArgs,
    #[command(flatten)]
    remote: RemoteArgs,
}
