//! A gateway put together: what its routes share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use goma_common::drain::Drain;
use goma_common::reapi::Backend;
use goma_common::shards::Shards;
use goma_common::{Deadline, Result, Tenant};
use goma_proto::api::ExecResp;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::admission::Admission;
use crate::answer::{Answer, Described};
use crate::config::GatewayConfig;
use crate::exec::{Common, KeptOutputs};
use crate::files::Files;
use crate::http::packed::PackedAnswers;
use crate::identity::{Caller, Identity};
use crate::place::Place;
use crate::platforms::Inventory;
use crate::posted::Posted;
use crate::served::Tenants;
use crate::shares::Shares;
use crate::status::Status;
use crate::trail::{End, note};
use crate::worker::WorkerFiles;

/// A backend's health is asked at most this often, however many probe us.
const HEALTH_LIFE: Duration = Duration::from_secs(1);

/// All that the routes need.
pub struct Gateway {
    pub(crate) config: Arc<GatewayConfig>,
    pub(crate) shares: Shares,
    pub(crate) admission: Admission,
    pub(crate) identity: Identity,
    tenants: Tenants,
    pub(crate) backend: Backend,
    /// The backend's address and instance, in words.
    pub(crate) told: String,
    pub(crate) shards: Arc<dyn Shards>,
    pub(crate) status: Status,
    pub(crate) packed: Arc<PackedAnswers>,
    pub(crate) drain: Drain,
    /// Requests that were refused before they were read.
    refused: AtomicU64,
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
        let shares = Shares::new(config.admission_wait);
        let home = Place { backend: backend.clone(), shards: shards.clone(), worker };
        let admission = Admission::new(
            config.max_inflight,
            config.max_inflight_bytes,
            config.max_answer_bytes,
            config.admission_wait,
        );
        let common = Common {
            shares: shares.clone(),
            answers: admission.answers.clone(),
            misses: Arc::default(),
            kept: Arc::new(KeptOutputs::new(config.max_kept_output_bytes)),
        };
        Self {
            tenants: Tenants::new(config.clone(), home, common),
            shares,
            admission,
            identity: Identity::none(),
            backend,
            told: String::new(),
            shards,
            status: Status::default(),
            drain,
            packed: Arc::new(PackedAnswers::new(config.max_packed_bytes)),
            config,
            refused: AtomicU64::new(0),
            health: Mutex::default(),
        }
    }

    /// The same gateway, which lets in whom these know.
    #[must_use]
    pub fn with_identity(self, identity: Identity) -> Self {
        Self { identity, ..self }
    }

    /// The same gateway, which tells people of its backend in these words.
    #[must_use]
    pub fn with_backend_told(self, told: String) -> Self {
        Self { told, ..self }
    }

    /// Has compiles served by these platforms and compilers from now on.
    pub(crate) fn serve_by(&self, inventory: &Inventory) {
        self.tenants.serve_by(&inventory.platforms, &inventory.compilers);
    }

    /// The files that a tenant sees.
    pub(crate) fn files(&self, tenant: Tenant) -> Arc<Files> {
        self.tenants.of(tenant).files.clone()
    }

    /// A compile, on the platform that it is for.
    pub(crate) async fn compile(
        &self,
        posted: Posted,
        caller: Caller,
        deadline: Deadline,
    ) -> Result<Answer<ExecResp>> {
        let wanted = posted.request.requester_info.as_ref();
        let wanted = wanted.map_or(&[][..], |requester| &requester.dimensions);
        let served = self.tenants.of(caller.tenant);
        match served.exec(wanted, &caller.group) {
            Ok(exec) => exec.serve(posted, &caller, deadline).await,
            Err(why) => Ok(Described::of(&posted).refused(why).into()),
        }
    }

    /// Says and counts that a request was not taken; its span says whose it is.
    pub(crate) fn refuse(&self, error: &goma_common::Error, path: &str) {
        let total = self.refused.fetch_add(1, Ordering::Relaxed) + 1;
        tracing::warn!(%error, path, total, "refused a request");
        note(|told| told.end = End::Failed(error.to_string()));
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
