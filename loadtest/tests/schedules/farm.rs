//! A backend that loses blobs, claims to have them, is away, and is late with its answers.
//!
//! Its workers run an action only when every blob of it is there, and make of equal inputs equal
//! outputs.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt;
use futures::stream::{self, BoxStream, StreamExt};
use goma_common::reapi::{
    ActionCache, Backend, Cas, Executed, Execution, Executor, Health, Limits, Upload,
};
use goma_common::{Code, Deadline, Digest, Error, Result, View};
use goma_proto::reapi::ActionResult;
use tokio::time::{Instant, sleep};

use crate::chance::{self, Chance};
use crate::checker::{Checker, attempt};
use crate::closure::Closure;

/// A call of the farm takes up to this each way.
const TRAVEL: Duration = Duration::from_millis(300);
/// A compiler runs for up to this.
const RUN: Duration = Duration::from_secs(12);

/// The whole of it; a clone is the same one.
#[derive(Clone)]
pub struct Farm {
    state: Arc<Mutex<State>>,
    chance: Arc<Chance>,
    pub checker: Arc<Checker>,
    inlines_outputs: bool,
}

struct State {
    blobs: HashMap<Digest, (Bytes, Instant)>,
    results: HashMap<Digest, ActionResult>,
    /// Gone, and said to be there the next time somebody asks.
    lies: HashSet<Digest>,
    away_until: Instant,
}

impl Farm {
    pub fn new(chance: Arc<Chance>, checker: Arc<Checker>, inlines_outputs: bool) -> Self {
        let state = State {
            blobs: HashMap::new(),
            results: HashMap::new(),
            lies: HashSet::new(),
            away_until: Instant::now(),
        };
        Self { state: Arc::new(Mutex::new(state)), chance, checker, inlines_outputs }
    }

    /// The backend with this storage in place of its own.
    pub fn backend(&self, cas: Arc<dyn Cas>) -> Backend {
        let this = Arc::new(self.clone());
        Backend {
            cas,
            action_cache: this.clone(),
            executor: this.clone(),
            health: this,
            limits: Arc::new(Limits::default()),
        }
    }

    pub fn go_away(&self, length: Duration) {
        self.state().away_until = Instant::now() + length;
    }

    /// Loses this share of its blobs.
    pub fn evict(&self, share: f64, episode: u64) {
        let lost = |digest: &Digest| {
            self.chance.rank(("evict", episode, digest)) as f64 / (u64::MAX as f64) < share
        };
        self.state().blobs.retain(|digest, _| !lost(digest));
    }

    /// Loses one of its blobs; with a `lie`, says once more that it is there.
    pub fn evict_one(&self, episode: u64, lie: bool) {
        let mut state = self.state();
        let rank = |digest: &&Digest| self.chance.rank(("evict", episode, *digest));
        let Some(digest) = state.blobs.keys().min_by_key(rank).copied() else { return };
        state.blobs.remove(&digest);
        if lie {
            state.lies.insert(digest);
        }
    }

    /// Since when it has had a blob.
    pub fn held_since(&self, digest: &Digest) -> Option<Instant> {
        self.state().blobs.get(digest).map(|(_, since)| *since)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn travel(&self, of: impl std::hash::Hash) -> Result<()> {
        sleep(self.chance.delay(TRAVEL, ("farm", attempt(), of))).await;
        match Instant::now() < self.state().away_until {
            true => Err(Error::new(Code::Unavailable, "the farm is away")),
            false => Ok(()),
        }
    }

    fn put(&self, digest: Digest, contents: Bytes) {
        let mut state = self.state();
        state.lies.remove(&digest);
        state.blobs.entry(digest).or_insert_with(|| (contents, Instant::now()));
    }

    fn read(&self, digest: &Digest) -> Result<Bytes> {
        let gone = || Error::new(Code::NotFound, format!("no blob {digest}"));
        self.state().blobs.get(digest).map(|(contents, _)| contents.clone()).ok_or_else(gone)
    }

    fn take(&self, digest: Digest, contents: Bytes) -> Result<()> {
        if Digest::of(&contents) != digest {
            self.checker.violation(format!("other bytes were uploaded than {digest}"));
            return Err(Error::new(Code::InvalidArgument, "other bytes than the digest's"));
        }
        self.put(digest, contents);
        self.checker.uploaded(digest);
        self.checker.confirmed([digest]);
        Ok(())
    }

    /// In one of the ways in which backends say it.
    fn lacking(&self, action: Digest, missing: &[Digest]) -> (Error, Vec<Digest>) {
        match self.chance.rank(("style", action)) % 3 {
            0 => {
                let mut error = Error::new(Code::MissingBlobs, "inputs are missing");
                error.missing = missing.to_vec();
                (error, missing.to_vec())
            }
            1 => (Error::new(Code::MissingBlobs, "inputs are missing"), Vec::new()),
            _ => (Error::new(Code::Internal, "cannot stage inputs"), Vec::new()),
        }
    }
}

#[async_trait]
impl Cas for Farm {
    async fn find_missing(&self, digests: &[Digest], _: Deadline) -> Result<Vec<Digest>> {
        let set = chance::set(digests.iter().copied());
        self.checker.count("FindMissingBlobs");
        self.checker.asked(digests.iter().copied());
        self.travel(("find", set)).await?;
        let (there, missing): (Vec<Digest>, Vec<Digest>) = {
            let mut state = self.state();
            digests.iter().partition(|d| state.blobs.contains_key(d) || state.lies.remove(d))
        };
        self.checker.confirmed(there);
        self.travel(("found", set)).await?;
        Ok(missing)
    }

