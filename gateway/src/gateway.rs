//! A gateway put together: what its routes share.

use std::sync::Arc;
use std::time::Duration;

use goma_common::drain::Drain;
use goma_common::reapi::Backend;
use goma_common::shards::Shards;
use goma_common::{Deadline, Result};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::admission::Admission;
use crate::config::GatewayConfig;
use crate::exec::Exec;
use crate::files::Files;
use crate::joined::Joined;
use crate::worker::WorkerFiles;

/// A backend's health is asked at most this often, however many probe us.
const HEALTH_LIFE: Duration = Duration::from_secs(1);

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
        let backend = Backend {
            executor: Arc::new(Joined::new(backend.executor.clone(), shards.clone())),
            ..backend
        };
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

    /// Whether the backend, and whatever else stands behind its health, can serve us, as of a moment ago.
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
            tracing::error!(%error, "not ready");
        }
        *health = Some((Instant::now(), now.clone()));
        now
    }
}
