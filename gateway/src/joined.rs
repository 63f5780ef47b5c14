//! A decorator of [`Executor`]: equal actions under way in the whole cluster are run once, and given
//! up at the backend when everybody who waited has gone.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use goma_common::reapi::{Executed, Execution, Executor, is_other_account};
use goma_common::shards::Shards;
use goma_common::turn::Turn;
use goma_common::{Deadline, Result};

use crate::metrics;
use crate::trail::note;

/// A client whose connection broke may come back with the same request; it finds the action under way
/// when it does so within this.
const RETURN: Duration = Duration::from_secs(1);
/// Whether anybody else waits is answered at once by a shard that is well.
const ASK: Duration = Duration::from_secs(2);
/// Telling the backend ends by then.
const CANCEL: Duration = Duration::from_secs(5);

/// `inner`, asked by one gateway for each action at a time; the owner of the action's digest knows
/// which.
#[derive(Clone)]
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

    /// Has the backend give up an execution that was left, unless somebody else wants it.
    async fn give_up(self, execution: Execution) {
        tokio::time::sleep(RETURN).await;
        let Execution { action, skip_cache_lookup, .. } = execution;
        let turn = self.shards.join(action, skip_cache_lookup, Deadline::after(ASK)).await;
        // While we have the turn nobody begins with it. Where its owner is away there is no telling.
        let Turn::Run(lease) = turn else { return };
        if !lease.is_known() {
            return;
        }
        match self.inner.cancel(&execution, Deadline::after(CANCEL)).await {
            Ok(()) => {
                metrics::given_up();
                tracing::info!(%action, "nobody waits for an action: it is given up");
            }
            Err(error) => tracing::warn!(%error, %action, "an action cannot be given up"),
        }
    }
}

#[async_trait]
impl Executor for Joined {
    async fn execute(&self, execution: &Execution, deadline: Deadline) -> Result<Executed> {
        let Execution { action, skip_cache_lookup, .. } = *execution;
        match self.shards.join(action, skip_cache_lookup, deadline).await {
            Turn::Ran(outcome) => {
                tracing::debug!(%action, "another gateway or request ran it");
                note(|told| told.joined = true);
                *outcome
            }
            Turn::Run(lease) => {
                // Who else waits is not known of what runs on a user's own account.
                let ours = !is_other_account();
                let mut left = Left(ours.then(|| (self.clone(), execution.clone())));
                let outcome = self.inner.execute(execution, deadline).await;
                left.0 = None;
                lease.end(&outcome);
                outcome
            }
        }
    }

    async fn cancel(&self, execution: &Execution, deadline: Deadline) -> Result<()> {
        self.inner.cancel(execution, deadline).await
    }
}

/// An execution under way; dropped when its client goes.
struct Left(Option<(Joined, Execution)>);

impl Drop for Left {
    fn drop(&mut self) {
        let Some((joined, execution)) = self.0.take() else { return };
        // Without a name there is nothing to cancel; without a runtime the process ends.
        if let (Some(_), Ok(runtime)) =
            (execution.operation(), tokio::runtime::Handle::try_current())
        {
            // Ends by itself within seconds.
            runtime.spawn(joined.give_up(execution));
        }
    }
}
