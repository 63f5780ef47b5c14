//! Connections to a backend: how to reach it, and the channels that calls go over.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::io::DuplexStream;
use tokio::sync::mpsc;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Uri};
use tower::service_fn;

use super::grpc::Grpc;
use super::retry::Retrying;
use super::{Backend, Limits};
use crate::error::{Code, Error, Result};

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

/// Where a backend is.
#[derive(Clone, Debug)]
pub enum Address {
    /// `host:port`.
    Network(String),
    /// In this process: the server takes its end of each new connection from the other side of the
    /// queue.
    InProcess(mpsc::Sender<DuplexStream>),
}

/// How to reach a backend.
#[derive(Clone, Debug)]
pub struct RemoteConfig {
    /// Where it is.
    pub address: Address,
    /// REAPI instance name; empty is a name too.
    pub instance: String,
    /// Whether to speak TLS.
    pub tls: bool,
    /// PEM of a certificate authority to trust beside the system's.
    pub ca_certificate: Option<Vec<u8>>,
    /// Tries of an idempotent call, the first one included.
    pub tries: u32,
}

/// Prepares a backend. No connection is made before the first call, and a lost one is made anew, so
/// a backend that is away at start-up is no reason not to start.
///
/// # Errors
/// When the address or the certificate cannot be understood.
pub fn connect(config: &RemoteConfig) -> Result<Backend> {
    let limits = Arc::new(Limits::default());
    // Calls that last keep their streams; a connection each leaves the short calls undisturbed.
    let grpc = Arc::new(Grpc {
        told: match &config.address {
            Address::Network(name) => format!("backend {name}"),
            Address::InProcess(_) => "embedded backend".to_owned(),
        },
        instance: config.instance.clone(),
        calls: channel(config)?,
        bulk: channel(config)?,
        executions: channel(config)?,
        limits: limits.clone(),
    });
    let retrying = Retrying::new(grpc.clone(), grpc.clone(), limits.clone(), config.tries);
    let retrying = Arc::new(retrying);
    Ok(Backend {
        cas: retrying.clone(),
        action_cache: retrying,
        executor: grpc.clone(),
        health: grpc,
        limits,
    })
}

fn channel(config: &RemoteConfig) -> Result<Channel> {
    let invalid = |error: &dyn std::fmt::Display| {
        Error::new(Code::InvalidArgument, format!("--remoteexec-addr: {error}"))
    };
    let name = match &config.address {
        Address::Network(name) => name.as_str(),
        Address::InProcess(_) => "in-process",
    };
    let scheme = if config.tls { "https" } else { "http" };
    let mut endpoint = Endpoint::from_shared(format!("{scheme}://{name}"))
        .map_err(|error| invalid(&error))?
        .tcp_nodelay(true)
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW);
    if config.tls {
        let mut tls = ClientTlsConfig::new().with_native_roots();
        if let Some(pem) = &config.ca_certificate {
            tls = tls.ca_certificate(Certificate::from_pem(pem));
        }
        endpoint = endpoint.tls_config(tls).map_err(|error| invalid(&error))?;
    }
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
