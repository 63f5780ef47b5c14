//! What one user, or one group of users, may have under way at once: the rest of theirs waits its turn,
//! and takes no room from others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use goma_common::shards::Source;
use goma_common::{Code, Error, Result};

use crate::fair::{Fair, Held};

/// The shares of one gateway; a clone is the same.
#[derive(Clone)]
pub(crate) struct Shares {
    wait: Duration,
    /// Those that somebody has something in.
    shares: Arc<Mutex<HashMap<Share, InUse>>>,
}

/// A share, and how many hold or wait for a part of it.
struct InUse {
    room: Fair,
    by: usize,
}

/// Whose, and how much of what at once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Share {
    pub(crate) of: String,
    pub(crate) what: What,
    pub(crate) most: usize,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum What {
    /// Requests, from their head to their answer.
    Requests,
    /// Bytes of their bodies, as sent.
    Bytes,
    /// Compiles that no cache has answered.
    Compiles,
}

/// A place in some shares, for as long as this is kept.
pub(crate) struct Entered {
    held: Vec<(Held, User)>,
}

/// Somebody who has to do with a share; the last one takes it away.
struct User {
    shares: Shares,
    share: Share,
}

impl Shares {
    /// Where a request waits for its turn no longer than this.
    pub(crate) fn new(wait: Duration) -> Self {
        Self { wait, shares: Arc::default() }
    }

    /// Waits for so much of each of these, in this order; of those who wait for one, users take turns.
    ///
    /// # Errors
    /// `ResourceExhausted` naming the share that had no room for long enough.
    pub(crate) async fn enter(
        &self,
        shares: impl IntoIterator<Item = (Share, usize)>,
        who: Source,
    ) -> Result<Entered> {
        let mut entered = Entered { held: Vec::new() };
        for (share, amount) in shares {
            let (room, user) = self.of(share);
            match tokio::time::timeout(self.wait, room.take(who, amount)).await {
                Ok(held) => entered.held.push((held, user)),
                Err(_) => {
                    let Share { of, what, most } = &user.share;
                    let what = what.told();
                    return Err(Error::new(
                        Code::ResourceExhausted,
                        format!(
                            "{of} has {most} {what} under way, which is all that may be, for {} s",
                            self.wait.as_secs()
                        ),
                    ));
                }
            }
        }
        Ok(entered)
    }

    fn of(&self, share: Share) -> (Fair, User) {
        let mut shares = self.shares();
        let made = || InUse { room: Fair::new(share.most), by: 0 };
        let in_use = shares.entry(share.clone()).or_insert_with(made);
        in_use.by += 1;
        (in_use.room.clone(), User { shares: self.clone(), share })
    }

    fn shares(&self) -> MutexGuard<'_, HashMap<Share, InUse>> {
        // Each critical section is one map operation or two.
        self.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl What {
    fn told(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Bytes => "bytes",
            Self::Compiles => "compiles",
        }
    }
}

impl Drop for User {
    fn drop(&mut self) {
        let mut shares = self.shares.shares();
        let Some(in_use) = shares.get_mut(&self.share) else { return };
        in_use.by -= 1;
        if in_use.by == 0 {
            shares.remove(&self.share);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: Source = Source(1);
    const BOB: Source = Source(2);

    fn share(of: &str, most: usize) -> (Share, usize) {
        (Share { of: of.to_owned(), what: What::Requests, most }, 1)
    }

    #[tokio::test(start_paused = true)]
    async fn one_users_requests_wait_for_each_other_and_for_nobody_elses() {
        let shares = Shares::new(Duration::from_secs(30));
        let ann = vec![share("ann", 2), share("developers", 3)];
        let first = shares.enter(ann.clone(), ANN).await.expect("room");
        let _second = shares.enter(ann.clone(), ANN).await.expect("room");
        let error = shares.enter(ann.clone(), ANN).await.err().expect("no room");
        assert_eq!(error.code, Code::ResourceExhausted);
        assert!(error.message.contains("ann has 2 requests"), "{error}");
        let bob = vec![share("bob", 2), share("developers", 3)];
        let _third = shares.enter(bob.clone(), BOB).await.expect("at once");
        let error = shares.enter(bob, BOB).await.err().expect("the group has no room");
        assert!(error.message.contains("developers has 3 requests"), "{error}");
        let (waited, ()) = tokio::join!(shares.enter(ann, ANN), async {
            tokio::time::sleep(Duration::from_secs(20)).await;
            drop(first);
        });
        waited.expect("its turn came");
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_kept_of_users_who_have_gone() {
        let shares = Shares::new(Duration::from_secs(1));
        for user in 0..100 {
            drop(shares.enter(vec![share(&format!("user {user}"), 1)], ANN).await.expect("room"));
        }
        let held = shares.enter(vec![share("ann", 1)], ANN).await.expect("room");
        assert!(shares.enter(vec![share("ann", 1)], ANN).await.is_err());
        assert_eq!(shares.shares().len(), 1, "the one that is held");
        drop(held);
        assert!(shares.shares().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_are_counted_as_requests_are() {
        let shares = Shares::new(Duration::from_secs(30));
        let bytes = |amount| [(Share { of: "a".to_owned(), what: What::Bytes, most: 100 }, amount)];
        let held = shares.enter(bytes(60), ANN).await.expect("room");
        let error = shares.enter(bytes(50), ANN).await.err().expect("no room");
        assert!(error.message.contains("a has 100 bytes under way"), "{error}");
        drop(held);
        drop(shares.enter(bytes(5000), ANN).await.expect("more than all is all"));
    }
}
