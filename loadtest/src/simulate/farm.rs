//! The backend of the simulation: a CAS that forgets nothing, an action cache, and as many workers as
//! are wanted. It counts what it is asked.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use goma_common::reapi::{
    ActionCache, Backend, Cas, Executed, Execution, Executor, Health, Limits, Upload,
};
use goma_common::{Code, Deadline, Digest, Error, Result, View};
use goma_proto::reapi::ActionResult;
use tokio::time::sleep;

use super::counts::Ledger;
use super::random::{about, mix};

/// A call there and back, in the median.
const CALL: Duration = Duration::from_millis(5);
/// A compiler's time, in the median.
const COMPILE: Duration = Duration::from_secs(3);

/// The whole of it; a clone is the same one.
#[derive(Clone)]
pub(super) struct Farm {
    ledger: Arc<Ledger>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    blobs: HashSet<Digest>,
    results: HashSet<Digest>,
    calls: u64,
}

impl Farm {
    pub(super) fn new(ledger: Arc<Ledger>) -> Self {
        Self { ledger, state: Arc::default() }
    }

    pub(super) fn backend(&self) -> Backend {
        let this = Arc::new(self.clone());
        Backend {
            cas: this.clone(),
            action_cache: this.clone(),
            executor: this.clone(),
            health: this,
            limits: Arc::new(Limits::default()),
        }
    }

    /// Blobs that it holds.
    pub(super) fn blobs(&self) -> usize {
        self.state().blobs.len()
    }

    async fn call(&self) {
        let number = {
            let mut state = self.state();
            state.calls += 1;
            state.calls
        };
        sleep(about(CALL, mix(number))).await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Cas for Farm {
    async fn find_missing(&self, digests: &[Digest], _: Deadline) -> Result<Vec<Digest>> {
        self.ledger.count(|counts| {
            counts.find_missing += 1;
            counts.find_missing_digests += digests.len() as u64;
        });
        self.call().await;
        let state = self.state();
        Ok(digests.iter().filter(|digest| !state.blobs.contains(digest)).copied().collect())
    }

    async fn upload_batch(
        &self,
        blobs: &[(Digest, Bytes)],
        _: Deadline,
    ) -> Result<Vec<Result<()>>> {
        let bytes: u64 = blobs.iter().map(|(digest, _)| digest.size).sum();
        self.ledger.count(|counts| {
            counts.batch_update += 1;
            counts.batch_update_blobs += blobs.len() as u64;
            counts.batch_update_bytes += bytes;
        });
        self.call().await;
        self.state().blobs.extend(blobs.iter().map(|(digest, _)| *digest));
        Ok(vec![Ok(()); blobs.len()])
    }

    async fn upload_stream(&self, _: &Upload, _: Deadline) -> Result<()> {
        unexpected("all simulated blobs are small")
    }

    async fn download_batch(&self, _: &[Digest], _: Deadline) -> Result<Vec<Result<Bytes>>> {
        unexpected("outputs come inside the result")
    }

    async fn download_stream(
        &self,
        _: View,
        _: Deadline,
    ) -> Result<BoxStream<'static, Result<Bytes>>> {
        unexpected("outputs come inside the result")
    }
}

#[async_trait]
impl ActionCache for Farm {
    async fn get(&self, action: Digest, _: &[String], _: Deadline) -> Result<Option<ActionResult>> {
        self.ledger.count(|counts| counts.get_action_result += 1);
        self.call().await;
        Ok(self.state().results.contains(&action).then(ActionResult::default))
    }
}

#[async_trait]
impl Executor for Farm {
    async fn execute(&self, execution: &Execution, _: Deadline) -> Result<Executed> {
        let action = execution.action;
        self.ledger.count(|counts| counts.execute += 1);
        self.call().await;
        if !self.state().blobs.contains(&action) {
            return unexpected("an action that was never uploaded");
        }
        let cached = self.state().results.contains(&action);
        if !cached {
            sleep(about(COMPILE, mix(action.size ^ u64::from(action.hash[0]) << 32))).await;
            self.state().results.insert(action);
        }
        Ok(Executed { result: ActionResult::default(), cached })
    }
}

#[async_trait]
impl Health for Farm {
    async fn check(&self, _: Deadline) -> Result<()> {
        Ok(())
    }
}

fn unexpected<T>(what: &str) -> Result<T> {
    Err(Error::new(Code::Internal, format!("the simulation does not foresee this: {what}")))
}
