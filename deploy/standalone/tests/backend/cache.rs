//! The action cache: what is remembered, what is told, and what is not.

use goma_common::Digest;
use goma_proto::reapi::{self, GetActionResultRequest};
use tonic::Code;

use crate::action::{Action, execute, result};
use crate::farm::Farm;

/// Its output differs each time it really runs.
fn counting() -> Action {
    Action::shell("head -c 12 /dev/urandom | od -x > out").output("out")
}

#[tokio::test]
async fn a_success_is_cached_and_skipped_at_will() {
    let farm = Farm::start().await;
    let action = counting().upload(&farm).await;
    assert_eq!(farm.cached(action).await.expect_err("nothing yet").code(), Code::NotFound);
    let first = execute(&farm, action, false).await;
    assert!(!first.cached_result);
    assert_eq!(&farm.cached(action).await.expect("cached"), result(&first));
    let second = execute(&farm, action, false).await;
    assert!(second.cached_result);
    assert_eq!(result(&second), result(&first));
    let third = execute(&farm, action, true).await;
    assert!(!third.cached_result);
    assert_ne!(result(&third).output_files, result(&first).output_files);
    let cached = farm.cached(action).await.expect("cached");
    assert_eq!(cached.output_files, result(&third).output_files, "the newer one counts");
}

#[tokio::test]
async fn failures_and_what_forbids_it_are_not_cached() {
    let farm = Farm::start().await;
    let failing = Action::shell("exit 1").upload(&farm).await;
    let forbidden = counting().do_not_cache().upload(&farm).await;
    let late = Action::shell("sleep 100").timeout_ms(100).upload(&farm).await;
    for action in [failing, forbidden, late] {
        execute(&farm, action, false).await;
        assert_eq!(farm.cached(action).await.expect_err("not cached").code(), Code::NotFound);
    }
}

#[tokio::test]
async fn a_result_whose_output_was_evicted_is_not_told() {
    let farm = Farm::with(|config| config.max_bytes = 4 << 20).await;
    let script = "mkdir d; head -c 1000000 /dev/urandom > d/f; echo hello > plain";
    let action = Action::shell(script).output("d").output("plain").upload(&farm).await;
    execute(&farm, action, false).await;
    farm.cached(action).await.expect("cached");
    // The result and its blobs are used each time they are told; the million is in a tree.
    for seed in 0..3 {
        farm.put(&vec![seed; 1_000_000]).await;
        farm.cached(action).await.expect("touched and so kept");
    }
    for seed in 3..7 {
        farm.put(&vec![seed; 1_000_000]).await;
    }
    assert_eq!(farm.cached(action).await.expect_err("incomplete").code(), Code::NotFound);
    assert!(!execute_fresh(&farm, action).await, "so it runs again");
}

async fn execute_fresh(farm: &Farm, action: Digest) -> bool {
    execute(farm, action, false).await.cached_result
}

#[tokio::test]
async fn small_outputs_come_inline_when_asked_for() {
    let farm = Farm::start().await;
    let script = "echo small > a; echo other > b; head -c 4000000 /dev/zero > c; \
                  head -c 100000 /dev/zero";
    let action = Action::shell(script).output("a").output("b").output("c").upload(&farm).await;
    execute(&farm, action, false).await;
    let request = GetActionResultRequest {
        action_digest: Some(action.into()),
        inline_stdout: true,
        inline_output_files: vec!["a".to_owned(), "c".to_owned()],
        ..Default::default()
    };
    let result = farm.results().get_action_result(request).await.expect("cached").into_inner();
    let lengths: Vec<_> = result.output_files.iter().map(|file| file.contents.len()).collect();
    assert_eq!(lengths, [6, 0, 0], "a was asked for and fits");
    assert_eq!(result.stdout_raw.len(), 100_000);
}

#[tokio::test]
async fn clients_cannot_write_results() {
    let farm = Farm::start().await;
    let request = reapi::UpdateActionResultRequest {
        action_digest: Some(Digest::of(b"action").into()),
        action_result: Some(reapi::ActionResult::default()),
        ..Default::default()
    };
    let refused = farm.results().update_action_result(request).await.expect_err("refused");
    assert_eq!(refused.code(), Code::PermissionDenied);
}
