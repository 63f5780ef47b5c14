//! A gateway put together: what its routes share.

use std::sync::Arc;
use std::time::Duration;

use goma_common::drain::Drain;
use goma_common::reapi::Backend;
use goma_common::shards::Shards;
use goma_common::{Deadline, Result};
use goma_proto::api::{ExecReq, ExecResp};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::admission::Admission;
use crate::answer::Described;
use crate::carried::Carried;
use crate::config::GatewayConfig;
use crate::exec::Exec;
use crate::files::Files;
use crate::identity::{Caller, Identity};
use crate::joined::Joined;
use crate::per_account::PerAccount;
use crate::place::Place;
use crate::platforms::{Platform, Platforms};
use crate::shares::Shares;
use crate::worker::WorkerFiles;

/// A backend's health is asked at most this often, however many probe us.
const HEALTH_LIFE: Duration = Duration::from_secs(1);

/// All that the routes need.
pub struct Gateway {
    pub(crate) config: Arc<GatewayConfig>,
    pub(crate) shares: Shares,
    pub(crate) admission: Admission,
    pub(crate) identity: Identity,
    exec: Exec,
    platforms: Platforms,
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
        let Place { backend, shards, worker } = shared(Place { backend, shards, worker });
        let files = Arc::new(Files::new(shards.clone(), config.key_cache_entries));
        Self {
            shares: Shares::new(config.admission_wait),
            admission: Admission::new(
                config.max_inflight,
                config.max_inflight_bytes,
                config.admission_wait,
            ),
            exec: Exec::new(config.clone(), shards, backend.clone(), worker, files.clone()),
            identity: Identity::none(),
            platforms: Platforms::default(),
            files,
            backend,
            drain,
            config,
            health: Mutex::default(),
        }
    }

    /// The same gateway, which lets in whom these know.
    #[must_use]
    pub fn with_identity(self, identity: Identity) -> Self {
        Self { identity, ..self }
    }

    /// The same gateway, with these platforms beside its own.
    #[must_use]
    pub fn with_platforms(mut self, platforms: Vec<Platform>) -> Self {
        let home = self.exec.place();
        for Platform { dimensions, config, place } in platforms {
            let config = Arc::new(config);
            let (place, files) = match place {
                None => (home.clone(), self.files.clone()),
                Some(to) => {
                    let to = shared(to);
                    let files = Arc::new(self.files.brought_from(to.clone(), home.clone()));
                    let carried = Carried { home: home.clone(), to: to.clone() };
                    (Place { shards: Arc::new(carried), ..to }, files)
                }
            };
            let exec = Exec::new(config, place.shards, place.backend, place.worker, files);
            self.platforms.0.push((dimensions, exec));
        }
        self
    }

    /// A compile, on the platform that it is for.
    pub(crate) async fn compile(
        &self,
        request: ExecReq,
        caller: Caller,
        deadline: Deadline,
    ) -> Result<ExecResp> {
        let wanted = request.requester_info.as_ref();
        let wanted = wanted.map_or(&[][..], |requester| &requester.dimensions);
        match self.platforms.choose(wanted) {
            Ok(exec) => exec.unwrap_or(&self.exec).serve(request, &caller, deadline).await,
            Err(why) => Ok(Described::of(&request).refused(why)),
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

/// A place where work is shared by all who are served on the same account: what is known of the backend,
/// and equal actions under way.
fn shared(Place { backend, shards, worker }: Place) -> Place {
    let shards: Arc<dyn Shards> = Arc::new(PerAccount { shards, backend: backend.clone() });
    let executor = Arc::new(Joined::new(backend.executor.clone(), shards.clone()));
    Place { backend: Backend { executor, ..backend }, shards, worker }
}
