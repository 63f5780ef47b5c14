//! Asks the owners of what a question is about, each once and all at the same time.
//!
//! What is asked of a member that goes away meanwhile is asked again of whoever owns it by then.

use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt, try_join_all};
use goma_common::backoff::Backoff;
use goma_common::shards::Shards;
use goma_common::{Code, Deadline, Error, Result};
use tokio::sync::watch;
use tokio::time::Instant;

use super::split::{Item, split};
use super::view::{Up, View};

const FIRST_DELAY: Duration = Duration::from_millis(20);
const MAX_DELAY: Duration = Duration::from_millis(500);
/// A member that fails calls for so long and is still up means what it says, as when its backend is
/// away: one that is away itself has left the ring by then.
const BELIEVED: Duration = Duration::from_secs(3);

/// The members of a ring, as it is published; a clone is the same.
#[derive(Clone)]
pub(super) struct Owners {
    view: watch::Receiver<Arc<View>>,
}

/// What is asked of one member; the answer is put together by the caller.
pub(super) type Call<'a, T, R> =
    dyn Fn(Arc<dyn Shards>, Vec<T>) -> BoxFuture<'a, Result<R>> + Send + Sync + 'a;

/// Answers, each with the places in the question of the items that it is for.
pub(super) type Parts<R> = Vec<(Vec<usize>, R)>;

/// What has failed so far of a part of a question.
#[derive(Clone)]
struct Patience {
    backoff: Backoff,
    /// Who fails, and since when.
    failing: Option<(Arc<dyn Shards>, Instant)>,
}

impl Patience {
    fn new() -> Self {
        Self { backoff: Backoff::new(FIRST_DELAY, MAX_DELAY), failing: None }
    }

    /// How long to wait after this failure of `up`; `None` where it is final.
    fn after(&mut self, error: &Error, up: &Up, deadline: Deadline) -> Option<Duration> {
        if !is_away(error) {
            return None;
        }
        match &self.failing {
            Some((shard, since)) if Arc::ptr_eq(shard, &up.shard) => {
                if since.elapsed() >= BELIEVED {
                    return None;
                }
            }
            _ => self.failing = Some((up.shard.clone(), Instant::now())),
        }
        let delay = self.backoff.delay();
        (delay < deadline.remaining()).then_some(delay)
    }
}

impl Owners {
    pub(super) fn new(view: watch::Receiver<Arc<View>>) -> Self {
        Self { view }
    }

    /// The owner of a key as of now; `None` where nobody is up.
    pub(super) fn of(&self, key: &[u8; 32]) -> Option<Up> {
        self.view.borrow().owner(key).cloned()
    }

    /// Asks all owners.
    ///
    /// # Errors
    /// The first of an owner that is final, or that of one that is away at the deadline.
    pub(super) async fn ask<'a, T, R>(
        &'a self,
        items: Vec<Item<T>>,
        deadline: Deadline,
        call: &'a Call<'a, T, R>,
    ) -> Result<Parts<R>>
    where
        T: Clone + Send + Sync + 'a,
        R: Send + 'a,
    {
        self.ask_with(items, Patience::new(), deadline, call).await
    }

    /// The ring as of now, once somebody is on it.
    /// The ring as of now, whoever is up.
    pub(super) fn now(&self) -> Arc<View> {
        self.view.borrow().clone()
    }

    async fn view(&self, deadline: Deadline) -> Result<Arc<View>> {
        let mut view = self.view.clone();
        let somebody = view.wait_for(|view| !view.is_empty());
        match tokio::time::timeout(deadline.remaining(), somebody).await {
            Ok(Ok(view)) => Ok(view.clone()),
            _ => Err(self.view.borrow().nobody()),
        }
    }

    fn ask_with<'a, T, R>(
        &'a self,
        items: Vec<Item<T>>,
        patience: Patience,
        deadline: Deadline,
        call: &'a Call<'a, T, R>,
    ) -> BoxFuture<'a, Result<Parts<R>>>
    where
        T: Clone + Send + Sync + 'a,
        R: Send + 'a,
    {
        async move {
            if items.is_empty() {
                return Ok(Vec::new());
            }
            let view = self.view(deadline).await?;
            let parts = split(&view, items).into_iter().map(|(up, items)| {
                let (up, patience) = (up.clone(), patience.clone());
                self.ask_one(up, items, patience, deadline, call)
            });
            Ok(try_join_all(parts).await?.into_iter().flatten().collect())
        }
        .boxed()
    }

    /// Asks one owner, and when that is away whoever owns its part by then.
    async fn ask_one<'a, T, R>(
        &'a self,
        up: Up,
        items: Vec<Item<T>>,
        mut patience: Patience,
        deadline: Deadline,
        call: &'a Call<'a, T, R>,
    ) -> Result<Parts<R>>
    where
        T: Clone + Send + Sync + 'a,
        R: Send + 'a,
    {
        let values = items.iter().map(|item| item.value.clone()).collect();
        let error = match unless_gone(&up, deadline, call(up.shard.clone(), values)).await {
            Ok(answer) => return Ok(vec![(items.iter().map(|item| item.at).collect(), answer)]),
            Err(error) => error,
        };
        let Some(delay) = patience.after(&error, &up, deadline) else { return Err(error) };
        tracing::debug!(%error, shard = up.member.name, "a shard is away, asking again");
        tokio::time::sleep(delay).await;
        self.ask_with(items, patience, deadline, call).await
    }
}

/// Whether the member is away, rather than what it was asked impossible.
pub(super) fn is_away(error: &Error) -> bool {
    matches!(error.code, Code::Unavailable | Code::Cancelled)
}

/// Waits for an answer of a member, but not once it went down.
pub(super) async fn unless_gone<R>(
    up: &Up,
    deadline: Deadline,
    call: impl Future<Output = Result<R>>,
) -> Result<R> {
    let told = format!("shard {}", up.member.name);
    tokio::select! {
        () = up.gone.cancelled() => {
            Err(Error::new(Code::Unavailable, format!("{told}: it went down meanwhile")))
        }
        answer = deadline.bound(&told, call) => answer,
    }
}
