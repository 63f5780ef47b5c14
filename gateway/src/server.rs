//! A gateway served on a listener until it is drained.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

use crate::gateway::Gateway;
use crate::http::{app, connection};

/// How long a balancer may need to see that we are not ready before the listener closes.
const UNREADY: Duration = Duration::from_secs(3);
/// A failed accept is usually a lack of file descriptors, which passes.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until the drain has begun and every connection has come to its end.
///
/// At the drain `/readyz` turns first; the listener goes on for a while, until a balancer has seen
/// it; connections end when their clients no longer expect them to be open.
///
/// # Errors
/// When the listener itself is broken.
pub async fn serve(gateway: Arc<Gateway>, listener: TcpListener) -> io::Result<()> {
    let drain = gateway.drain.clone();
    let app = app(gateway);
    let connections = TaskTracker::new();
    let mut closing = std::pin::pin!(async {
        drain.begun().await;
        tokio::time::sleep(UNREADY).await;
    });
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut closing => break,
        };
        match accepted {
            Ok((stream, _)) => {
                // Without it the last small piece of an answer waits for an ACK.
                let _ = stream.set_nodelay(true);
                connections.spawn(connection::serve(stream, app.clone(), drain.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    connections.close();
    connections.wait().await;
    Ok(())
}
