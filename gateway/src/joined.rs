//! A decorator of [`Executor`]: equal actions under way in the whole cluster are run once.

use std::sync::Arc;

use async_trait::async_trait;
use goma_common::reapi::{Executed, Executor};
use goma_common::shards::Shards;
use goma_common::turn::Turn;
use goma_common::{Deadline, Digest, Result};

/// `inner`, asked by one gateway for each action at a time; the owner of the action's digest knows
/// which.
pub struct Joined {
    inner: Arc<dyn Executor>,
    shards: Arc<dyn Shards>,
}

impl Joined {
    /// Asks these shards whose turn it is.
    #[must_use]
    pub fn new(inner: Arc<dyn Executor>, shards: Arc<dyn Shards>) -> Self {
        Self { inner, shards }
    }
}

#[async_trait]
impl Executor for Joined {
    async fn execute(
        &self,
        action: Digest,
        skip_cache_lookup: bool,
        deadline: Deadline,
    ) -> Result<Executed> {
        match self.shards.join(action, skip_cache_lookup, deadline).await {
            Turn::Ran(outcome) => {
                tracing::debug!(%action, "another gateway or request ran it");
                *outcome
            }
            Turn::Run(lease) => {
                let outcome = self.inner.execute(action, skip_cache_lookup, deadline).await;
                lease.end(&outcome);
                outcome
            }
        }
    }
}
