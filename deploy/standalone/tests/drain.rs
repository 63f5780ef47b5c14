//! The end of the server, as its clients and a balancer see it: nothing fails.

mod support;

use std::time::{Duration, Instant};

use goma_proto::api::ExecResp;
use prost::Message;
use support::eventually;
use support::http::Connection;
use support::process::{Program, temp_dir};
use support::requests::{object, slow_gcc};
use tempfile::TempDir;

const PING: &str = "POST /cxx-compiler-service/ping";
const EXEC: &str = "POST /cxx-compiler-service/e";
/// The stock client reuses a connection that has been idle for less.
const REUSED_WITHIN: Duration = Duration::from_secs(5);

#[tokio::test]
async fn sigterm_is_not_ready_first_and_ends_what_is_under_way() {
    let dir = temp_dir();
    let program = Program::proxy(dir.path(), &[]).await;
    let mut exec = Connection::open(program.port).await.expect("open");
    let request = slow_gcc("/home/a", b"int under_way;\n", 5).encode_to_vec();
    let answer = tokio::spawn(async move { exec.request(EXEC, &[], &request).await });
    let runs = program.get("/readyz").await;
    assert_eq!(runs.status, 200);
    assert_eq!(runs.header("connection"), None, "while it serves, connections are kept");
    eventually("the compile has begun", async || is_compiling(&dir)).await;

    let signalled = Instant::now();
    program.terminate();
    eventually("not ready", async || program.get("/readyz").await.status == 503).await;
    assert!(signalled.elapsed() < Duration::from_secs(1), "{:?}", signalled.elapsed());
    let unready = program.get("/readyz").await;
    assert!(unready.text().contains("draining"), "{}", unready.text());
    assert_eq!(unready.header("connection"), Some("close"), "in lower case exactly");
    assert_eq!(program.get("/healthz").await.status, 200);

    // A balancer that asks every other second has time to see it: until then compiles are served.
    while signalled.elapsed() < Duration::from_millis(2500) {
        let mut late = Connection::open(program.port).await.expect("still accepted");
        let request = slow_gcc("/home/a", b"int late;\n", 0).encode_to_vec();
        let reply = late.request(EXEC, &[], &request).await.expect("served");
        assert_eq!((reply.status, reply.header("connection")), (200, Some("close")));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    eventually("no longer accepted", async || Connection::open(program.port).await.is_none()).await;

    let reply = answer.await.expect("no panic").expect("an answer");
    assert_eq!((reply.status, reply.header("connection")), (200, Some("close")));
    let answer = ExecResp::decode(&reply.body[..]).expect("an ExecResp");
    assert_eq!(object(&answer), b"int under_way;\n");
    assert_eq!(program.ended().await.code(), Some(0));
}

#[tokio::test]
async fn an_idle_connection_is_not_closed_while_the_client_may_use_it() {
    let dir = temp_dir();
    let program = Program::proxy(dir.path(), &[]).await;
    let mut idle = Connection::open(program.port).await.expect("open");
    let mut reused = Connection::open(program.port).await.expect("open");
    for connection in [&mut idle, &mut reused] {
        let reply = connection.request(PING, &[], b"").await.expect("an answer");
        assert_eq!((reply.status, reply.header("connection")), (200, None));
    }
    let used = Instant::now();
    program.terminate();
    let nearly = REUSED_WITHIN - Duration::from_millis(100);
    assert!(!idle.closes_within(nearly - used.elapsed()).await, "closed at {:?}", used.elapsed());
    // The last moment at which the client takes it to be open.
    let reply = reused.request(PING, &[], b"").await.expect("an answer on a reused connection");
    assert_eq!((reply.status, reply.header("connection")), (200, Some("close")));
    assert!(reused.closes_within(Duration::from_secs(1)).await, "closed as it said");
    assert!(idle.closes_within(Duration::from_secs(3)).await, "closed when nobody would use it");
    assert_eq!(program.ended().await.code(), Some(0));
}

#[tokio::test]
async fn a_second_signal_aborts() {
    let dir = temp_dir();
    let program = Program::proxy(dir.path(), &[]).await;
    let mut exec = Connection::open(program.port).await.expect("open");
    let request = slow_gcc("/home/a", b"int long;\n", 60).encode_to_vec();
    let answer = tokio::spawn(async move { exec.request(EXEC, &[], &request).await });
    eventually("the compile has begun", async || is_compiling(&dir)).await;
    program.terminate();
    eventually("it drains", async || program.get("/readyz").await.status == 503).await;
    let aborted = Instant::now();
    program.terminate();
    assert_eq!(program.ended().await.code(), Some(130), "as a shell calls it");
    assert!(aborted.elapsed() < Duration::from_secs(2), "{:?}", aborted.elapsed());
    assert!(answer.await.expect("no panic").is_none(), "nobody is left to answer");
}

/// Whether the embedded backend has a directory for a command.
fn is_compiling(dir: &TempDir) -> bool {
    let runs = std::fs::read_dir(dir.path().join("data/backend/runs")).expect("its place");
    runs.count() > 0
}
