//! Sends requests one after the other, or when they are due.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use super::material::Request;
use super::sender::Sender;
use super::supply::Due;
use crate::error::{Error, Result};
use crate::lock::lock;

/// Each worker sends its next request when it has the answer to the one before.
pub(crate) async fn closed(
    sender: &Arc<Sender>,
    requests: mpsc::Receiver<Result<Request>>,
    workers: usize,
    end: Duration,
) -> Result<()> {
    let requests = Arc::new(tokio::sync::Mutex::new(requests));
    let mut working: JoinSet<Result<()>> = JoinSet::new();
    for _ in 0..workers {
        let (sender, requests) = (Arc::clone(sender), Arc::clone(&requests));
        working.spawn(async move {
            loop {
                let asked = sender.start.elapsed();
                if asked >= end {
                    return Ok(());
                }
                let Some(request) = requests.lock().await.recv().await else { return Ok(()) };
                let begun = sender.start.elapsed();
                lock(&sender.measured).starve(asked, begun.saturating_sub(asked));
                sender.send(request?, begun).await;
            }
        });
    }
    while let Some(ended) = working.join_next().await {
        ended.map_err(|error| Error::member("a worker", error))??;
    }
    Ok(())
}

/// Each request leaves when it is due, unless too many are under way.
pub(crate) async fn open(
    sender: &Arc<Sender>,
    mut due: mpsc::Receiver<Result<Due>>,
    max_in_flight: usize,
) -> Result<()> {
    let room = Arc::new(Semaphore::new(max_in_flight));
    let mut under_way = JoinSet::new();
    while let Some(next) = due.recv().await {
        let Due { at, request } = next?;
        let Ok(permit) = Arc::clone(&room).try_acquire_owned() else {
            lock(&sender.measured).turn_away(at);
            continue;
        };
        let sender = Arc::clone(sender);
        under_way.spawn(async move {
            sender.send(request, at).await;
            drop(permit);
        });
        while under_way.try_join_next().is_some() {}
    }
    while under_way.join_next().await.is_some() {}
    Ok(())
}
