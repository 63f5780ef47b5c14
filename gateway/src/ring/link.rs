//! Connections to one shard, each made once and asked who is there before it is used.
//!
//! A channel that connects again by itself would go on at whatever listens at the address by then.
//! These never do: when one breaks, its member makes a new link and asks again.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use goma_common::tls::{Io, PeerTls};
use goma_common::{Code, Error, Result};
use goma_proto::shard::shard_client::ShardClient;
use goma_proto::shard::{DescribeRequest, DescribeResponse};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, ToSocketAddrs};
use tonic::transport::{Channel, Endpoint, Uri};
use tower::service_fn;

/// A cut network is noticed by a ping that is not answered, also while nothing is asked.
const KEEP_ALIVE: Duration = Duration::from_secs(2);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(2);
/// Flow-control windows that let a few messages pass without waiting for the other side.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;

/// Whom a gateway expects at an address.
#[derive(Clone, Debug)]
pub(super) struct Expected {
    /// The shard's name; `None` where each says its own.
    pub(super) name: Option<String>,
    /// The backend, as [`goma_common::remote_args::RemoteArgs::told`] tells it.
    pub(super) backend: String,
    /// How it shows who it is; `None` where the network is trusted.
    pub(super) tls: Option<PeerTls>,
}

/// Two connections to one shard: large contents would hold up the small calls.
#[derive(Clone)]
pub(super) struct Link {
    pub(super) calls: Channel,
    pub(super) bulk: Channel,
    pub(super) described: DescribeResponse,
    /// Whom both lead to, `host:port`.
    pub(super) address: String,
}

/// Why there is no link.
#[derive(Debug)]
pub(super) enum NoLink {
    /// Nobody listens there, or not whom we look for.
    Gone(Error),
    /// It may be a passing failure.
    Failed(Error),
}

impl Link {
    /// Connects and asks who is there. Bounded by the caller.
    pub(super) async fn open(address: &str, expected: &Expected) -> Result<Self, NoLink> {
        let (calls, peer) = connect(address, address, expected.tls.as_ref()).await?;
        let described = describe(&calls, expected).await?;
        // Not by the name again: that may be another shard by now.
        let (bulk, _) = connect(peer, address, expected.tls.as_ref()).await?;
        describe(&bulk, expected).await?;
        Ok(Self { calls, bulk, described, address: address.to_owned() })
    }
}

async fn connect(
    to: impl ToSocketAddrs,
    told: &str,
    tls: Option<&PeerTls>,
) -> Result<(Channel, SocketAddr), NoLink> {
    let failed = |error: &dyn std::fmt::Display| {
        NoLink::Failed(Error::new(Code::Unavailable, format!("{told}: {error}")))
    };
    let stream = match TcpStream::connect(to).await {
        Ok(stream) => stream,
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            return Err(NoLink::Gone(Error::new(Code::Unavailable, format!("{told}: {error}"))));
        }
        Err(error) => return Err(failed(&error)),
    };
    let peer = stream.peer_addr().map_err(|error| failed(&error))?;
    stream.set_nodelay(true).map_err(|error| failed(&error))?;
    let stream: Box<dyn Io> = match tls {
        None => Box::new(stream),
        Some(tls) => Box::new(tls.connect(stream).await.map_err(|error| failed(&error))?),
    };
    let endpoint = Endpoint::from_shared(format!("http://{told}"))
        .map_err(|error| failed(&error))?
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW);
    let once = Arc::new(Mutex::new(Some(stream)));
    let connector = service_fn(move |_: Uri| {
        let stream = once.lock().unwrap_or_else(PoisonError::into_inner).take();
        let over = || io::Error::new(io::ErrorKind::NotConnected, "the connection is over");
        std::future::ready(stream.map(TokioIo::new).ok_or_else(over))
    });
    let channel = endpoint.connect_with_connector(connector).await;
    Ok((channel.map_err(|error| failed(&error))?, peer))
}

async fn describe(channel: &Channel, expected: &Expected) -> Result<DescribeResponse, NoLink> {
    let described = ShardClient::new(channel.clone()).describe(DescribeRequest {}).await;
    let described =
        described.map_err(|status| NoLink::Failed(Error::from(status).context("Describe")))?;
    let described = described.into_inner();
    match mismatch(&described, expected) {
        Some(why) => Err(NoLink::Gone(Error::new(Code::Unavailable, why))),
        None => Ok(described),
    }
}

/// Why a shard that says this of itself is not the one that is expected. Pure.
fn mismatch(described: &DescribeResponse, expected: &Expected) -> Option<String> {
    let (name, backend) = (&described.name, &described.backend);
    if name.is_empty() {
        return Some("the shard there has no name".to_owned());
    }
    if let Some(expected) = &expected.name
        && expected != name
    {
        return Some(format!("the shard there is {name:?}, not {expected:?}"));
    }
    (*backend != expected.backend).then(|| {
        let ours = &expected.backend;
        format!("shard {name:?} serves another backend: {backend:?}, and ours is {ours:?}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_shard_that_is_expected_will_do() {
        let described = DescribeResponse { name: "a".into(), weight: 1, backend: "h:1".into() };
        let because = |name: Option<&str>, backend: &str| {
            let name = name.map(ToOwned::to_owned);
            mismatch(&described, &Expected { name, backend: backend.to_owned(), tls: None })
        };
        assert_eq!(because(Some("a"), "h:1"), None);
        assert_eq!(because(None, "h:1"), None);
        assert!(because(Some("b"), "h:1").expect("another").contains("\"a\", not \"b\""));
        assert!(because(None, "h:2").expect("another").contains("ours is \"h:2\""));
    }
}
