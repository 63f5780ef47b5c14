//! A gateway put together, and served on a listener until it is drained.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use goma_common::drain::Drain;
use goma_common::reapi::Backend;
use goma_common::shards::Shards;
use goma_common::{Deadline, Result};
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::config::GatewayConfig;
use crate::exec::Exec;
use crate::files::Files;
use crate::http::admission::Admission;
use crate::http::{app, connection};
use crate::worker::WorkerFiles;

/// A backend's health is asked at most this often, however many probe us.
const HEALTH_LIFE: Duration = Duration::from_secs(1);
/// How long a balancer may need to see that we are not ready before the listener closes.
const UNREADY: Duration = Duration::from_secs(3);
/// A failed accept is usually a lack of file descriptors, which passes.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// All that the routes need.
pub struct Gateway {
    pub(crate) config: Arc<GatewayConfig>,
    pub(crate) admission: Admission,
    pub(crate) exec: Exec,
    pub(crate) files: Arc<Files>,
    pub(crate) backend: Backend,
    pub(crate) drain: Drain,
    health: Mutex<Option<(Instant, Result<()>)>>,
}

impl Gateway {
    /// A gateway over these shards and this backend. Makes no connection.
    #[must_use]
    pub fn new(
        config: GatewayConfig,
        shards: Arc<dyn Shards>,
        backend: Backend,
        worker: Arc<dyn WorkerFiles>,
        drain: Drain,
    ) -> Self {
        let config = Arc::new(config);
        let files = Arc::new(Files::new(shards.clone(), config.key_cache_entries));
        Self {
            admission: Admission::new(
                config.max_inflight,
                config.max_inflight_bytes,
                config.admission_wait,
            ),
            exec: Exec::new(config.clone(), shards, backend.clone(), worker, files.clone()),
            files,
            backend,
            drain,
            config,
            health: Mutex::default(),
        }
    }

    /// Whether the backend can serve us, as of a moment ago.
    pub(crate) async fn readiness(&self, deadline: Deadline) -> Result<()> {
        let mut health = self.health.lock().await;
        if let Some((since, known)) = &*health
            && since.elapsed() < HEALTH_LIFE
        {
            return known.clone();
        }
        let now = self.backend.health.check(deadline).await;
        let now = now.map_err(goma_common::Error::of_the_server);
        if let (Err(error), Some((_, Ok(())))) = (&now, &*health) {
            tracing::error!(%error, "the backend is not ready");
        }
        *health = Some((Instant::now(), now.clone()));
        now
    }
}

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
