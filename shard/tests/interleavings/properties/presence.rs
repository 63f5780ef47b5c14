//! Presence: never written before the CAS said so, and never back after it was dropped.

use std::sync::Arc;
use std::time::Duration;

use goma_common::reapi::Cas;
use goma_common::{Deadline, Digest, Tenant};
use shuttle::future::{block_on, spawn};

use crate::facts::Facts;
use crate::model::{Slow, Truth};
use crate::presence::Presence;
use crate::sync::{FOR_EVER, others_run};

const ALL: Tenant = Tenant(0);

struct Case {
    truth: Truth,
    facts: Arc<Slow>,
    presence: Arc<Presence>,
}

impl Case {
    /// A blob that is there, and believed to be.
    async fn believing(blob: Digest) -> Self {
        let truth = Truth::default();
        truth.state().held.insert(blob);
        let facts = Slow::new(&truth);
        let life = Duration::from_secs(3600);
        let presence = Arc::new(Presence::new(100, life, facts.clone()));
        let case = Self { truth, facts, presence };
        case.ask(blob).await;
        case
    }

    /// As whoever uploads does it: asks the CAS, and tells presence what it said.
    async fn ask(&self, blob: Digest) {
        let asked = self.presence.asked();
        let missing = self.truth.find_missing(&[blob], Deadline::after(FOR_EVER)).await;
        match missing.expect("answered").is_empty() {
            true => self.presence.confirm(ALL, &[blob], asked).await,
            false => self.presence.forget(ALL, &[blob]).await,
        }
    }
}

/// Some ask the CAS, some ask presence, and one finds out that the blob is gone.
pub(crate) fn no_drop_is_undone_by_an_older_answer() {
    block_on(async {
        let blob = Digest::of(b"blob");
        let case = Arc::new(Case::believing(blob).await);
        let mut tasks = Vec::new();
        for _ in 0..2 {
            let asking = case.clone();
            tasks.push(spawn(async move { asking.ask(blob).await }));
        }
        let checking = case.clone();
        tasks.push(spawn(async move { drop(checking.presence.check(ALL, &[blob]).await) }));
        others_run().await;
        case.truth.lose(blob);
        // Seen by a worker that could not read it.
        case.presence.forget(ALL, &[blob]).await;
        for task in tasks {
            task.await.expect("it ends");
        }
        assert_eq!(case.facts.inner.present(&[blob]).await, [None], "the store believes in it");
        assert_eq!(case.presence.check(ALL, &[blob]).await, [false], "memory believes in it");
    });
}

/// What was asked before the epoch ended is not believed in the next.
pub(crate) fn nothing_of_the_last_epoch_is_believed_in_the_next() {
    block_on(async {
        let blob = Digest::of(b"blob");
        let case = Arc::new(Case::believing(blob).await);
        let asked = case.presence.asked();
        let confirming = case.clone();
        let confirming =
            spawn(async move { confirming.presence.confirm(ALL, &[blob], asked).await });
        let checking = case.clone();
        let checking = spawn(async move { drop(checking.presence.check(ALL, &[blob]).await) });
        others_run().await;
        case.presence.bump_epoch().await.expect("bumps");
        confirming.await.expect("it ends");
        checking.await.expect("it ends");
        assert_eq!(case.facts.inner.present(&[blob]).await, [None], "the store believes in it");
        assert_eq!(case.presence.check(ALL, &[blob]).await, [false], "memory believes in it");
    });
}
