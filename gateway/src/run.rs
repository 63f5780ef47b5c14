//! The program `goma-gateway`: a gateway over a ring of shards, served until it is drained.

use std::sync::Arc;

use goma_common::drain::{Drain, on_signals};
use goma_common::program::Failure;
use goma_common::reapi::{self, Backend};
use tokio::net::TcpListener;

use crate::cli::{Cli, Command};
use crate::config::GatewayConfig;
use crate::doctor;
use crate::gateway::Gateway;
use crate::readiness::Readiness;
use crate::ring::{Membership, Routed};
use crate::worker::Probed;

/// Runs the program to its end.
///
/// # Errors
/// Before anything is served; naming the flag.
pub async fn run(cli: Cli) -> Result<(), Failure> {
    match cli.command {
        Some(Command::Doctor(command)) => {
            let config = command.gateway.config(&command.remote.traits());
            doctor::run(&command.remote, &config, &command.doctor).await
        }
        None => serve(cli).await,
    }
}

async fn serve(cli: Cli) -> Result<(), Failure> {
    let drain = Drain::new();
    let signals = on_signals(drain.clone()).map_err(Failure::start)?;
    cli.gateway.check(cli.listen.ip())?;
    let list = cli.shards.list()?;
    let backend = cli.remote.config().and_then(|config| reapi::connect(&config));
    let backend = backend.map_err(Failure::configuration)?;
    let failed = |error| Failure::Start(format!("--listen {}: {error}", cli.listen));
    let listener = TcpListener::bind(cli.listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;

    // The backend's name is part of what the shards are asked: their facts are about theirs.
    let told = cli.remote.told();
    let membership = Membership::start(list, told.clone());
    let shards = Arc::new(Routed::new(membership.view()));
    let worker = Arc::new(Probed::new(backend.clone(), shards.clone()));
    let health = Readiness { backend: backend.health.clone(), view: membership.view() };
    let backend = Backend { health: Arc::new(health), ..backend };
    let config = GatewayConfig {
        key_cache_entries: cli.key_cache_entries.max(1),
        ..cli.gateway.config(&cli.remote.traits())
    };
    let gateway = Arc::new(Gateway::new(config, shards, backend, worker, drain));

    tracing::info!(%address, backend = told, "listening");
    let served = crate::server::serve(gateway, listener).await;
    signals.abort();
    tracing::info!("ended");
    served.map_err(failed)
}
