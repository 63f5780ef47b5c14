//! Results in the action cache that are of no use, and how their actions are run again.

mod support;

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use goma_common::reapi::{Backend, Executed, Execution, Executor};
use goma_common::testing::ScriptedBackend;
use goma_common::{Deadline, Digest, Result};
use goma_proto::api::exec_req::CachePolicy;
use goma_proto::api::{ExecReq, ExecResp};
use goma_proto::protobuf::Timestamp;
use goma_proto::reapi::{ActionResult, ExecutedActionMetadata, OutputFile};
use prost::Message;
use support::{compile, exec, gateway_to, object, output};

/// Workers that leave the same whatever they are given, and take note of how they were asked.
struct Workers {
    result: ActionResult,
    fresh: Mutex<Vec<bool>>,
}

#[async_trait]
impl Executor for Workers {
    async fn execute(&self, execution: &Execution, _: Deadline) -> Result<Executed> {
        self.fresh.lock().expect("no panic").push(execution.skip_cache_lookup);
        Ok(Executed { result: self.result.clone(), cached: false })
    }
}

/// Compiles where the cache holds this result; the object and how the workers were asked.
async fn with_cached(cached: ActionResult, scripted: &ScriptedBackend) -> (Vec<u8>, Vec<bool>) {
    let (answer, asked) = answered(cached, scripted, CachePolicy::LookupAndStore).await;
    (object(&answer), asked)
}

/// What workers leave and a cache holds: a program, and when it was made.
fn made(scripted: &ScriptedBackend, contents: &[u8], seconds: i64) -> ActionResult {
    let file = output(scripted, "a.o", contents.to_vec());
    let at = |seconds| Some(Timestamp { seconds, nanos: 7 });
    ActionResult {
        output_files: vec![OutputFile { is_executable: true, ..file }],
        execution_metadata: Some(ExecutedActionMetadata {
            execution_start_timestamp: at(seconds),
            execution_completed_timestamp: at(seconds + 2),
            ..Default::default()
        }),
        ..Default::default()
    }
}

async fn answered(
    cached: ActionResult,
    scripted: &ScriptedBackend,
    policy: CachePolicy,
) -> (ExecResp, Vec<bool>) {
    let result = made(scripted, b"fresh", 100);
    let workers = Arc::new(Workers { result, fresh: Mutex::default() });
    scripted.put_any_result(cached);
    let backend = Backend { executor: workers.clone(), ..scripted.backend(0) };
    let mut request = ExecReq::decode(compile(&["a.o".to_owned()])).expect("an ExecReq");
    request.set_cache_policy(policy);
    let answer = exec(&gateway_to(scripted, backend), request.encode_to_vec().into()).await;
    let asked = workers.fresh.lock().expect("no panic").clone();
    (answer, asked)
}

#[tokio::test]
async fn a_client_that_wants_nothing_cached_has_workers_not_look_either() {
    let scripted = ScriptedBackend::default();
    let cached = made(&scripted, b"cached", 50);
    let (answer, asked) = answered(cached, &scripted, CachePolicy::StoreOnly).await;
    assert_eq!((object(&answer), asked), (b"fresh".to_vec(), vec![true]));
}

#[tokio::test]
async fn a_client_that_wants_the_cache_alone_has_nothing_run() {
    let scripted = ScriptedBackend::default();
    let failed = ActionResult { exit_code: 1, ..Default::default() };
    let (answer, asked) = answered(failed, &scripted, CachePolicy::LookupOnly).await;
    assert!(answer.error_message.concat().contains("no cached result"), "{answer:?}");
    assert_ne!(answer.result.expect("one that says so").exit_status(), 0);
    assert!(asked.is_empty(), "{asked:?}");
}

#[tokio::test]
async fn what_was_made_and_when_is_told_of_cached_results_and_of_fresh_ones() {
    let scripted = ScriptedBackend::default();
    for (policy, started) in [(CachePolicy::LookupAndStore, 50), (CachePolicy::StoreOnly, 100)] {
        let cached = made(&scripted, b"cached", 50);
        let (answer, _) = answered(cached, &scripted, policy).await;
        let output = &answer.result.as_ref().expect("a result").output[0];
        assert!(output.is_executable(), "{policy:?}");
        let stats = answer.execution_stats.expect("stats");
        let (start, end) = (stats.execution_start_timestamp, stats.execution_completed_timestamp);
        let told = [start, end].map(|at| at.map(|at| (at.seconds, at.nanos)));
        assert_eq!(told, [Some((started, 7)), Some((started + 2, 7))], "{policy:?}");
    }
    let cached = ActionResult {
        output_files: vec![output(&scripted, "a.o", b"no program".to_vec())],
        ..Default::default()
    };
    let (answer, _) = answered(cached, &scripted, CachePolicy::LookupAndStore).await;
    assert!(!answer.result.expect("a result").output[0].is_executable());
}

#[tokio::test]
async fn a_failure_that_a_backend_has_cached_is_compiled_again() {
    let scripted = ScriptedBackend::default();
    let failed = ActionResult { exit_code: 1, ..Default::default() };
    assert_eq!(with_cached(failed, &scripted).await, (b"fresh".to_vec(), vec![true]));
}

#[tokio::test]
async fn a_result_whose_output_is_gone_is_compiled_again() {
    let scripted = ScriptedBackend::default();
    let digest = Some(Digest::of(b"gone").into());
    let gone = OutputFile { path: "a.o".to_owned(), digest, ..Default::default() };
    let cached = ActionResult { output_files: vec![gone], ..Default::default() };
    assert_eq!(with_cached(cached, &scripted).await, (b"fresh".to_vec(), vec![true]));
}

#[tokio::test]
async fn a_result_that_lacks_the_object_is_compiled_again() {
    let scripted = ScriptedBackend::default();
    let cached = ActionResult::default();
    assert_eq!(with_cached(cached, &scripted).await, (b"fresh".to_vec(), vec![true]));
}

#[tokio::test]
async fn a_result_that_is_whole_is_the_answer() {
    let scripted = ScriptedBackend::default();
    let output_files = vec![output(&scripted, "a.o", b"cached".to_vec())];
    let cached = ActionResult { output_files, ..Default::default() };
    assert_eq!(with_cached(cached, &scripted).await, (b"cached".to_vec(), vec![]));
}
