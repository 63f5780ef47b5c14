//! Executions through everything that backends and what stands before them do to their streams.

use std::sync::Arc;
use std::time::Duration;

use goma_common::reapi::{Address, Backend, Execution, RemoteConfig, connect};
use goma_common::testing::{Executions, Fault, Server, Step, deadline};
use goma_common::{Code, Digest, Error, Result};
use goma_proto::protobuf::Any;
use goma_proto::reapi::ActionResult;
use goma_proto::rpc;
use tonic::Status;

struct Farm {
    server: Server,
    backend: Backend,
    action: Digest,
}

impl Farm {
    async fn start() -> Self {
        let server = Server::start().await;
        let address = Address::Network(vec![server.address()]);
        let backend = connect(&RemoteConfig::plain(address, "main")).expect("an address");
        let action = Digest::of(b"action");
        let result = ActionResult { exit_code: 3, ..Default::default() };
        server.backend.put_result(action, result);
        Self { server, backend, action }
    }

    fn execution(&self) -> Execution {
        Execution::new(self.action, false)
    }

    async fn run(&self) -> Result<i32> {
        let executed = self.backend.executor.execute(&self.execution(), deadline()).await?;
        Ok(executed.result.exit_code)
    }

    async fn ended(&self, status: rpc::Status) -> Error {
        self.server.executions.next([Executions::failed(status)]);
        self.run().await.expect_err("it failed")
    }
}

fn breaks() -> Step {
    Step::Breaks(Status::unavailable("the balancer has had enough"))
}

fn result(exit_code: i32) -> Step {
    let result = Some(ActionResult { exit_code, ..Default::default() });
    Step::Done(Box::new(goma_proto::reapi::ExecuteResponse { result, ..Default::default() }))
}

#[tokio::test]
async fn a_broken_stream_is_followed_by_waiting_for_the_operation() {
    let farm = Farm::start().await;
    farm.server.executions.next([Step::UnderWay, breaks()]);
    farm.server.executions.next([Step::UnderWay, result(7)]);
    assert_eq!(farm.run().await.expect("it ended"), 7);
    let name = format!("operations/{}", farm.action);
    assert_eq!(farm.server.executions.waited_for(), [name]);
    assert_eq!(farm.server.faults.calls("Execute"), 1);
}

#[tokio::test]
async fn a_stream_that_ends_early_is_a_broken_one() {
    let farm = Farm::start().await;
    farm.server.executions.next([Step::UnderWay]);
    farm.server.executions.next([result(7)]);
    assert_eq!(farm.run().await.expect("it ended"), 7);
}

#[tokio::test]
async fn an_operation_that_is_not_found_is_executed_again() {
    let farm = Farm::start().await;
    farm.server.executions.next([Step::UnderWay, breaks()]);
    farm.server.executions.next([Step::Breaks(Status::not_found("we restarted"))]);
    assert_eq!(farm.run().await.expect("it ended"), 3);
    assert_eq!(farm.server.faults.calls("Execute"), 2);
}

#[tokio::test]
async fn a_backend_that_cannot_wait_is_asked_to_execute_again() {
    let farm = Farm::start().await;
    farm.server.executions.next([Step::UnderWay, breaks()]);
    farm.server.executions.next([Step::Breaks(Status::unimplemented("no WaitExecution"))]);
    assert_eq!(farm.run().await.expect("it ended"), 3);
}

#[tokio::test]
async fn a_stream_that_is_quiet_for_too_long_is_opened_again() {
    let farm = Farm::start().await;
    farm.server.executions.next([Step::UnderWay, Step::Silence]);
    farm.server.executions.next([result(7)]);
    let executor = Arc::clone(&farm.backend.executor);
    let execution = farm.execution();
    let deadline = goma_common::Deadline::after(Duration::from_secs(600));
    let run = tokio::spawn(async move { executor.execute(&execution, deadline).await });
    while farm.server.faults.calls("Execute") == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // Until the word that it is under way has come.
    tokio::time::sleep(Duration::from_millis(300)).await;
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(61)).await;
    tokio::time::resume();
    let executed = run.await.expect("ends").expect("it ended");
    assert_eq!(executed.result.exit_code, 7);
    assert_eq!(farm.server.executions.waited_for().len(), 1);
}

