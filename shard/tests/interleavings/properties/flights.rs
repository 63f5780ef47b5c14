//! Single flight: one run at a time for a key, and all who joined it hear how it ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use goma_common::Result;
use shuttle::future::{block_on, spawn};

use crate::single_flight::SingleFlight;
use crate::sync::others_run;

/// Some stop waiting in the middle.
pub(crate) fn one_runs_at_a_time_and_all_hear() {
    block_on(async {
        let flights = Arc::new(SingleFlight::<u8, usize>::default());
        let (running, runs) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let mut tasks = Vec::new();
        for caller in 0..4 {
            let (flights, running, runs) = (flights.clone(), running.clone(), runs.clone());
            tasks.push(spawn(async move {
                let began = runs.load(Ordering::SeqCst);
                let counted = runs.clone();
                let work = move || async move {
                    assert_eq!(running.fetch_add(1, Ordering::SeqCst), 0, "two at a time");
                    others_run().await;
                    let run = counted.fetch_add(1, Ordering::SeqCst);
                    others_run().await;
                    running.fetch_sub(1, Ordering::SeqCst);
                    Result::Ok(run)
                };
                let (flight, joined) = flights.join(1, work);
                if caller == 0 {
                    others_run().await;
                    return;
                }
                let run = flight.await.expect("it ran");
                assert!(joined || run >= began, "an end of before it began");
            }));
        }
        for task in tasks {
            task.await.expect("it ends");
        }
        let before = runs.load(Ordering::SeqCst);
        let (flight, _) = flights.join(1, || async { Ok(usize::MAX) });
        let last = flight.await.expect("it ran");
        assert!(last == usize::MAX || last <= before, "{last}");
        let (flight, joined) = flights.join(1, || async { Ok(usize::MAX) });
        assert!(!joined && flight.await.is_ok(), "the last one is still there");
    });
}
