//! A gateway over a scripted backend, and requests to it.
#![allow(dead_code, unreachable_pub)] // Each test has a use of its own.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use clap::Parser;
use goma_common::drain::Drain;
use goma_common::reapi::Backend;
use goma_common::remote_args::RemoteArgs;
use goma_common::testing::ScriptedBackend;
use goma_common::{Digest, FileKey};
use goma_gateway::args::GatewayArgs;
use goma_gateway::worker::Probed;
use goma_gateway::{Gateway, GatewayConfig, app};
use goma_proto::api::exec_req::Input;
use goma_proto::api::file_blob::BlobType;
use goma_proto::api::{CommandSpec, ExecReq, ExecResp, FileBlob, ToolchainSpec};
use goma_proto::reapi::OutputFile;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use prost::Message;
use tower::ServiceExt;

pub fn gateway_to(scripted: &ScriptedBackend, backend: Backend) -> Router {
    gateway_with(GatewayConfig::default(), scripted, backend)
}

/// The same, set up like this.
pub fn gateway_with(config: GatewayConfig, scripted: &ScriptedBackend, backend: Backend) -> Router {
    let shards = Arc::new(scripted.clone());
    let worker = Arc::new(Probed::new(backend.clone(), shards.clone()));
    app(Arc::new(Gateway::new(config, shards, backend, worker, Drain::new())))
}

pub fn input(name: &str, contents: &'static [u8]) -> Input {
    Input {
        filename: Some(name.to_owned()),
        hash_key: Some(FileKey::of_file(contents).hex()),
        content: Some(FileBlob {
            blob_type: Some(BlobType::File.into()),
            content: Some(Bytes::from_static(contents)),
            file_size: Some(contents.len() as i64),
            ..Default::default()
        }),
    }
}

/// A compile by a compiler of the client's own, expected to write these.
pub fn compile(outputs: &[String]) -> Bytes {
    let tool: &[u8] = b"#!/bin/sh\n";
    let hash = Digest::of(tool).hex();
    let request = ExecReq {
        command_spec: Some(CommandSpec {
            name: Some("gcc".to_owned()),
            binary_hash: Some(hash.clone().into()),
            local_compiler_path: Some("tools/gcc".to_owned()),
            ..Default::default()
        }),
        arg: ["gcc", "-c", "a.c", "-o", "a.o"].map(ToOwned::to_owned).to_vec(),
        cwd: Some("/home/a".to_owned()),
        input: vec![input("a.c", b"int a;\n"), input("tools/gcc", tool)],
        expected_output_files: outputs.to_vec(),
        toolchain_included: Some(true),
        toolchain_specs: vec![ToolchainSpec {
            path: Some("tools/gcc".to_owned()),
            hash: Some(hash),
            size: Some(tool.len() as i64),
            is_executable: Some(true),
            ..Default::default()
        }],
        ..Default::default()
    };
    request.encode_to_vec().into()
}

pub async fn post(app: &Router, body: Body) -> (StatusCode, Bytes) {
    let request = Request::post("/cxx-compiler-service/e").body(body).expect("a request");
    let Ok(response) = app.clone().oneshot(request).await;
    let status = response.status();
    (status, response.into_body().collect().await.expect("a body").to_bytes())
}

pub fn output(scripted: &ScriptedBackend, name: &str, contents: Vec<u8>) -> OutputFile {
    let digest = Some(scripted.put(contents).into());
    OutputFile { path: name.to_owned(), digest, ..Default::default() }
}

/// The answer to an Exec, which there is.
pub async fn exec(app: &Router, request: Bytes) -> ExecResp {
    let (status, body) = post(app, Body::from(request)).await;
    assert_eq!(status, StatusCode::OK, "{}", String::from_utf8_lossy(&body));
    ExecResp::decode(body).expect("an ExecResp")
}

/// The object of a compile that went well.
pub fn object(answer: &ExecResp) -> Vec<u8> {
    let result = answer.result.as_ref().expect("a result");
    assert_eq!(result.exit_status(), 0, "{answer:?}");
    result.output[0].blob.as_ref().expect("a blob").content().to_vec()
}

/// A service that tells whose tokens these are, for the audience `a`; its URL.
pub async fn tokeninfo(tokens: &[(&str, &str)]) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let emails: std::collections::HashMap<String, String> = tokens
        .iter()
        .map(|(token, email)| (format!("access_token={token}"), (*email).to_owned()))
        .collect();
    let tell = move |form: String| async move {
        let email = emails.get(&form).cloned().unwrap_or_default();
        format!(r#"{{"aud":"a","email":"{email}","email_verified":true,"expires_in":3600}}"#)
    };
    let app = Router::new().route("/tokeninfo", axum::routing::post(tell));
    tokio::spawn(async move { axum::serve(listener, app).await });
    format!("http://{address}/tokeninfo")
}

/// The flags of a gateway and its backend.
#[derive(Parser)]
pub struct Flags {
    #[command(flatten)]
    pub remote: RemoteArgs,
    #[command(flatten)]
    pub gateway: GatewayArgs,
}

impl Flags {
    pub fn parse(line: &str) -> Self {
        Self::try_parse_from(format!("x {line}").split_whitespace()).expect("parses")
    }
}

/// A gateway that lets in whom these flags say, and lets them wait for so long.
pub fn gateway_for(flags: &str, admission_wait: std::time::Duration) -> Router {
    let cas = ScriptedBackend::default();
    app(Arc::new(gateway_over(&Flags::parse(flags), &cas, cas.backend(0), admission_wait)))
}

/// A gateway with these flags over this backend.
pub fn gateway_over(
    flags: &Flags,
    shards: &ScriptedBackend,
    backend: Backend,
    admission_wait: std::time::Duration,
) -> Gateway {
    let Flags { remote, gateway } = flags;
    let identity = gateway.identity([0, 0, 0, 0].into(), remote).expect("it can be meant");
    let shards = Arc::new(shards.clone());
    let worker = Arc::new(Probed::new(backend.clone(), shards.clone()));
    let config = GatewayConfig { admission_wait, ..gateway.config(&remote.traits()) };
    Gateway::new(config, shards, backend, worker, Drain::new()).with_identity(identity)
}

/// The same on a port of its own, as the flags say that connections begin.
pub async fn served_for(flags: &str) -> std::net::SocketAddr {
    let (flags, cas) = (Flags::parse(flags), ScriptedBackend::default());
    let wait = std::time::Duration::from_secs(30);
    let gateway = gateway_over(&flags, &cas, cas.backend(0), wait);
    let port = flags.gateway.port().expect("it can be meant");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(goma_gateway::serve(Arc::new(gateway), listener, port));
    address
}
