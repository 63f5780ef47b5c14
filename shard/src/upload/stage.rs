//! Work that is gathered into calls: what arrives while calls are under way goes together into the
//! next one, so a lone request waits for nobody and a thousand share a few calls.

use std::sync::Arc;
use std::time::Duration;

use goma_common::fair_queue::FairQueue;
use goma_common::shards::Source;
use tokio::sync::{Semaphore, mpsc};

use crate::sync::{sleep, spawn};

/// How work is gathered.
pub(super) struct Gathering<T> {
    /// Calls under way at once; the rest gathers.
    pub(super) calls: usize,
    /// How long the first of a batch waits for others.
    pub(super) linger: Duration,
    /// Items in one call.
    pub(super) most: usize,
    /// What an item takes of a call's room.
    pub(super) cost: fn(&T) -> u64,
}

/// A handle to a gathering task, which ends when the last handle is dropped.
pub(super) struct Stage<T> {
    // Unbounded: whoever puts something in holds room for it.
    queue: mpsc::UnboundedSender<(Source, T)>,
}

impl<T> Clone for Stage<T> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone() }
    }
}

impl<T: Send + 'static> Stage<T> {
    /// Gathers items into calls of `run`; `limit` tells a call's room at the time.
    pub(super) fn start<F>(
        gathering: Gathering<T>,
        limit: impl Fn() -> u64 + Send + 'static,
        run: impl Fn(Vec<T>) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (queue, items) = mpsc::unbounded_channel();
        spawn(gather(items, gathering, limit, run));
        Self { queue }
    }

    /// Adds an item. One that comes after the end of the process is dropped.
    pub(super) fn put(&self, source: Source, item: T) {
        let _ = self.queue.send((source, item));
    }
}

async fn gather<T, F>(
    mut items: mpsc::UnboundedReceiver<(Source, T)>,
    gathering: Gathering<T>,
    limit: impl Fn() -> u64,
    run: impl Fn(Vec<T>) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let free = Arc::new(Semaphore::new(gathering.calls));
    let mut queue = FairQueue::default();
    loop {
        if queue.is_empty() {
            let Some((source, item)) = items.recv().await else { return };
            queue.push(source, item);
            if !gathering.linger.is_zero() {
                sleep(gathering.linger).await;
            }
        }
        // All calls busy: more arrives meanwhile.
        let Ok(permit) = free.clone().acquire_owned().await else { return };
        while let Ok((source, item)) = items.try_recv() {
            queue.push(source, item);
        }
        let call = run(queue.take(gathering.most, gathering.cost, limit()));
        spawn(async move {
            call.await;
            drop(permit);
        });
    }
}
