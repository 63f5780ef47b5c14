//! Operations: their stages, who joins whom, who may come back later.

use std::path::Path;

use goma_common::Digest;
use goma_proto::longrunning::Operation;
use goma_proto::reapi::WaitExecutionRequest;
use tonic::{Code, Streaming};

use crate::action::{Action, follow, request, response, result, stage};
use crate::farm::Farm;

const QUEUED: i32 = 2;
const EXECUTING: i32 = 3;
const COMPLETED: i32 = 4;

/// A command that ends when the test lets it: it waits for a file to appear.
fn waiting(gate: &Path) -> Action {
    let script = format!("until test -e {}; do sleep 0.01; done; echo x > out", gate.display());
    Action::shell(&script).output("out")
}

async fn next(stream: &mut Streaming<Operation>) -> Operation {
    stream.message().await.expect("a message").expect("not the end")
}

#[tokio::test]
async fn every_stage_is_told_in_order() {
    let farm = Farm::start().await;
    let action = Action::shell("true").upload(&farm).await;
    let stages: Vec<_> = follow(&farm, action, false).await.iter().map(stage).collect();
    assert_eq!(stages, [QUEUED, EXECUTING, COMPLETED]);
    let cached: Vec<_> = follow(&farm, action, false).await.iter().map(stage).collect();
    assert_eq!(cached, [COMPLETED]);
}

#[tokio::test]
async fn when_it_happened_is_told() {
    let farm = Farm::start().await;
    let done = Action::shell("true").run(&farm).await;
    let metadata = result(&done).execution_metadata.clone().expect("metadata");
    let times = [
        metadata.queued_timestamp,
        metadata.worker_start_timestamp,
        metadata.input_fetch_start_timestamp,
        metadata.input_fetch_completed_timestamp,
        metadata.execution_start_timestamp,
        metadata.execution_completed_timestamp,
        metadata.output_upload_start_timestamp,
        metadata.output_upload_completed_timestamp,
        metadata.worker_completed_timestamp,
    ];
    let times = times.map(|time| time.map(|time| (time.seconds, time.nanos)).expect("a time"));
    assert!(times.is_sorted(), "{times:?}");
}

#[tokio::test]
async fn jobs_run_at_once_and_others_queue() {
    let farm = Farm::with(|config| {
        config.jobs = 1;
        config.sandbox = goma_standalone::backend::SandboxMode::Off;
    })
    .await;
    let gate = farm.data_dir().join("gate");
    let first = waiting(&gate).upload(&farm).await;
    let second = Action::shell("echo second").upload(&farm).await;
    let mut running = farm.execution().execute(request(first, false)).await.expect("a stream");
    while stage(&next(running.get_mut()).await) != EXECUTING {}
    let mut queued = farm.execution().execute(request(second, false)).await.expect("a stream");
    assert_eq!(stage(&next(queued.get_mut()).await), QUEUED);
    std::fs::write(&gate, "").expect("a file");
    assert!(next(running.get_mut()).await.done);
    assert_eq!(stage(&next(queued.get_mut()).await), EXECUTING);
    assert!(next(queued.get_mut()).await.done);
}

#[tokio::test]
async fn equal_actions_under_way_are_one() {
    let farm = Farm::bare().await;
    let gate = farm.data_dir().join("gate");
    let action = waiting(&gate).upload(&farm).await;
    let mut first = farm.execution().execute(request(action, true)).await.expect("a stream");
    let mut second = farm.execution().execute(request(action, true)).await.expect("a stream");
    let names = (next(first.get_mut()).await.name, next(second.get_mut()).await.name);
    assert_eq!(names.0, names.1);
    let alone = waiting(&gate).do_not_cache().upload(&farm).await;
    let mut third = farm.execution().execute(request(alone, true)).await.expect("a stream");
    let mut fourth = farm.execution().execute(request(alone, true)).await.expect("a stream");
    assert_ne!(next(third.get_mut()).await.name, next(fourth.get_mut()).await.name);
    std::fs::write(&gate, "").expect("a file");
    for stream in [&mut first, &mut second, &mut third, &mut fourth] {
        while !next(stream.get_mut()).await.done {}
    }
}

#[tokio::test]
async fn an_abandoned_action_finishes_into_the_cache_and_can_be_waited_for() {
    let farm = Farm::bare().await;
    let gate = farm.data_dir().join("gate");
    let action = waiting(&gate).upload(&farm).await;
    let name = {
        let mut stream = farm.execution().execute(request(action, false)).await.expect("a stream");
        next(stream.get_mut()).await.name
    };
    let again = WaitExecutionRequest { name };
    let mut stream = farm.execution().wait_execution(again.clone()).await.expect("a stream");
    std::fs::write(&gate, "").expect("a file");
    let done = loop {
        let operation = next(stream.get_mut()).await;
        if operation.done {
            break operation;
        }
    };
    assert_eq!(result(&response(&done)).exit_code, 0);
    farm.cached(action).await.expect("cached");
    let mut late = farm.execution().wait_execution(again).await.expect("remembered");
    assert!(next(late.get_mut()).await.done);
}

#[tokio::test]
async fn unknown_operations_and_digests_are_errors_of_the_call() {
    let farm = Farm::start().await;
    let unknown = WaitExecutionRequest { name: "operations/none".to_owned() };
    let unknown = farm.execution().wait_execution(unknown).await.expect_err("unknown");
    assert_eq!(unknown.code(), Code::NotFound);
    let mut bad = request(Digest::EMPTY, false);
    bad.action_digest = None;
    let bad = farm.execution().execute(bad).await.expect_err("no digest");
    assert_eq!(bad.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn too_many_actions_are_refused_at_once() {
    let farm = Farm::with(|config| {
        config.max_operations = 1;
        config.sandbox = goma_standalone::backend::SandboxMode::Off;
    })
    .await;
    let gate = farm.data_dir().join("gate");
    let first = waiting(&gate).upload(&farm).await;
    let mut running = farm.execution().execute(request(first, false)).await.expect("a stream");
    let second = Action::shell("echo second").upload(&farm).await;
    let refused = farm.execution().execute(request(second, false)).await.expect_err("full");
    assert_eq!(refused.code(), Code::ResourceExhausted);
    std::fs::write(&gate, "").expect("a file");
    while !next(running.get_mut()).await.done {}
}

#[tokio::test]
async fn a_drain_lets_open_executions_end() {
    let farm = Farm::bare().await;
    let gate = farm.data_dir().join("gate");
    let action = waiting(&gate).upload(&farm).await;
    let mut running = farm.execution().execute(request(action, false)).await.expect("a stream");
    while stage(&next(running.get_mut()).await) != EXECUTING {}
    farm.begin_drain();
    std::fs::write(&gate, "").expect("a file");
    let done = next(running.get_mut()).await;
    assert_eq!(result(&response(&done)).exit_code, 0);
    drop(running);
    farm.ended().await;
}
