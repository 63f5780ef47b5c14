//! A gateway served on a listener until it is drained.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::{BoxError, Router};
use goma_common::tls::ServerTls;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::gateway::Gateway;
use crate::http::app;
use crate::http::connection::{self, Ending};
use crate::http::quick_ack::QuickAck;
use crate::peer::{Peer, Proxies, certificate_name, read_header};

/// How long a balancer may need to see that we are not ready before the listener closes.
const UNREADY: Duration = Duration::from_secs(3);
/// A failed accept is usually a lack of file descriptors, which passes.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How connections to a gateway begin.
#[derive(Clone, Default)]
pub struct Port {
    /// Encrypted, if at all, by this.
    pub tls: Option<ServerTls>,
    /// Who may speak for others.
    pub proxies: Arc<Proxies>,
}

/// Serves until the drain has begun and every connection has come to its end.
///
/// At the drain `/readyz` turns first; the listener goes on for a while, until a balancer has seen
/// it; then HTTP/2 peers are told to go elsewhere, and other connections end when their clients no
/// longer expect them to be open. Ten minutes later, whatever clients do, none is left.
///
/// # Errors
/// When the listener itself is broken.
pub async fn serve(gateway: Arc<Gateway>, listener: TcpListener, port: Port) -> io::Result<()> {
    let ending = Ending { drain: gateway.drain.clone(), closed: CancellationToken::new() };
    let app = app(gateway);
    let connections = TaskTracker::new();
    let mut closing = std::pin::pin!(async {
        ending.drain.begun().await;
        tokio::time::sleep(UNREADY).await;
    });
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut closing => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let (port, app, ending) = (port.clone(), app.clone(), ending.clone());
                connections.spawn(async move {
                    if let Err(error) = serve_one(stream, peer, port, app, ending).await {
                        tracing::debug!(%error, %peer, "connection ended");
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    ending.closed.cancel();
    connections.close();
    connections.wait().await;
    Ok(())
}

async fn serve_one(
    mut stream: TcpStream,
    from: SocketAddr,
    port: Port,
    app: Router,
    ending: Ending,
) -> Result<(), BoxError> {
    // Without it the last small piece of an answer waits for an ACK.
    let _ = stream.set_nodelay(true);
    let mut peer = if port.proxies.announces(from.ip()) {
        match read_header(&mut stream).await? {
            Some(address) => Peer::new(address, port.proxies),
            // Of whom it does not tell, nothing is believed either.
            None => Peer::new(from.ip(), Arc::default()),
        }
    } else {
        Peer::new(from.ip(), port.proxies)
    };
    let stream = QuickAck(stream);
    let Some(tls) = port.tls else {
        return connection::serve(stream, peer, app, ending).await;
    };
    let stream = tls.accept(stream).await?;
    peer.is_tls = true;
    let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    peer.certificate = shown.and_then(|certificate| certificate_name(certificate));
    connection::serve(stream, peer, app, ending).await
}
