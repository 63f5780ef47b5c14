//! Users on whose own account the backend is used, or on their group's: those tokens go there, and
//! nothing is shared.

mod support;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use goma_common::drain::Drain;
use goma_common::reapi::{Address, RemoteConfig, connect};
use goma_common::testing::{ScriptedBackend, Server, Step};
use goma_gateway::worker::Probed;
use goma_gateway::{Gateway, GatewayConfig, app};
use goma_proto::api::ExecResp;
use goma_proto::reapi::{ActionResult, ExecuteResponse};
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use prost::Message;
use serde_json::Value;
use support::{Flags, compile, gateway_over, object, output, tokeninfo};
use tower::ServiceExt;

const ACL: &str = "[[group]]\nid = \"guests\"\nemails = [\"eve@farm.example\"]\n\
                   [[group]]\nid = \"users\"\ndomains = [\"farm.example\"]\nbackend-account = \"user\"\n";

async fn exec(app: &Router, token: &str) -> (StatusCode, Option<ExecResp>) {
    let request = Request::post("/cxx-compiler-service/e")
        .header("Authorization", format!("Bearer {token}"))
        .body(Body::from(compile(&["a.o".to_owned()])))
        .expect("a request");
    let Ok(response) = app.clone().oneshot(request).await;
    let status = response.status();
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    (status, ExecResp::decode(body).ok())
}

#[tokio::test]
async fn every_call_for_such_a_user_carries_the_users_token_and_asks_no_shard() {
    let dir = tempfile::tempdir().expect("a directory");
    let acl = dir.path().join("acl.toml");
    std::fs::write(&acl, ACL).expect("writes");
    let url = tokeninfo(&[("anns", "ann@farm.example"), ("eves", "eve@farm.example")]).await;
    let acl = acl.display();
    let flags =
        Flags::parse(&format!("--acl-file {acl} --allowed-audience a --tokeninfo-url {url}"));
    let identity = flags.gateway.identity([127, 0, 0, 1].into(), &flags.remote).expect("it fits");

    let server = Server::start().await;
    server
        .faults
        .want(|headers| headers.get("authorization").is_some_and(|bears| bears == "Bearer anns"));
    let address = Address::Network(vec![server.address()]);
    let backend = connect(&RemoteConfig::plain(address, "main")).expect("an address");
    let shards = Arc::new(ScriptedBackend::default());
    let worker = Arc::new(Probed::new(backend.clone(), shards.clone()));
    let gateway =
        Gateway::new(GatewayConfig::default(), shards.clone(), backend, worker, Drain::new());
    let app = app(Arc::new(gateway.with_identity(identity)));

    for _ in 0..2 {
        let output_files = vec![output(&server.backend, "a.o", b"object".to_vec())];
        let result = Some(ActionResult { output_files, ..Default::default() });
        let done = ExecuteResponse { result, ..Default::default() };
        server.executions.next([Step::Done(Box::new(done))]);
        let (status, answer) = exec(&app, "anns").await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(object(&answer.expect("an ExecResp")), b"object");
    }
    assert_eq!(server.faults.calls("Execute"), 2);
    assert!(server.faults.calls("FindMissingBlobs") >= 2, "what one has seen says nothing later");
    assert_eq!(shards.calls().find_missing, 0, "{:?}", shards.calls());
    assert!(shards.calls().uploads.is_empty(), "{:?}", shards.calls());
    // One on our account, who is let in here and not there: that is no fault of his.
    let (status, _) = exec(&app, "eves").await;
    assert!(status.is_server_error(), "{status}");
}

/// A key that was made for tests.
const KEY: &str = include_str!("../../common/tests/data/service-account-key.pem");

#[tokio::test]
async fn a_groups_service_account_is_used_for_its_users() {
    let dir = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: &str| {
        let file = dir.path().join(name);
        std::fs::write(&file, text).expect("writes");
        file.display().to_string()
    };
    // In the original's form, to which a named account belongs.
    let acl = write(
        "acl",
        "groups { id: \"users\" domains: \"farm.example\" service_account: \"farm\" }\n",
    );
    let account = serde_json::json!({
        "type": "service_account",
        "project_id": "farm",
        "private_key": KEY,
        "client_email": "goma@farm.example",
        "token_uri": "http://127.0.0.1:1/",
    });
    write("farm.json", &account.to_string());
    let url = tokeninfo(&[("anns", "ann@farm.example")]).await;
    let flags = Flags::parse(&format!(
        "--acl-file {acl} --service-account-json-dir {} --service-account-audience farm \
         --allowed-audience a --tokeninfo-url {url}",
        dir.path().display()
    ));
    let server = Server::start().await;
    server.faults.want(|headers| {
        let told = headers.get("authorization").and_then(|told| told.to_str().ok());
        let claims = told.and_then(|told| told.strip_prefix("Bearer ")?.split('.').nth(1));
        let claims = claims.and_then(|claims| URL_SAFE_NO_PAD.decode(claims).ok());
        let claims: Option<Value> = claims.and_then(|json| serde_json::from_slice(&json).ok());
        claims.is_some_and(|claims| claims["iss"] == "goma@farm.example" && claims["aud"] == "farm")
    });
    let address = Address::Network(vec![server.address()]);
    let backend = connect(&RemoteConfig::plain(address, "main")).expect("an address");
    let shards = ScriptedBackend::default();
    let gateway = gateway_over(&flags, &shards, backend, Duration::from_secs(30));
    let output_files = vec![output(&server.backend, "a.o", b"object".to_vec())];
    let result = Some(ActionResult { output_files, ..Default::default() });
    server
        .executions
        .next([Step::Done(Box::new(ExecuteResponse { result, ..Default::default() }))]);
    let (status, answer) = exec(&app(Arc::new(gateway)), "anns").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(object(&answer.expect("an ExecResp")), b"object");
    assert!(shards.calls().uploads.is_empty(), "{:?}", shards.calls());
}

#[test]
fn users_tokens_are_not_sent_in_the_clear_unless_told_twice() {
    let dir = tempfile::tempdir().expect("a directory");
    let acl = dir.path().join("acl.toml");
    std::fs::write(&acl, ACL).expect("writes");
    let line = format!("--acl-file {} --insecure-remoteexec", acl.display());
    let told = |line: &str| {
        let Flags { remote, gateway } = Flags::parse(line);
        gateway.identity([127, 0, 0, 1].into(), &remote).map(drop)
    };
    let why = told(&line).expect_err("in the clear").to_string();
    assert!(why.contains("--remote-insecure-credentials"), "{why}");
    told(&format!("{line} --remote-insecure-credentials")).expect("told twice");
}
