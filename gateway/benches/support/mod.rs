//! A cached Exec and its floor, ready to be run again and again.
//!
//! In `exec`: the router, admission, gunzip, decoding, all stages up to the cached result, the call
//! to the action cache, hashing the output, encoding and gzip. In `floor`: gunzip, decoding, SHA-256
//! of the Merkle directories (made beforehand), the same call, encoding and gzip; see [`floor`].
//!
//! The call is a real one, HTTP/2 over a pipe in memory, and its server is part of both. The shards
//! and the worker's files are maps. Left out of both: sockets, parsing HTTP/1.1, and what logging
//! costs. All of it runs on one thread, but for bodies and answers that the gateway gives to its
//! threads for blocking work.

mod action_cache;
mod floor;
mod known;
mod request;

use std::cell::RefCell;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use flate2::{Compress, Compression};
use goma_common::drain::Drain;
use goma_common::reapi::{Address, RemoteConfig, connect};
use goma_gateway::{Gateway, GatewayConfig, app};
use goma_proto::api::ExecResp;
use http::Request;
use http_body_util::BodyExt;
use prost::Message;
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt;

use action_cache::Served;
use floor::Floor;
use known::Known;
use request::Compile;

/// Inputs of the requests that are measured; the stock client's real ones have 288 in the median.
pub(crate) const SIZES: [usize; 3] = [100, 500, 2000];

/// One request, and a gateway that has served it before.
pub(crate) struct Fixture {
    runtime: Runtime,
    app: Router,
    body: Bytes,
    floor: Floor,
}

impl Fixture {
    /// Sends the request once to learn what the gateway makes of it, and once more to see that its
    /// answer is right.
    pub(crate) fn new(inputs: usize) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let compile = Compile::with_inputs(inputs);
        let known = Arc::new(Known::of(&compile));
        let (app, backend, served) = runtime.block_on(async {
            let (served, connections) = Served::start();
            let address = Address::InProcess(connections);
            let config = RemoteConfig { tries: 1, ..RemoteConfig::plain(address, "bench") };
            let backend = connect(&config).expect("an address");
            let config = GatewayConfig::default();
            let (shards, worker) = (known.clone(), known.clone());
            let gateway = Gateway::new(config, shards, backend.clone(), worker, Drain::default());
            (app(Arc::new(gateway)), backend, served)
        });
        let body = compile.body();
        // Nothing is cached yet, and nothing can be executed: what was to be uploaded is seen.
        runtime.block_on(post(&app, &body));
        let result = compile.result();
        served.cache(result.clone());
        let answer = runtime.block_on(post(&app, &body)).expect("an answer");
        check(&answer, &result.output_files[0].contents);
        let compressor = RefCell::new(Compress::new(Compression::fast(), false));
        let floor = Floor { backend, body: body.clone(), made: known.made(), compressor };
        Self { runtime, app, body, floor }
    }

    /// Serves the request; the length of the answer.
    pub(crate) fn exec(&self) -> usize {
        self.runtime.block_on(post(&self.app, &self.body)).expect("an answer").len()
    }

    /// Does the least for the same request; the length of the answer.
    pub(crate) fn floor(&self) -> usize {
        self.runtime.block_on(self.floor.serve()).len()
    }
}

/// The answer's body, if it is a 200.
async fn post(app: &Router, body: &Bytes) -> Option<Bytes> {
    let request = Request::post("/cxx-compiler-service/e")
        .header("host", "goma:5050")
        .header("user-agent", "compiler_proxy")
        .header("content-type", "binary/x-protocol-buffer")
        .header("content-encoding", "gzip")
        .header("accept-encoding", "gzip, deflate")
        .header("content-length", body.len())
        .body(Body::from(body.clone()))
        .expect("a request");
    let Ok(response) = app.clone().oneshot(request).await;
    let fine = response.status().is_success();
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    fine.then_some(body)
}

fn check(answer: &[u8], expected: &[u8]) {
    let answer = ExecResp::decode(floor::gunzip(answer)).expect("an ExecResp");
    let result = answer.result.expect("a result");
    assert_eq!(result.exit_status, Some(0), "{:?}", answer.error_message);
    let blob = result.output.into_iter().find_map(|output| output.blob).expect("an output");
    assert_eq!(blob.content.expect("inline"), expected);
}
