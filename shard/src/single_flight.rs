//! Equal work under way is done once: whoever asks for the same key waits for the same answer.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use goma_common::{Code, Error, Result};

use crate::sync::{Mutex, PoisonError, spawn};

type Flight<V> = Shared<BoxFuture<'static, Result<V>>>;

/// Flights by key. The work runs as a task of its own: nobody who stops waiting stops the others.
pub(crate) struct SingleFlight<K, V> {
    flights: Arc<Mutex<HashMap<K, Flight<V>>>>,
}

impl<K, V> Default for SingleFlight<K, V> {
    fn default() -> Self {
        Self { flights: Arc::default() }
    }
}

impl<K, V> SingleFlight<K, V>
where
    K: Eq + Hash + Clone + Send + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Joins the flight of `key`, or starts one with `work`. `true` if it was joined.
    pub(crate) fn join<F>(&self, key: K, work: impl FnOnce() -> F) -> (Flight<V>, bool)
    where
        F: Future<Output = Result<V>> + Send + 'static,
    {
        let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = flights.get(&key) {
            return (flight.clone(), true);
        }
        let landed = Landing { flights: self.flights.clone(), key: key.clone() };
        let work = work();
        let task = spawn(async move {
            // Leaves the map before the answer is out, also if the work panics.
            let _landed = landed;
            work.await
        });
        let flight = task
            .map(|joined| {
                joined.unwrap_or_else(|error| {
                    Err(Error::new(Code::Internal, format!("work ended early: {error}")))
                })
            })
            .boxed()
            .shared();
        flights.insert(key, flight.clone());
        (flight, false)
    }
}

/// Takes a flight out of the map when it ends.
struct Landing<K: Eq + Hash, V> {
    flights: Arc<Mutex<HashMap<K, Flight<V>>>>,
    key: K,
}

impl<K: Eq + Hash, V> Drop for Landing<K, V> {
    fn drop(&mut self) {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn equal_work_is_done_once_and_again_when_it_is_over() {
        let flights = SingleFlight::<u8, u32>::default();
        let runs = Arc::new(AtomicU32::new(0));
        let work = || {
            let runs = runs.clone();
            async move {
                tokio::task::yield_now().await;
                Ok(runs.fetch_add(1, Ordering::SeqCst))
            }
        };
        let (a, _) = flights.join(1, work);
        let (b, joined) = flights.join(1, work);
        assert!(joined);
        assert_eq!((a.await.expect("works"), b.await.expect("works")), (0, 0));
        let (again, joined) = flights.join(1, work);
        assert!(!joined);
        assert_eq!(again.await.expect("works"), 1);
    }

    #[tokio::test]
    async fn a_panic_is_an_error_for_all_and_does_not_stay() {
        let flights = SingleFlight::<u8, ()>::default();
        let (flight, _) = flights.join(1, || async { panic!("on purpose") });
        assert!(flight.await.is_err());
        let (again, joined) = flights.join(1, || async { Ok(()) });
        assert!(!joined);
        assert!(again.await.is_ok());
    }
}
