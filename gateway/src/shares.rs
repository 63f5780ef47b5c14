//! What one user, or one group of users, may have under way at once: the rest of theirs waits its turn,
//! and takes no room from others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use goma_common::{Code, Error, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The shares of one gateway; a clone is the same.
#[derive(Clone)]
pub(crate) struct Shares {
    wait: Duration,
    /// Those that somebody has requests in, by whose they are and how large.
    shares: Arc<Mutex<HashMap<Share, Arc<Semaphore>>>>,
}

/// Whose, and how many requests at once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Share {
    pub(crate) of: String,
    pub(crate) requests: usize,
}

/// A request's place in its shares, while it is served.
pub(crate) struct Entered {
    shares: Shares,
    held: Vec<(Share, OwnedSemaphorePermit)>,
}

impl Shares {
    /// Where a request waits for its turn no longer than this.
    pub(crate) fn new(wait: Duration) -> Self {
        Self { wait, shares: Arc::default() }
    }

    /// Waits for a place in each of these, in this order.
    ///
    /// # Errors
    /// `ResourceExhausted` naming the share that had no room for long enough.
    pub(crate) async fn enter(&self, shares: Vec<Share>) -> Result<Entered> {
        let mut entered = Entered { shares: self.clone(), held: Vec::with_capacity(shares.len()) };
        for share in shares {
            let semaphore = self.semaphore(&share);
            let waited = tokio::time::timeout(self.wait, semaphore.acquire_owned()).await;
            match waited {
                Ok(Ok(permit)) => entered.held.push((share, permit)),
                _ => {
                    self.forget(&share);
                    return Err(Error::new(
                        Code::ResourceExhausted,
                        format!(
                            "{} has {} requests under way, which is all that may be, for {} s",
                            share.of,
                            share.requests,
                            self.wait.as_secs()
                        ),
                    ));
                }
            }
        }
        Ok(entered)
    }

    fn semaphore(&self, share: &Share) -> Arc<Semaphore> {
        let mut shares = self.shares();
        let made = || Arc::new(Semaphore::new(share.requests.max(1)));
        shares.entry(share.clone()).or_insert_with(made).clone()
    }

    /// Of a share that nobody has a request in, or waits for, nothing is kept.
    fn forget(&self, share: &Share) {
        let mut shares = self.shares();
        // A permit under way, and whoever waits, holds the semaphore too.
        if shares.get(share).is_some_and(|semaphore| Arc::strong_count(semaphore) == 1) {
            shares.remove(share);
        }
    }

    fn shares(&self) -> MutexGuard<'_, HashMap<Share, Arc<Semaphore>>> {
        // Each critical section is one map operation or two.
        self.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        for (share, permit) in self.held.drain(..) {
            drop(permit);
            self.shares.forget(&share);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(of: &str, requests: usize) -> Share {
        Share { of: of.to_owned(), requests }
    }

    #[tokio::test(start_paused = true)]
    async fn one_users_requests_wait_for_each_other_and_for_nobody_elses() {
        let shares = Shares::new(Duration::from_secs(30));
        let ann = vec![share("ann", 2), share("developers", 3)];
        let first = shares.enter(ann.clone()).await.expect("room");
        let _second = shares.enter(ann.clone()).await.expect("room");
        let error = shares.enter(ann.clone()).await.err().expect("no room");
        assert_eq!(error.code, Code::ResourceExhausted);
        assert!(error.message.contains("ann has 2 requests"), "{error}");
        let bob = vec![share("bob", 2), share("developers", 3)];
        let _third = shares.enter(bob.clone()).await.expect("at once");
        let error = shares.enter(bob).await.err().expect("the group has no room");
        assert!(error.message.contains("developers has 3 requests"), "{error}");
        let (waited, ()) = tokio::join!(shares.enter(ann), async {
            tokio::time::sleep(Duration::from_secs(20)).await;
            drop(first);
        });
        waited.expect("its turn came");
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_kept_of_users_who_have_gone() {
        let shares = Shares::new(Duration::from_secs(1));
        for user in 0..100 {
            drop(shares.enter(vec![share(&format!("user {user}"), 1)]).await.expect("room"));
        }
        let held = shares.enter(vec![share("ann", 1)]).await.expect("room");
        assert!(shares.enter(vec![share("ann", 1)]).await.is_err());
        assert_eq!(shares.shares().len(), 1, "the one that is held");
        drop(held);
        assert!(shares.shares().is_empty());
    }
}
