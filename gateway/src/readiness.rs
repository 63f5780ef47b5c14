//! Whether a gateway can serve: its backend, and a shard at least.

use std::sync::Arc;

use async_trait::async_trait;
use goma_common::reapi::Health;
use goma_common::{Deadline, Result};
use tokio::sync::watch;

use crate::ring::View;

/// A backend's health, asked only when a shard is up: without one nothing is served.
pub(crate) struct Readiness {
    pub(crate) backend: Arc<dyn Health>,
    pub(crate) view: watch::Receiver<Arc<View>>,
}

#[async_trait]
impl Health for Readiness {
    async fn check(&self, deadline: Deadline) -> Result<()> {
        {
            let view = self.view.borrow();
            if view.is_empty() {
                return Err(view.nobody());
            }
        }
        self.backend.check(deadline).await
    }
}
