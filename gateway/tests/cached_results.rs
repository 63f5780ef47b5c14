//! Results in the action cache that are of no use, and how their actions are run again.

mod support;

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use goma_common::reapi::{Backend, Executed, Execution, Executor};
use goma_common::testing::ScriptedBackend;
use goma_common::{Deadline, Digest, Result};
use goma_proto::reapi::{ActionResult, OutputFile};
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
    let output_files = vec![output(scripted, "a.o", b"fresh".to_vec())];
    let result = ActionResult { output_files, ..Default::default() };
    let workers = Arc::new(Workers { result, fresh: Mutex::default() });
    scripted.put_any_result(cached);
    let backend = Backend { executor: workers.clone(), ..scripted.backend(0) };
    let answer = exec(&gateway_to(scripted, backend), compile(&["a.o".to_owned()])).await;
    let asked = workers.fresh.lock().expect("no panic").clone();
    (object(&answer), asked)
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
