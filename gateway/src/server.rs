//! A gateway served on a listener until it is drained.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use goma_common::tls::ServerTls;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::gateway::Gateway;
use crate::http::app;
use crate::http::connection::{self, Ending};
use crate::http::quick_ack::QuickAck;

/// How long a balancer may need to see that we are not ready before the listener closes.
const UNREADY: Duration = Duration::from_secs(3);
/// A failed accept is usually a lack of file descriptors, which passes.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until the drain has begun and every connection has come to its end.
///
/// At the drain `/readyz` turns first; the listener goes on for a while, until a balancer has seen
/// it; then HTTP/2 peers are told to go elsewhere, and other connections end when their clients no
/// longer expect them to be open. Ten minutes later, whatever clients do, none is left.
///
/// # Errors
/// When the listener itself is broken.
pub async fn serve(
    gateway: Arc<Gateway>,
    listener: TcpListener,
    tls: Option<ServerTls>,
) -> io::Result<()> {
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
                let (tls, app, ending) = (tls.clone(), app.clone(), ending.clone());
                connections.spawn(serve_one(stream, peer, tls, app, ending));
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
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<ServerTls>,
    app: Router,
    ending: Ending,
) {
    // Without it the last small piece of an answer waits for an ACK.
    let _ = stream.set_nodelay(true);
    let stream = QuickAck(stream);
    let served = match tls {
        None => connection::serve(stream, app, ending).await,
        Some(tls) => match tls.accept(stream).await {
            Ok(stream) => connection::serve(stream, app, ending).await,
            Err(error) => Err(error.into()),
        },
    };
    if let Err(error) = served {
        tracing::debug!(%error, %peer, "connection ended");
    }
}
