//! Which backend, and how to reach it: what the flags come down to.

use std::path::PathBuf;
use std::time::Duration;

use tokio::io::DuplexStream;
use tokio::sync::mpsc;

use super::credentials::Credentials;

/// Streams of a connection where nothing else is said: balancers in front of backends allow a
/// hundred.
pub const STREAMS: usize = 90;
/// Life of a connection where nothing else is said: the backend's name is resolved again that often.
pub const CONNECTION_LIFE: Duration = Duration::from_secs(10 * 60);

/// Where a backend is.
#[derive(Clone, Debug)]
pub enum Address {
    /// `host:port`; where there are several, each is as good as the others.
    Network(Vec<String>),
    /// In this process: the server takes its end of each new connection from the other side of the
    /// queue.
    InProcess(mpsc::Sender<DuplexStream>),
}

/// How to reach a backend.
#[derive(Clone, Debug)]
pub struct RemoteConfig {
    /// What it is called in metrics: few, and no secret.
    pub name: String,
    /// Where it is.
    pub address: Address,
    /// REAPI instance name; empty is a name too.
    pub instance: String,
    /// How to speak TLS; `None` is without.
    pub tls: Option<Tls>,
    /// Who we are.
    pub credentials: Credentials,
    /// Tries of an idempotent call, the first one included.
    pub tries: u32,
    /// Most calls under way on one connection; another one is made for more.
    pub streams: usize,
    /// How long a connection takes new calls.
    pub connection_life: Duration,
    /// After how long a question without an answer is asked a second time; `None` is never.
    pub hedge: Option<Duration>,
    /// Bytes in a batch, whatever the backend says of itself.
    pub batch_bytes: Option<u64>,
    /// Whether to use zstd where the backend does.
    pub compression: bool,
}

impl RemoteConfig {
    /// A backend at this address, without TLS and credentials, each call tried five times.
    #[must_use]
    pub fn plain(address: Address, instance: impl Into<String>) -> Self {
        let name = match &address {
            Address::Network(names) => names.join(","),
            Address::InProcess(_) => "embedded".to_owned(),
        };
        Self {
            name,
            address,
            instance: instance.into(),
            tls: None,
            credentials: Credentials::default(),
            tries: 5,
            streams: STREAMS,
            connection_life: CONNECTION_LIFE,
            hedge: None,
            batch_bytes: None,
            compression: true,
        }
    }
}

/// How to speak TLS.
#[derive(Clone, Debug)]
pub struct Tls {
    /// Whether to trust the authorities that this machine trusts.
    pub system_roots: bool,
    /// PEM of further ones.
    pub authorities: Vec<Vec<u8>>,
    /// Our certificate and its key, PEM; read anew for each connection, so that they can be renewed.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// Name that the server's certificate must bear, where that is not the address's.
    pub server_name: Option<String>,
}

impl Default for Tls {
    fn default() -> Self {
        Self { system_roots: true, authorities: Vec::new(), identity: None, server_name: None }
    }
}
