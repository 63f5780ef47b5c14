//! The program `goma-shard`: puts a shard together, serves it until it is drained.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::routing::get;
use axum::{Json, Router};
use clap::CommandFactory;
use goma_common::Deadline;
use goma_common::admin;
use goma_common::drain::{Drain, on_signals};
use goma_common::program::Failure;
use goma_common::reapi;
use goma_common::shard_status::ShardStatus;
use goma_common::shards::Shards;
use goma_common::telemetry::ServedCalls;
use goma_common::tls::ServerTls;
use goma_proto::shard::DescribeResponse;
use goma_proto::shard::shard_server::ShardServer;
use tokio::net::TcpListener;
use tonic::transport::Server;

use crate::args::{Admin, Cli, Command, ShardArgs};
use crate::bump_epoch::bump_epoch;
use crate::counts::Counts;
use crate::facts::{Facts, Memory, Redis};
use crate::local::LocalShard;
use crate::port;
use crate::service::Service;

/// The port for operators, where no other is named.
const ADMIN: u16 = 9191;
/// The largest message of a gateway: contents are packed to stay below it.
const MAX_MESSAGE: usize = 4 << 20;
/// How long gateways may need to see that we are draining before calls are no longer taken.
const UNREADY: Duration = Duration::from_secs(2);
/// Calls under way at the drain end by then; what waits for an action is run by whoever waits.
const DRAIN: Duration = Duration::from_secs(10);
/// A gateway that was cut off or paused gives up its leases after about this.
const KEEP_ALIVE: Duration = Duration::from_secs(4);
/// Flow-control windows that let one large blob pass without waiting for the other side.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;
/// Calls that a gateway may have given up before they were looked at; by default twenty end the connection, which a
/// gateway reaches whose clients leave while this machine stands still.
const RESET_STREAMS: usize = 10_000;

/// Runs the program to its end.
///
/// # Errors
/// Before anything is served, naming the flag; or a verb's.
pub async fn run(cli: Cli) -> Result<(), Failure> {
    match cli.command {
        Some(Command::Admin(Admin::BumpEpoch { shard, tls })) => {
            bump_epoch(&shard, tls.open().map_err(Failure::configuration)?).await
        }
        Some(Command::Docs(command)) => command.run(Cli::command()),
        None => run_shard(cli.shard).await,
    }
}

/// What is served.
pub struct Served {
    /// Its place on the ring.
    pub name: String,
    /// Its share of the ring; 1 where all are equal.
    pub weight: u32,
    /// Address and instance of its backend, in words: its gateways' must be the same.
    pub backend: String,
    /// What answers.
    pub shard: Arc<LocalShard>,
    /// Bytes of large contents that may arrive at once.
    pub max_arriving_bytes: u64,
}

/// Serves until the drain has begun and the calls under way have ended.
///
/// # Errors
/// When the listener is broken.
pub async fn serve(
    served: Served,
    listener: TcpListener,
    tls: Option<ServerTls>,
    drain: Drain,
) -> Result<(), tonic::transport::Error> {
    let described =
        DescribeResponse { name: served.name, weight: served.weight, backend: served.backend };
    let service = Service::new(described, served.shard, served.max_arriving_bytes);
    let service = ShardServer::new(service)
        .max_decoding_message_size(MAX_MESSAGE)
        .max_encoding_message_size(usize::MAX);
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<ShardServer<Service>>().await;
    let ending = drain.clone();
    let server = Server::builder()
        .layer(ServedCalls)
        .http2_keepalive_interval(Some(KEEP_ALIVE))
        .http2_max_pending_accept_reset_streams(Some(RESET_STREAMS))
        .http2_keepalive_timeout(Some(KEEP_ALIVE))
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .add_service(health_service)
        .add_service(service)
        .serve_with_incoming_shutdown(port::incoming(listener, tls), async move {
            ending.begun().await;
            health.set_not_serving::<ShardServer<Service>>().await;
            tokio::time::sleep(UNREADY).await;
        });
    tokio::select! {
        ended = server => ended,
        // Waits of gateways for an action outlast a drain; cut off, they run it themselves.
        () = async { drain.begun().await; tokio::time::sleep(UNREADY + DRAIN).await } => Ok(()),
    }
}

/// What the admin port shows of a shard beside metrics.
fn pages(name: String, shard: Arc<LocalShard>) -> Router {
    let status = async move || {
        let told = shard.status(Deadline::after(UNREADY)).await.pop().unwrap_or_default();
        Json(ShardStatus { name, ..told })
    };
    Router::new().route("/status.json", get(status))
}

async fn run_shard(args: ShardArgs) -> Result<(), Failure> {
    let drain = Drain::new();
    let signals = on_signals(drain.clone()).map_err(Failure::start)?;
    let backend = args.remote.config().map_err(Failure::configuration)?;
    let backend = reapi::connect(&backend).map_err(Failure::configuration)?;
    let facts: Arc<dyn Facts> = match args.redis.config(&args.remote.told())? {
        Some(redis) => Arc::new(Redis::new(&redis).map_err(Failure::configuration)?),
        None => {
            tracing::warn!(
                "no --redis-url: what this shard knows ends with it, and clients will send files \
                 again after a restart"
            );
            Arc::new(Memory::new(args.memory.memory_entries))
        }
    };
    let tls = args.tls.open(&["h2"]).map_err(Failure::configuration)?;
    let bound = TcpListener::bind(args.listen).await;
    let listener =
        bound.map_err(|error| Failure::Start(format!("--listen {}: {error}", args.listen)))?;
    let address = listener.local_addr().map_err(Failure::start)?;
    let admin =
        admin::Admin::bind(&args.admin, SocketAddr::from((Ipv4Addr::LOCALHOST, ADMIN))).await?;
    let shard = LocalShard::start(args.config(), facts.clone(), backend).map_err(Failure::start)?;
    let shard = Arc::new(shard);
    Counts::shard(args.name.as_deref().unwrap_or_default());
    let _admin = admin.serve(pages(args.name.clone().unwrap_or_default(), shard.clone()));
    let served = Served {
        name: args.name.unwrap_or_default(),
        weight: args.weight,
        backend: args.remote.told(),
        shard,
        max_arriving_bytes: args.memory.max_upload_bytes,
    };
    if !args.listen.ip().is_loopback() && !args.tls.wants_certificates() {
        tracing::warn!(
            "whoever reaches {address} is believed: keep it on a private network, or have gateways \
             show certificates (--tls-certificate, --tls-client-ca)"
        );
    }
    tracing::info!(%address, name = served.name, backend = served.backend, "listening");
    let ended = serve(served, listener, tls, drain).await;
    facts.flush().await;
    signals.abort();
    tracing::info!("ended");
    ended.map_err(|error| Failure::Start(format!("--listen {address}: {error}")))
}
