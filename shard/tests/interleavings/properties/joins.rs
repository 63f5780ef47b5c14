//! Joins: one runs an action at a time, those who wait hear of its end, and one that gives up hands it on.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use goma_common::reapi::Executed;
use goma_common::turn::Turn;
use goma_common::{Code, Deadline, Digest, Error};
use goma_proto::reapi::ActionResult;
use shuttle::future::{block_on, spawn};
use shuttle::rand::{Rng, thread_rng};

use crate::joins::Joins;
use crate::sync::{FOR_EVER, others_run};

/// Runs of an action: how many are under way on a lease that others wait for, and how many have ended.
#[derive(Default)]
struct Runs {
    under_way: AtomicUsize,
    ended: AtomicUsize,
}

fn key() -> (Digest, bool) {
    (Digest::of(b"action"), false)
}

fn executed() -> Executed {
    Executed { result: ActionResult::default(), cached: false }
}

/// Whether it heard of somebody else's run.
async fn caller(joins: Joins, runs: Arc<Runs>, patience: Duration, gives_up: bool) -> bool {
    let lease = match joins.join(key(), Deadline::after(patience)).await {
        Turn::Ran(outcome) => {
            outcome.expect("only what others may hear is told");
            assert!(runs.ended.load(Ordering::SeqCst) > 0, "of a run that has not ended");
            return true;
        }
        Turn::Run(lease) => lease,
    };
    let known = lease.is_known();
    assert!(known || patience < FOR_EVER, "it was to wait for ever");
    if known {
        assert_eq!(runs.under_way.fetch_add(1, Ordering::SeqCst), 0, "two run it");
    }
    others_run().await;
    if known {
        runs.under_way.fetch_sub(1, Ordering::SeqCst);
    }
    match (gives_up, thread_rng().gen_bool(0.5)) {
        (true, true) => drop(lease),
        (true, false) => lease.end(&Err(Error::new(Code::DeadlineExceeded, "late"))),
        (false, _) => {
            runs.ended.fetch_add(1, Ordering::SeqCst);
            lease.end(&Ok(executed()));
        }
    }
    false
}

/// Whatever those do who run it, and whenever those give up who wait.
pub(crate) fn one_runs_it_and_nobody_waits_for_nothing() {
    block_on(async {
        let (joins, runs) = (Joins::default(), Arc::new(Runs::default()));
        let short = Duration::from_secs(1);
        let callers = [(FOR_EVER, true), (FOR_EVER, true), (short, false), (FOR_EVER, false)];
        let tasks: Vec<_> = callers
            .into_iter()
            .map(|(patience, gives_up)| {
                spawn(caller(joins.clone(), runs.clone(), patience, gives_up))
            })
            .collect();
        for task in tasks {
            task.await.expect("it ends");
        }
        // Nothing is left behind: the next one may hear of the last run, and the one after it is not made to
        // wait.
        for last in [false, true] {
            match joins.join(key(), Deadline::after(FOR_EVER)).await {
                Turn::Run(lease) => assert!(lease.is_known()),
                Turn::Ran(_) => assert!(!last, "of a run that is long over"),
            }
        }
    });
}
