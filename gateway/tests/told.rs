//! What is told of a compile: to the backend, to the client, and on the status page, where what clients
//! say is kept within bounds.

mod support;

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use goma_common::drain::Drain;
use goma_common::reapi::{Address, RemoteConfig, connect};
use goma_common::testing::{ScriptedBackend, Server, Step};
use goma_gateway::worker::Probed;
use goma_gateway::{Gateway, GatewayConfig, app, pages};
use goma_proto::api::{ExecReq, RequesterInfo};
use goma_proto::reapi::{ActionResult, ExecuteResponse, RequestMetadata};
use http::Request;
use http_body_util::BodyExt;
use prost::Message;
use serde_json::Value;
use support::{compile, output};
use tower::ServiceExt;

const METADATA: &str = "build.bazel.remote.execution.v2.requestmetadata-bin";

async fn get(pages: &Router, path: &str) -> (http::HeaderMap, String) {
    let request = Request::get(path).body(Body::empty()).expect("a request");
    let Ok(response) = pages.clone().oneshot(request).await;
    let (head, body) = response.into_parts();
    let body = body.collect().await.expect("a body").to_bytes();
    (head.headers, String::from_utf8(body.to_vec()).expect("text"))
}

fn of_build(request: bytes::Bytes, build: &str) -> Vec<u8> {
    let mut request = ExecReq::decode(request).expect("a request");
    request.requester_info = Some(RequesterInfo {
        build_id: Some(build.to_owned()),
        compiler_proxy_id: Some("ann@host:8088/1".to_owned()),
        ..Default::default()
    });
    request.encode_to_vec()
}

#[tokio::test]
async fn the_backend_is_told_the_build_the_client_its_stages_and_the_page_both() {
    let server = Server::start().await;
    let told = Arc::new(Mutex::new(Vec::new()));
    let seen = told.clone();
    server.faults.want(move |headers| {
        let metadata = headers.get(METADATA).map(|value| {
            let bytes = STANDARD_NO_PAD.decode(value.as_bytes()).expect("base64");
            RequestMetadata::decode(bytes.as_slice()).expect("a message")
        });
        seen.lock().expect("no panic").extend(metadata);
        true
    });
    let address = Address::Network(vec![server.address()]);
    let backend = connect(&RemoteConfig::plain(address, "main")).expect("an address");
    let shards = Arc::new(ScriptedBackend::default());
    let worker = Arc::new(Probed::new(backend.clone(), shards.clone()));
    let gateway = Gateway::new(GatewayConfig::default(), shards, backend, worker, Drain::new());
    let gateway = Arc::new(gateway.with_backend_told("farm:443 instance main".to_owned()));
    let (app, pages) = (app(gateway.clone()), pages(gateway));

    let output_files = vec![output(&server.backend, "a.o", b"object".to_vec())];
    let result = Some(ActionResult { output_files, ..Default::default() });
    let done = ExecuteResponse { result, ..Default::default() };
    server.executions.next([Step::Done(Box::new(done))]);
    let body = of_build(compile(&["a.o".to_owned()]), &"b".repeat(100_000));
    let request = Request::post("/cxx-compiler-service/e").body(Body::from(body));
    let Ok(response) = app.oneshot(request.expect("a request")).await;
    let timing = response.headers()["server-timing"].to_str().expect("text").to_owned();
    for stage in ["job;dur=", "inputs;dur=", "execute;dur=", "answer;dur=", "total;dur="] {
        assert!(timing.contains(stage), "{stage} in {timing}");
    }

    let calls = told.lock().expect("no panic").clone();
    let mut ours = calls.iter().filter(|call| call.action_mnemonic == "GomaCompile");
    let last = ours.next_back().expect("calls for the compile");
    assert_eq!(last.correlated_invocations_id, "ann@host:8088/1");
    assert!(last.tool_invocation_id.starts_with("bbb") && last.tool_invocation_id.len() <= 256);
    assert_eq!((last.target_id.as_str(), last.action_id.len()), ("a.o", 64));
    assert_eq!(last.tool_details.as_ref().map(|tool| tool.tool_name.as_str()), Some("goma"));

    let (headers, json) = get(&pages, "/status.json").await;
    assert!(headers["content-security-policy"].to_str().is_ok_and(|p| p.contains("'none'")));
    let status: Value = serde_json::from_str(&json).expect("JSON");
    assert!(json.len() < 10_000, "{} bytes: what a client says is bounded", json.len());
    assert_eq!(status["topology"]["backend"]["told"], "farm:443 instance main");
    assert_eq!(status["totals"]["ran"], 1);
    let request = &status["recent"][0];
    assert_eq!((&request["outcome"], &request["output"]), (&"ran".into(), &"a.o".into()));
    assert_eq!(request["miss"]["told"], "never compiled through this gateway before");
    assert_eq!(status["builds"][0]["ran"], 1);
}
