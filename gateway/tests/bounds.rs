//! How long a compile may take and how large its answer may be, whatever the backend does.

mod support;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use futures::future::pending;
use futures::stream;
use goma_common::reapi::{ActionCache, Backend, Executed, Execution, Executor};
use goma_common::testing::ScriptedBackend;
use goma_common::{Deadline, Digest};
use goma_proto::api::ExecResp;
use goma_proto::api::file_blob::BlobType;
use goma_proto::reapi::ActionResult;
use http::StatusCode;
use support::{compile, exec, gateway_to, output, post};
use tokio::time::Instant;

/// The stock client gives up at 610 s.
const ANSWERED: Duration = Duration::from_secs(601);

/// Workers that are never done.
struct Endless;

#[async_trait]
impl Executor for Endless {
    async fn execute(&self, _: &Execution, deadline: Deadline) -> goma_common::Result<Executed> {
        deadline.bound("Execute", pending()).await
    }
}

/// An action cache that takes questions and never answers.
struct Silent;

#[async_trait]
impl ActionCache for Silent {
    async fn get(
        &self,
        _: Digest,
        _: &[String],
        deadline: Deadline,
    ) -> goma_common::Result<Option<ActionResult>> {
        deadline.bound("GetActionResult", pending()).await
    }
}

/// Workers that leave the same whatever they are given.
struct Quick(ActionResult);

#[async_trait]
impl Executor for Quick {
    async fn execute(&self, _: &Execution, _: Deadline) -> goma_common::Result<Executed> {
        Ok(Executed { result: self.0.clone(), cached: false })
    }
}

fn gateway(scripted: &ScriptedBackend) -> Router {
    gateway_to(scripted, Backend { executor: Arc::new(Endless), ..scripted.backend(0) })
}

async fn answer(scripted: &ScriptedBackend, outputs: &[String]) -> ExecResp {
    exec(&gateway(scripted), compile(outputs)).await
}

#[tokio::test(start_paused = true)]
async fn a_body_that_was_slow_leaves_less_time_for_the_compile() {
    let scripted = ScriptedBackend::default();
    let body = compile(&["a.o".to_owned()]);
    let pieces = stream::unfold(body, |mut rest| async move {
        tokio::time::sleep(Duration::from_secs(20)).await;
        let piece = rest.split_to(rest.len().min(100));
        (!piece.is_empty()).then_some((Ok::<_, std::io::Error>(piece), rest))
    });
    let started = Instant::now();
    let (status, words) = post(&gateway(&scripted), Body::from_stream(pieces)).await;
    assert_eq!(status, StatusCode::GATEWAY_TIMEOUT, "{words:?}");
    assert!(started.elapsed() > Duration::from_secs(590), "{:?}", started.elapsed());
    assert!(started.elapsed() < ANSWERED, "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn outputs_of_a_hit_may_take_longer_than_the_question_for_it() {
    let scripted = ScriptedBackend::default();
    scripted.slow_downloads(Duration::from_secs(60));
    let output_files = vec![output(&scripted, "a.o", b"object".to_vec())];
    scripted.put_any_result(ActionResult { output_files, ..Default::default() });
    let answer = answer(&scripted, &["a.o".to_owned()]).await;
    let result = answer.result.expect("a result");
    assert_eq!(result.output[0].blob.as_ref().expect("a blob").content(), b"object");
}

#[tokio::test(start_paused = true)]
async fn an_action_cache_that_does_not_answer_costs_an_execution_and_no_compile() {
    let scripted = ScriptedBackend::default();
    let output_files = vec![output(&scripted, "a.o", b"object".to_vec())];
    let executor = Arc::new(Quick(ActionResult { output_files, ..Default::default() }));
    let backend = Backend { action_cache: Arc::new(Silent), executor, ..scripted.backend(0) };
    let started = Instant::now();
    let app = gateway_to(&scripted, backend);
    let answer = exec(&app, compile(&["a.o".to_owned()])).await;
    let result = answer.result.expect("a result");
    assert_eq!(result.output[0].blob.as_ref().expect("a blob").content(), b"object");
    assert!(started.elapsed() < Duration::from_secs(12), "{:?}", started.elapsed());
}

#[tokio::test]
async fn endless_diagnostics_are_cut_and_no_more_of_them_read() {
    let scripted = ScriptedBackend::default();
    let line = "a.c:1:1: error: expected expression\n";
    let stderr = scripted.put(line.repeat(1_000_000).into_bytes());
    let result = ActionResult {
        output_files: vec![output(&scripted, "a.o", b"object".to_vec())],
        stdout_raw: line.repeat(200_000).into_bytes(),
        stderr_digest: Some(stderr.into()),
        ..Default::default()
    };
    scripted.put_any_result(result);
    let result = answer(&scripted, &["a.o".to_owned()]).await.result.expect("a result");
    for text in [result.stdout_buffer(), result.stderr_buffer()] {
        assert!(text.len() < (4 << 20) + 200, "{}", text.len());
        let text = String::from_utf8_lossy(text);
        assert!(text.starts_with(line) && text.ends_with(" of them are above]\n"));
    }
}

#[tokio::test]
async fn outputs_that_are_too_many_to_be_inside_the_answer_go_in_pieces() {
    let scripted = ScriptedBackend::default();
    let names: Vec<String> = (0..8).map(|at| format!("{at}.o")).collect();
    let large = |(at, name): (usize, &String)| output(&scripted, name, vec![at as u8; 10 << 20]);
    let output_files = names.iter().enumerate().map(large).collect();
    scripted.put_any_result(ActionResult { output_files, ..Default::default() });
    let result = answer(&scripted, &names).await.result.expect("a result");
    let blobs: Vec<_> = result.output.iter().filter_map(|output| output.blob.as_ref()).collect();
    let inline = blobs.iter().filter(|blob| blob.blob_type() == BlobType::File).count();
    let pieces = blobs.iter().filter(|blob| blob.blob_type() == BlobType::FileMeta).count();
    assert_eq!((inline, pieces), (6, 2), "64 MiB inside the answer at most");
}
