//! Equal actions under way: one runs, the others wait for how it ends.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use goma_common::reapi::Executed;
use goma_common::turn::{Lease, Turn};
use goma_common::{Deadline, Digest, Result};
use tokio::sync::oneshot;

use crate::sync::{Mutex, MutexGuard, PoisonError, spawn, timeout};

/// The action, and whether the backend may answer from its cache.
type Key = (Digest, bool);
type Waiters = VecDeque<oneshot::Sender<Turn>>;

/// The actions of one shard. A clone is the same.
#[derive(Clone, Default)]
pub(crate) struct Joins {
    /// Those that wait, by what they wait for; no entry where nobody runs it.
    under_way: Arc<Mutex<HashMap<Key, Waiters>>>,
}

impl Joins {
    /// See [`goma_common::shards::Shards::join`].
    pub(crate) async fn join(&self, key: Key, deadline: Deadline) -> Turn {
        let waiting = {
            let mut under_way = self.under_way();
            match under_way.get_mut(&key) {
                Some(waiters) => {
                    let (turn, waiting) = oneshot::channel();
                    waiters.push_back(turn);
                    waiting
                }
                None => {
                    under_way.insert(key, Waiters::new());
                    let (lease, end) = Lease::new();
                    // Ends with the lease.
                    spawn(self.clone().follow(key, end));
                    return Turn::Run(lease);
                }
            }
        };
        match timeout(deadline.remaining(), waiting).await {
            Ok(Ok(turn)) => turn,
            // Out of time, or the process ends: by itself then.
            _ => Turn::Run(Lease::alone()),
        }
    }

    /// Waits for the end of whoever runs it, and of the next one where that gave up.
    async fn follow(self, key: Key, mut end: oneshot::Receiver<Result<Executed>>) {
        loop {
            if let Ok(outcome) = end.await {
                for waiter in self.under_way().remove(&key).unwrap_or_default() {
                    // Whoever waited may have run out of time.
                    let _ = waiter.send(Turn::Ran(Box::new(outcome.clone())));
                }
                return;
            }
            match self.hand_on(key) {
                Some(next) => end = next,
                None => return,
            }
        }
    }

    /// Lets the first of those that still wait run it; the end of its lease, if there is one.
    fn hand_on(&self, key: Key) -> Option<oneshot::Receiver<Result<Executed>>> {
        let mut under_way = self.under_way();
        let (lease, end) = Lease::new();
        let mut turn = Turn::Run(lease);
        while let Some(waiter) = under_way.get_mut(&key).and_then(VecDeque::pop_front) {
            match waiter.send(turn) {
                Ok(()) => return Some(end),
                Err(back) => turn = back,
            }
        }
        under_way.remove(&key);
        None
    }

    fn under_way(&self) -> MutexGuard<'_, HashMap<Key, Waiters>> {
        // Each critical section is a map operation or two, so a panic cannot leave it half done.
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use goma_common::{Code, Error};
    use goma_proto::reapi::ActionResult;

    use super::*;

    fn soon() -> Deadline {
        Deadline::after(Duration::from_secs(10))
    }

    fn key() -> Key {
        (Digest::of(b"action"), false)
    }

    fn lease(turn: Turn) -> Lease {
        match turn {
            Turn::Run(lease) => lease,
            Turn::Ran(outcome) => panic!("it was run by another: {outcome:?}"),
        }
    }

    fn executed() -> Result<Executed> {
        Ok(Executed { result: ActionResult { exit_code: 7, ..Default::default() }, cached: false })
    }

    #[tokio::test]
    async fn one_runs_and_all_hear_of_it() {
        let joins = Joins::default();
        let first = lease(joins.join(key(), soon()).await);
        let others = futures::future::join_all((0..99).map(|_| joins.join(key(), soon())));
        let (others, ()) = tokio::join!(others, async { first.end(&executed()) });
        for turn in others {
            match turn {
                Turn::Ran(ran) => assert_eq!(ran.expect("it ran").result.exit_code, 7),
                Turn::Run(_) => panic!("all wait for the first"),
            }
        }
        // It is over: the next one runs it again.
        drop(lease(joins.join(key(), soon()).await));
    }

    #[tokio::test]
    async fn a_fresh_run_does_not_wait_for_one_that_may_be_cached() {
        let joins = Joins::default();
        let _first = lease(joins.join((Digest::of(b"a"), false), soon()).await);
        drop(lease(joins.join((Digest::of(b"a"), true), soon()).await));
    }

    #[tokio::test]
    async fn when_whoever_runs_it_dies_the_next_one_does() {
        let joins = Joins::default();
        let first = lease(joins.join(key(), soon()).await);
        // One that no longer waits is passed over.
        let gone = joins.join(key(), Deadline::after(Duration::ZERO)).await;
        drop(lease(gone));
        let (next, ()) = tokio::join!(joins.join(key(), soon()), async { drop(first) });
        let next = lease(next);
        // Out of time is the runner's own end too.
        let late = Err(Error::new(Code::DeadlineExceeded, "late"));
        let (last, ()) = tokio::join!(joins.join(key(), soon()), async { next.end(&late) });
        drop(lease(last));
    }
}