#[tokio::test]
async fn lost_inputs_are_understood_however_they_are_told() {
    let farm = Farm::start().await;
    let lost = Digest::of(b"lost");
    // With details, as the protocol has it.
    let violation = [b"\x0a\x07MISSING\x12".as_slice(), &subject(&lost)].concat();
    let failure =
        [b"\x0a".as_slice(), &[u8::try_from(violation.len()).expect("short")], &violation];
    let type_url = "type.googleapis.com/google.rpc.PreconditionFailure".to_owned();
    let details = vec![Any { type_url, value: failure.concat() }];
    let code = i32::from(tonic::Code::FailedPrecondition);
    let named = farm.ended(rpc::Status { code, details, ..Default::default() }).await;
    assert_eq!((named.code, named.missing), (Code::MissingBlobs, vec![lost]));
    // Without.
    let bare = farm.ended(rpc::Status { code, ..Default::default() }).await;
    assert_eq!((bare.code, bare.missing), (Code::MissingBlobs, vec![]));
    // As a missing Action is told by some.
    let code = i32::from(tonic::Code::NotFound);
    let not_found = farm.ended(rpc::Status { code, ..Default::default() }).await;
    assert_eq!(not_found.code, Code::MissingBlobs);
    // As an error of the backend's own, in its words.
    let code = i32::from(tonic::Code::Internal);
    let message = "cannot stage".to_owned();
    let internal = farm.ended(rpc::Status { code, message, ..Default::default() }).await;
    assert_eq!(internal.code, Code::Internal);
    assert!(internal.message.contains("cannot stage"), "{internal}");
}

fn subject(digest: &Digest) -> Vec<u8> {
    let subject = format!("blobs/{digest}");
    [&[u8::try_from(subject.len()).expect("short")], subject.as_bytes()].concat()
}

#[tokio::test]
async fn an_action_that_a_scheduler_gave_up_as_it_shut_down_is_executed_again() {
    let farm = Farm::start().await;
    for code in [tonic::Code::Cancelled, tonic::Code::Unavailable] {
        let status = rpc::Status { code: code.into(), ..Default::default() };
        farm.server.executions.next([Step::UnderWay, Executions::failed(status)]);
        assert_eq!(farm.run().await.expect("it ended"), 3);
    }
    assert_eq!(farm.server.faults.calls("Execute"), 4);
    assert_eq!(farm.server.executions.waited_for().len(), 0, "nobody knows it any more");
}

#[tokio::test]
async fn an_action_that_is_given_up_again_and_again_fails_in_the_backends_words() {
    let farm = Farm::start().await;
    for _ in 0..20 {
        let status = rpc::Status {
            code: tonic::Code::ResourceExhausted.into(),
            message: "out of memory".to_owned(),
            ..Default::default()
        };
        farm.server.executions.next([Step::UnderWay, Executions::failed(status)]);
    }
    let error = farm.run().await.expect_err("it cannot be run");
    assert!(error.message.contains("out of memory"), "{error}");
    assert!(farm.server.faults.calls("Execute") <= 5);
}

#[tokio::test]
async fn what_a_worker_refuses_is_refused_at_once() {
    let farm = Farm::start().await;
    farm.server.executions.next([Step::Breaks(Status::invalid_argument("no such pool"))]);
    let error = farm.run().await.expect_err("refused");
    assert_eq!(error.code, Code::InvalidArgument);
    assert!(error.message.contains("no such pool"), "{error}");
    assert_eq!(farm.server.faults.calls("Execute"), 1);
}

#[tokio::test]
async fn an_execution_is_cancelled_by_the_name_that_the_backend_gave_it() {
    let farm = Farm::start().await;
    let executor = &farm.backend.executor;
    let execution = farm.execution();
    executor.cancel(&execution, deadline()).await.expect("nothing to cancel");
    farm.server.executions.next([Step::UnderWay, Step::Silence]);
    let left = Duration::from_millis(300);
    tokio::time::timeout(left, executor.execute(&execution, deadline())).await.expect_err("left");
    executor.cancel(&execution, deadline()).await.expect("told");
    assert_eq!(farm.server.executions.cancelled(), [format!("operations/{}", farm.action)]);
}

#[tokio::test]
async fn a_backend_that_cannot_cancel_or_has_ended_it_is_left_alone() {
    let farm = Farm::start().await;
    let execution = farm.execution();
    execution.set_operation(Some("operations/x"));
    for status in [Status::unimplemented("no"), Status::not_found("it has ended")] {
        farm.server.faults.next("CancelOperation", Fault::Fails(status));
        farm.backend.executor.cancel(&execution, deadline()).await.expect("left alone");
    }
    farm.server.faults.next("CancelOperation", Fault::Fails(Status::permission_denied("not you")));
    let error = farm.backend.executor.cancel(&execution, deadline()).await.expect_err("refused");
    assert!(error.message.contains("CancelOperation: not you"), "{error}");
}

#[tokio::test]
async fn an_action_that_stays_in_the_queue_is_told_so() {
    let farm = Farm::start().await;
    farm.server.executions.next([Step::Queued, Step::Silence]);
    let deadline = goma_common::Deadline::after(Duration::from_millis(300));
    let run = farm.backend.executor.execute(&farm.execution(), deadline).await;
    let error = run.expect_err("no worker took it");
    assert_eq!(error.code, Code::DeadlineExceeded);
    assert!(error.message.contains("platform properties"), "{error}");
}
