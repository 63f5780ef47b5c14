//! Room of which everybody who waits for some has his turn, however much another asks for.

use std::sync::Arc;

use goma_common::fair_queue::FairQueue;
use goma_common::shards::Source;
use tokio::sync::oneshot;

use crate::sync::{Mutex, MutexGuard, PoisonError};

/// So much room; a clone is the same.
#[derive(Clone)]
pub(crate) struct Fair {
    all: usize,
    state: Arc<Mutex<State>>,
}

struct State {
    free: usize,
    waiting: FairQueue<Waiter>,
}

struct Waiter {
    amount: usize,
    turn: oneshot::Sender<Held>,
}

/// Some of the room, which is free again when this is dropped.
pub(crate) struct Held {
    room: Fair,
    amount: usize,
}

impl Fair {
    pub(crate) fn new(all: usize) -> Self {
        let all = all.max(1);
        Self {
            all,
            state: Arc::new(Mutex::new(State { free: all, waiting: FairQueue::default() })),
        }
    }

    /// Waits for so much, or for all if that is less. Whose turn it is gets the next that is free, and
    /// nobody passes him, so that large amounts come to theirs. Bounded by the caller.
    pub(crate) async fn take(&self, who: Source, amount: usize) -> Held {
        let amount = amount.min(self.all);
        let turn = {
            let mut state = self.state();
            if state.waiting.is_empty() && amount <= state.free {
                state.free -= amount;
                return Held { room: self.clone(), amount };
            }
            let (turn, told) = oneshot::channel();
            state.waiting.push(who, Waiter { amount, turn });
            told
        };
        // Who gives up holds up nobody behind.
        let _left = Left(self);
        self.grant();
        match turn.await {
            Ok(held) => held,
            // Waiters are dropped by those who gave up alone.
            Err(_) => Held { room: self.clone(), amount: 0 },
        }
    }

    /// So much at once, or nothing, whoever waits.
    pub(crate) fn try_take(&self, amount: usize) -> Option<Held> {
        let mut state = self.state();
        state.free = state.free.checked_sub(amount)?;
        Some(Held { room: self.clone(), amount })
    }

    /// Gives what is free to those whose turn it is.
    fn grant(&self) {
        let mut granted = Vec::new();
        {
            let mut state = self.state();
            while let Some(next) = state.waiting.front() {
                let (gone, amount) = (next.turn.is_closed(), next.amount);
                if !gone && amount > state.free {
                    break;
                }
                let Some(Waiter { turn, .. }) = state.waiting.pop() else { break };
                if !gone {
                    state.free -= amount;
                    granted.push((turn, Held { room: self.clone(), amount }));
                }
            }
        }
        for (turn, held) in granted {
            // Where he gave up in this moment it is free again.
            let _ = turn.send(held);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each critical section is a few operations on the queue.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// How much it is.
    pub(crate) fn amount(&self) -> usize {
        self.amount
    }

    /// Whether there is no more of it.
    pub(crate) fn is_all(&self) -> bool {
        self.amount == self.room.all
    }

    /// Keeps at most so much; the rest is free again.
    pub(crate) fn keep(&mut self, amount: usize) {
        let rest = self.amount.saturating_sub(amount);
        self.amount -= rest;
        drop(Self { room: self.room.clone(), amount: rest });
    }

    /// Both together.
    pub(crate) fn merge(&mut self, mut other: Self) {
        self.amount += std::mem::take(&mut other.amount);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.amount > 0 {
            self.room.state().free += self.amount;
            self.room.grant();
        }
    }
}

/// Somebody who waits, and perhaps no longer.
struct Left<'r>(&'r Fair);

impl Drop for Left<'_> {
    fn drop(&mut self) {
        self.0.grant();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::FutureExt;
    use tokio::time::timeout;

    use super::*;

    const ANN: Source = Source(1);
    const BOB: Source = Source(2);

    #[tokio::test]
    async fn one_who_asks_for_much_does_not_hold_up_another() {
        let room = Fair::new(1);
        let first = room.take(ANN, 1).await;
        let mut anns: Vec<_> = (0..1000).map(|_| Box::pin(room.take(ANN, 1))).collect();
        for waiting in &mut anns {
            assert!(waiting.now_or_never().is_none());
        }
        let mut bobs = Box::pin(room.take(BOB, 1));
        assert!((&mut bobs).now_or_never().is_none());
        drop(first);
        // One who came before him, then he.
        let second = (&mut anns[0]).now_or_never().expect("her turn");
        assert!((&mut bobs).now_or_never().is_none());
        drop(second);
        assert!((&mut bobs).now_or_never().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn who_gives_up_holds_up_nobody() {
        let room = Fair::new(10);
        let held = room.take(ANN, 5).await;
        let short = Duration::from_secs(1);
        let (large, small) = tokio::join!(
            timeout(short, room.take(ANN, 10)),
            // Behind the large one, which nobody passes while it waits.
            timeout(2 * short, room.take(BOB, 5)),
        );
        assert!(large.is_err());
        let small = small.expect("when the large one was gone");
        assert_eq!((small.amount(), room.state().free), (5, 0));
        drop((held, small));
        assert_eq!(room.state().free, 10);
        assert!(room.state().waiting.is_empty());
    }

    #[tokio::test]
    async fn what_is_more_than_all_is_all() {
        let room = Fair::new(10);
        let mut all = room.take(ANN, 1000).await;
        assert_eq!(all.amount(), 10);
        assert!(room.try_take(1).is_none());
        drop(std::mem::replace(&mut all, room.take(ANN, 0).await));
        let mut some = room.try_take(4).expect("room");
        some.merge(room.try_take(6).expect("room"));
        assert!(some.is_all());
        let mut waiting = Box::pin(room.take(BOB, 3));
        assert!((&mut waiting).now_or_never().is_none());
        some.keep(20);
        some.keep(7);
        assert_eq!((&mut waiting).now_or_never().expect("it is free again").amount(), 3);
        assert_eq!(some.amount(), 7);
        drop(some);
        assert_eq!(room.state().free, 10);
    }
}
