//! Uploads: each blob once, all who want it hear, and no loss is left as it is.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use goma_common::shards::{Blob, Source, Trust};
use goma_common::{Deadline, Digest, Tenant};
use shuttle::future::{block_on, spawn};
use shuttle::rand::{Rng, thread_rng};

use crate::contents::Contents;
use crate::facts::Facts;
use crate::model::{Slow, TENANT, Truth};
use crate::presence::Presence;
use crate::sync::{FOR_EVER, others_run};
use crate::upload::Uploads;

const BLOB: &[u8] = b"blob";

fn uploads(truth: &Truth) -> Arc<Uploads> {
    over(truth, &presence(&Slow::new(truth)))
}

fn presence(facts: &Arc<Slow>) -> Arc<Presence> {
    Arc::new(Presence::new(100, Duration::from_secs(3600), facts.clone()))
}

fn over(truth: &Truth, presence: &Arc<Presence>) -> Arc<Uploads> {
    Arc::new(Uploads::new(truth.backend(), presence.clone(), Arc::new(Contents), 1 << 20))
}

async fn ensure(uploads: &Uploads, contents: Option<&'static [u8]>, trust: Trust) -> bool {
    ensure_for(Tenant::default(), uploads, contents, trust).await
}

async fn ensure_for(
    tenant: Tenant,
    uploads: &Uploads,
    contents: Option<&'static [u8]>,
    trust: Trust,
) -> bool {
    let contents = contents.map(Bytes::from_static);
    let blob = Blob { digest: Digest::of(BLOB), contents };
    let deadline = Deadline::after(FOR_EVER);
    let missing = uploads.ensure(vec![blob], trust, Source(1), tenant, deadline).await;
    missing.expect("answered").is_empty()
}

/// However many bring it, and however many ask for it without having it.
pub(crate) fn a_blob_is_uploaded_once_and_all_hear() {
    block_on(async {
        let truth = Truth::default();
        let uploads = uploads(&truth);
        let mut tasks = Vec::new();
        for contents in [Some(BLOB), Some(BLOB), None] {
            let uploads = uploads.clone();
            tasks.push(spawn(async move {
                let present = ensure(&uploads, contents, Trust::Presence).await;
                assert!(
                    present || contents.is_none(),
                    "whoever has it is never told that it lacks"
                );
            }));
        }
        for task in tasks {
            task.await.expect("it ends");
        }
        assert_eq!(truth.state().uploads[&Digest::of(BLOB)], 1);
        let questions = truth.state().questions;
        assert!(ensure(&uploads, None, Trust::Presence).await);
        assert_eq!(truth.state().questions, questions, "it is known to be there");
    });
}

/// Whoever has seen it gone brings it back, whatever others believe or have asked before.
pub(crate) fn recovery_is_never_swallowed() {
    block_on(async {
        let truth = Truth::default();
        let uploads = uploads(&truth);
        assert!(ensure(&uploads, Some(BLOB), Trust::Presence).await);
        let mut tasks = Vec::new();
        for trust in [Trust::Presence, Trust::Nothing] {
            let uploads = uploads.clone();
            tasks.push(spawn(async move { ensure(&uploads, None, trust).await }));
        }
        others_run().await;
        truth.lose(Digest::of(BLOB));
        assert!(ensure(&uploads, Some(BLOB), Trust::Nothing).await);
        assert!(truth.holds(Digest::of(BLOB)), "it is still lost");
        for task in tasks {
            task.await.expect("it ends");
        }
    });
}

/// A tenant that has learnt of a loss does not unlearn it by an answer that it shares with somebody who asked
/// before.
pub(crate) fn a_tenants_drop_is_not_undone_by_what_others_asked() {
    block_on(async {
        let (truth, blob) = (Truth::default(), Digest::of(BLOB));
        truth.state().held.insert(blob);
        let facts = Slow::new(&truth);
        let presence = presence(&facts);
        let uploads = over(&truth, &presence);
        let others = uploads.clone();
        let others = spawn(async move { ensure(&others, None, Trust::Presence).await });
        // So that they may have been answered already, and not have heard of it yet.
        for _ in 0..thread_rng().gen_range(0..10) {
            others_run().await;
        }
        truth.lose(blob);
        presence.forget(TENANT, &[blob]).await;
        ensure_for(TENANT, &uploads, None, Trust::Presence).await;
        others.await.expect("it ends");
        assert_eq!(
            facts.inner.present(&[TENANT.digest(blob)]).await,
            [None],
            "the store believes in it"
        );
        assert_eq!(presence.check(TENANT, &[blob]).await, [false], "memory believes in it");
    });
}