    async fn upload_batch(
        &self,
        blobs: &[(Digest, Bytes)],
        _: Deadline,
    ) -> Result<Vec<Result<()>>> {
        let set = chance::set(blobs.iter().map(|(digest, _)| *digest));
        self.checker.count("BatchUpdateBlobs");
        self.checker.asked(blobs.iter().map(|(digest, _)| *digest));
        self.travel(("upload", set)).await?;
        let taken = blobs.iter().map(|(digest, bytes)| self.take(*digest, bytes.clone())).collect();
        self.travel(("uploaded", set)).await?;
        Ok(taken)
    }

    async fn upload_stream(&self, upload: &Upload, _: Deadline) -> Result<()> {
        let pieces: Vec<Bytes> = upload.read(0).try_collect().await?;
        self.travel(("stream", upload.digest)).await?;
        self.take(upload.digest, pieces.concat().into())
    }

    async fn download_batch(&self, digests: &[Digest], _: Deadline) -> Result<Vec<Result<Bytes>>> {
        self.travel(("read", chance::set(digests.iter().copied()))).await?;
        Ok(digests.iter().map(|digest| self.read(digest)).collect())
    }

    async fn download_stream(
        &self,
        view: View,
        _: Deadline,
    ) -> Result<BoxStream<'static, Result<Bytes>>> {
        let whole = self.read(&view.digest)?;
        let at = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
        let part = whole.slice(at(view.offset)..at(view.offset + view.length));
        Ok(stream::iter([Ok(part)]).boxed())
    }
}

#[async_trait]
impl ActionCache for Farm {
    async fn get(&self, action: Digest, _: &[String], _: Deadline) -> Result<Option<ActionResult>> {
        self.travel(("result", action)).await?;
        Ok(self.state().results.get(&action).cloned())
    }
}

#[async_trait]
impl Executor for Farm {
    async fn execute(&self, execution: &Execution, _: Deadline) -> Result<Executed> {
        let (action, fresh) = (execution.action, execution.skip_cache_lookup);
        self.checker.count("Execute");
        self.checker.execute(action);
        self.travel(("execute", action)).await?;
        let cached = self.state().results.get(&action).cloned();
        if let (Some(result), false) = (cached, fresh) {
            return Ok(Executed { result, cached: true });
        }
        let closure = Closure::of(action, |digest| self.read(&digest).ok());
        if !closure.missing.is_empty() {
            let (error, named) = self.lacking(action, &closure.missing);
            self.checker.execution_failed(action, closure.all, named);
            return Err(error);
        }
        let this = self.clone();
        // The worker goes on when nobody waits any more.
        let run = tokio::spawn(async move {
            sleep(this.chance.delay(RUN, ("run", action))).await;
            let (mut result, contents) = closure.result();
            for contents in contents {
                this.put(Digest::of(&contents), contents);
            }
            if !this.inlines_outputs {
                result.output_files.iter_mut().for_each(|file| file.contents.clear());
            }
            this.state().results.insert(action, result.clone());
            result
        });
        let result = run.await.map_err(|error| Error::new(Code::Internal, error.to_string()))?;
        self.travel(("executed", action)).await?;
        Ok(Executed { result, cached: false })
    }
}

#[async_trait]
impl Health for Farm {
    async fn check(&self, _: Deadline) -> Result<()> {
        Ok(())
    }
}
