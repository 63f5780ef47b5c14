//! Questions whose answers are late, asked a second time where that is wanted.

use std::time::Duration;

use goma_common::reapi::{Address, Backend, RemoteConfig, connect};
use goma_common::testing::{Fault, Server, deadline};
use goma_common::{Code, Digest};
use goma_proto::reapi::ActionResult;
use tokio::time::Instant;
use tonic::Status;

const LATE: Duration = Duration::from_secs(2);
const HEDGE: Duration = Duration::from_millis(50);

async fn started(hedge: Option<Duration>) -> (Server, Backend) {
    let server = Server::start().await;
    let plain = RemoteConfig::plain(Address::Network(vec![server.address()]), "main");
    let backend = connect(&RemoteConfig { hedge, ..plain }).expect("an address");
    // So that the limits are known, and no call is the first.
    ask(&backend).await;
    (server, backend)
}

async fn ask(backend: &Backend) -> Duration {
    let began = Instant::now();
    backend.cas.find_missing(&[Digest::of(b"x")], deadline()).await.expect("answered");
    began.elapsed()
}

#[tokio::test]
async fn a_late_answer_is_waited_for_where_nothing_else_is_wanted() {
    let (server, backend) = started(None).await;
    server.faults.next("FindMissingBlobs", Fault::IsLate(LATE));
    assert!(ask(&backend).await >= LATE);
    assert_eq!(server.faults.calls("FindMissingBlobs"), 2);
}

#[tokio::test]
async fn each_kind_of_question_is_asked_again_and_the_first_answer_taken() {
    let (server, backend) = started(Some(HEDGE)).await;
    let small = server.backend.put(vec![1; 1000]);
    let large = server.backend.put(vec![2; 300 << 10]);
    let action = Digest::of(b"action");
    server.backend.put_result(action, ActionResult { exit_code: 3, ..Default::default() });
    for method in ["FindMissingBlobs", "GetActionResult", "BatchReadBlobs"] {
        server.faults.next(method, Fault::IsLate(LATE));
        let began = Instant::now();
        match method {
            "FindMissingBlobs" => drop(ask(&backend).await),
            "GetActionResult" => {
                let found = backend.action_cache.get(action, &[], deadline()).await;
                assert_eq!(found.expect("answered").expect("a hit").exit_code, 3);
            }
            _ => {
                let read = backend.cas.download_batch(&[small], deadline()).await;
                assert_eq!(read.expect("answered")[0].as_ref().expect("read").len(), 1000);
            }
        }
        let took = began.elapsed();
        assert!(took >= HEDGE && took < LATE / 2, "{method}: {took:?}");
    }
    let before = server.faults.calls("BatchReadBlobs");
    server.faults.next("BatchReadBlobs", Fault::IsLate(2 * HEDGE));
    backend.cas.download_batch(&[large], deadline()).await.expect("answered");
    assert_eq!(server.faults.calls("BatchReadBlobs"), before + 1, "no large read twice");
}

#[tokio::test]
async fn the_failure_of_one_is_not_taken_while_the_other_may_answer() {
    let (server, backend) = started(Some(HEDGE)).await;
    server.faults.next("FindMissingBlobs", Fault::IsLate(4 * HEDGE));
    server.faults.next("FindMissingBlobs", Fault::Fails(Status::internal("out of luck")));
    assert!(ask(&backend).await >= 4 * HEDGE);
    assert_eq!(server.faults.calls("FindMissingBlobs"), 3, "the first try's answer was taken");
}

#[tokio::test]
async fn where_all_answers_are_late_a_tenth_is_asked_again_at_most() {
    const CALLS: usize = 500;
    let (server, backend) = started(Some(Duration::from_millis(1))).await;
    let before = server.faults.calls("FindMissingBlobs");
    server.faults.always("FindMissingBlobs", Fault::IsLate(Duration::from_millis(30)));
    let calls = (0..CALLS).map(|_| ask(&backend));
    futures::future::join_all(calls).await;
    let asked = server.faults.calls("FindMissingBlobs") - before;
    assert!(asked > CALLS && asked <= CALLS * 11 / 10, "{asked} for {CALLS}");
}

#[tokio::test]
async fn what_both_refuse_is_refused() {
    let (server, backend) = started(Some(HEDGE)).await;
    server.faults.always("FindMissingBlobs", Fault::Fails(Status::permission_denied("not you")));
    let asked = backend.cas.find_missing(&[Digest::of(b"x")], deadline()).await;
    assert_eq!(asked.expect_err("refused").code, Code::PermissionDenied);
}
