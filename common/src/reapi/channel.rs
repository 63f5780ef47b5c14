//! Connections to a backend: how to reach it, and the channels that calls go over.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity, Uri};
use tower::service_fn;

use super::budget::RetryBudget;
use super::compression::Compression;
use super::equals::Equals;
use super::grpc::Grpc;
use super::guard::Guard;
use super::hedged::Hedged;
use super::lane::{Lane, LaneConfig};
use super::remote_config::{Address, RemoteConfig, Tls};
use super::retry::Retrying;
use super::{Backend, Limits, roots};
use crate::error::{Code, Error, Result, deepest_cause};

/// A connection that is not made within this time is given up; a request behind it may still retry.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Balancers cut connections that are quiet for a minute or more while an Execute waits.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// A connection whose other end acknowledges no ping for so long is dead: its calls fail, and the
/// next ones go over a new one.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// Flow-control windows that let one blob of a few megabytes pass without waiting for the other side.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;

/// Prepares a backend. No connection is made before the first call, and a lost one is made anew, so
/// a backend that is away at start-up is no reason not to start.
///
/// # Errors
/// When the address, a certificate or a key cannot be understood.
pub fn connect(config: &RemoteConfig) -> Result<Backend> {
    let limits = Arc::new(Limits::at_most(config.batch_bytes));
    let budget = Arc::new(RetryBudget::default());
    let guard = || Guard::new(budget.clone(), config.credentials.clone());
    let equals = equals(config);
    // Calls that last keep their streams; connections of their own leave the short calls undisturbed.
    let grpc = Grpc {
        told: match &config.address {
            Address::Network(names) => format!("backend {}", names.join(",")),
            Address::InProcess(_) => "embedded backend".to_owned(),
        },
        instance: config.instance.clone(),
        calls: lane_to(config, &equals)?,
        bulk: lane_to(config, &equals)?,
        executions: lane_to(config, &equals)?,
        // Schedulers are other machines than those of the CAS, with bad days of their own.
        scheduler: Arc::new(guard()),
        limits: limits.clone(),
        compression: Arc::new(Compression::new(config.compression)),
        resumes: Arc::new(AtomicBool::new(true)),
    };
    let other = Grpc { calls: lane_to(config, &equals)?, ..grpc.clone() };
    let grpc = Arc::new(grpc);
    let hedged = Hedged::new(grpc.clone(), Arc::new(other), config.hedge, budget.clone());
    let name = config.name.as_str().into();
    let retrying =
        Retrying::new(name, Arc::new(hedged), grpc.clone(), limits.clone(), config.tries, guard());
    let retrying = Arc::new(retrying);
    Ok(Backend {
        cas: retrying.clone(),
        action_cache: retrying,
        executor: grpc.clone(),
        health: grpc,
        limits,
    })
}

/// Connections for calls of one's own, with the credentials of the configuration.
///
/// # Errors
/// As [`connect`].
pub fn lane(config: &RemoteConfig) -> Result<Lane> {
    lane_to(config, &equals(config))
}

fn equals(config: &RemoteConfig) -> Arc<Equals> {
    Arc::new(Equals::new(match &config.address {
        Address::Network(names) => names.clone(),
        Address::InProcess(_) => vec!["in-process".to_owned()],
    }))
}

fn lane_to(config: &RemoteConfig, equals: &Arc<Equals>) -> Result<Lane> {
    let opened = config.clone();
    Lane::new(LaneConfig {
        backend: config.name.as_str().into(),
        open: Box::new(move |to| channel(&opened, to)),
        equals: equals.clone(),
        streams: config.streams,
        life: config.connection_life,
        credentials: config.credentials.clone(),
    })
}

/// One connection to one of the addresses, made with the first call over it, without credentials.
///
/// # Errors
/// When the address, a certificate or a key cannot be understood.
fn channel(config: &RemoteConfig, to: usize) -> Result<Channel> {
    let endpoint = endpoint(config, to)?;
    Ok(match &config.address {
        Address::Network(_) => endpoint.connect_lazy(),
        Address::InProcess(server) => {
            let server = server.clone();
            endpoint.connect_with_connector_lazy(service_fn(move |_: Uri| {
                let server = server.clone();
                async move {
                    let (ours, theirs) = tokio::io::duplex(1 << 20);
                    server
                        .send(theirs)
                        .await
                        .map_err(|_| io::Error::from(io::ErrorKind::ConnectionRefused))?;
                    Ok::<_, io::Error>(TokioIo::new(ours))
                }
            }))
        }
    })
}

/// Makes one connection to the first address, TLS and all, and drops it: for whoever wants to know
/// what is wrong with it.
///
/// # Errors
/// In the words of whoever refused: the system, or either side's TLS.
pub async fn reach(config: &RemoteConfig) -> Result<()> {
    let connected = endpoint(config, 0)?.connect().await;
    connected.map(drop).map_err(|error| {
        let why = deepest_cause(&error).unwrap_or_else(|| error.to_string());
        Error::new(Code::Unavailable, why)
    })
}

fn endpoint(config: &RemoteConfig, to: usize) -> Result<Endpoint> {
    let invalid = |error: &dyn std::fmt::Display| {
        Error::new(Code::InvalidArgument, format!("--remoteexec-addr: {error}"))
    };
    let name = match &config.address {
        Address::Network(names) => names.get(to).map_or("", String::as_str),
        Address::InProcess(_) => "in-process",
    };
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    let endpoint = Endpoint::from_shared(format!("{scheme}://{name}"))
        .map_err(|error| invalid(&error))?
        .tcp_nodelay(true)
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW);
    match &config.tls {
        Some(tls) => endpoint.tls_config(client_tls(tls)?).map_err(|error| invalid(&error)),
        None => Ok(endpoint),
    }
}

/// Reads our certificate and its key, which may have been renewed.
fn client_tls(tls: &Tls) -> Result<ClientTlsConfig> {
    let mut config = ClientTlsConfig::new();
    if tls.system_roots {
        config = config.trust_anchors(roots::system()?.iter().cloned());
    }
    config = config.ca_certificates(tls.authorities.iter().map(Certificate::from_pem));
    if let Some((certificate, key)) = &tls.identity {
        let read = |file: &PathBuf| {
            std::fs::read(file).map_err(|error| {
                let why = format!("client certificate: {}: {error}", file.display());
                Error::new(Code::InvalidArgument, why)
            })
        };
        config = config.identity(Identity::from_pem(read(certificate)?, read(key)?));
    }
    if let Some(name) = &tls.server_name {
        config = config.domain_name(name);
    }
    Ok(config)
}
