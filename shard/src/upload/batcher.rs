//! Gathers blobs of all requests into FindMissingBlobs and BatchUpdateBlobs calls.
//!
//! What arrives while calls are under way goes together into the next one, so a lone request waits
//! for nobody and a thousand share a few calls.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use futures::stream::{StreamExt, once};
use goma_common::reapi::Backend;
use goma_common::reapi::limits::pack;
use goma_common::{Code, Deadline, Digest, Error, Result};
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::Outcome;
use crate::presence::Presence;

/// Calls under way at once; the rest gathers.
const CALLS: usize = 4;
/// Blobs in one FindMissingBlobs.
const BATCH_MAX: usize = 4096;
/// Blobs that may wait; whoever asks for more waits to ask.
const QUEUE: usize = 4 * BATCH_MAX;
/// One batch of calls ends by then, whatever its requests' own deadlines.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);
/// A stream of one large blob ends by then.
const STREAM_TIMEOUT: Duration = Duration::from_secs(300);

/// A handle to the gathering task, which ends when the last handle is dropped.
#[derive(Clone)]
pub(super) struct Batcher {
    queue: mpsc::Sender<Item>,
}

struct Item {
    digest: Digest,
    contents: Option<Bytes>,
    answer: oneshot::Sender<Result<Outcome>>,
}

impl Batcher {
    pub(super) fn start(backend: Backend, presence: Arc<Presence>) -> Self {
        let (queue, items) = mpsc::channel(QUEUE);
        tokio::spawn(gather(items, Calls { backend, presence }));
        Self { queue }
    }

    /// Asks for the blob and uploads it if the CAS lacks it.
    pub(super) fn make_present(
        &self,
        digest: Digest,
        contents: Option<Bytes>,
    ) -> impl Future<Output = Result<Outcome>> + Send + use<> {
        let queue = self.queue.clone();
        async move {
            let gone = || Error::new(Code::Internal, "uploads: the batcher has ended");
            let (answer, answered) = oneshot::channel();
            queue.send(Item { digest, contents, answer }).await.map_err(|_| gone())?;
            answered.await.map_err(|_| gone())?
        }
    }
}

async fn gather(mut items: mpsc::Receiver<Item>, calls: Calls) {
    let free = Arc::new(Semaphore::new(CALLS));
    let mut batch = Vec::new();
    while items.recv_many(&mut batch, BATCH_MAX).await > 0 {
        // All calls busy: more arrives meanwhile.
        let Ok(permit) = free.clone().acquire_owned().await else { return };
        while batch.len() < BATCH_MAX {
            let Ok(item) = items.try_recv() else { break };
            batch.push(item);
        }
        let (calls, batch) = (calls.clone(), std::mem::take(&mut batch));
        tokio::spawn(async move {
            calls.run(batch).await;
            drop(permit);
        });
    }
}

#[derive(Clone)]
struct Calls {
    backend: Backend,
    presence: Arc<Presence>,
}

impl Calls {
    async fn run(&self, batch: Vec<Item>) {
        let deadline = Deadline::after(CALL_TIMEOUT);
        let digests: Vec<Digest> = batch.iter().map(|item| item.digest).collect();
        let missing = match self.backend.cas.find_missing(&digests, deadline).await {
            Ok(missing) => std::collections::HashSet::<Digest>::from_iter(missing),
            Err(error) => return batch.into_iter().for_each(|item| item.end(Err(error.clone()))),
        };
        let (absent, present): (Vec<_>, Vec<_>) =
            batch.into_iter().partition(|item| missing.contains(&item.digest));
        self.confirm(present).await;

        let (small, large): (Vec<_>, Vec<_>) = absent
            .into_iter()
            .filter_map(Item::with_contents)
            .partition(|upload| self.backend.limits.fits_batch(upload.digest.size));
        let limit = self.backend.limits.batch_bytes();
        let batches = pack(small, |upload| upload.digest.size, limit);
        tokio::join!(
            join_all(batches.into_iter().map(|batch| self.upload_batch(batch, deadline))),
            join_all(large.into_iter().map(|upload| self.upload_large(upload))),
        );
    }

    async fn upload_batch(&self, batch: Vec<Upload>, deadline: Deadline) {
        let blobs: Vec<_> = batch.iter().map(|u| (u.digest, u.contents.clone())).collect();
        let answers = match self.backend.cas.upload_batch(&blobs, deadline).await {
            Ok(answers) => answers,
            Err(error) if error.code == Code::ResourceExhausted => {
                // A batch over a limit that the backend does not tell: one by one, as streams.
                tracing::debug!(%error, "batch refused, streaming its blobs");
                for upload in batch {
                    self.upload_large(upload).await;
                }
                return;
            }
            Err(error) => vec![Err(error); batch.len()],
        };
        let mut taken = Vec::with_capacity(batch.len());
        for (upload, answer) in batch.into_iter().zip(answers) {
            match answer {
                Ok(()) => taken.push(upload.item()),
                Err(error) => upload.item().end(Err(error.context("backend: BatchUpdateBlobs"))),
            }
        }
        self.confirm(taken).await;
    }

    async fn upload_large(&self, upload: Upload) {
        let contents = upload.contents.clone();
        let pieces = once(async move { Ok(contents) }).boxed();
        let deadline = Deadline::after(STREAM_TIMEOUT);
        match self.backend.cas.upload_stream(upload.digest, pieces, deadline).await {
            Ok(()) => self.confirm(vec![upload.item()]).await,
            Err(error) => upload.item().end(Err(error)),
        }
    }

    /// The CAS has said of each of these that it has it.
    async fn confirm(&self, items: Vec<Item>) {
        if items.is_empty() {
            return;
        }
        self.presence.confirm(items.iter().map(|item| item.digest).collect()).await;
        items.into_iter().for_each(|item| item.end(Ok(Outcome::Present)));
    }
}

/// An item that the CAS lacks and whose contents we have.
struct Upload {
    digest: Digest,
    contents: Bytes,
    answer: oneshot::Sender<Result<Outcome>>,
}

impl Upload {
    fn item(self) -> Item {
        Item { digest: self.digest, contents: None, answer: self.answer }
    }
}

impl Item {
    /// Ends at once as missing when there is nothing to upload.
    fn with_contents(self) -> Option<Upload> {
        match self.contents {
            Some(contents) => Some(Upload { digest: self.digest, contents, answer: self.answer }),
            None => {
                self.end(Ok(Outcome::Missing));
                None
            }
        }
    }

    fn end(self, outcome: Result<Outcome>) {
        // Whoever asked may have run out of time.
        let _ = self.answer.send(outcome);
    }
}
