//! Clients that hang up while they are compiled for: what they wanted is given up, unless others want
//! it too.

mod support;

use std::time::Duration;

use goma_common::testing::free_port;
use goma_proto::api::ExecReq;
use prost::Message;
use support::eventually;
use support::http::{self, Connection};
use support::process::{Program, temp_dir};
use support::requests::{object, slow_gcc};

/// Sends the request and keeps the connection.
async fn send(program: &Program, request: &ExecReq) -> Connection {
    let body = request.encode_to_vec();
    let headers = [("Content-Type", "binary/x-protocol-buffer")];
    let head = http::render("POST /cxx-compiler-service/e", &headers, body.len());
    let mut connection = Connection::open(program.port).await.expect("it listens");
    connection.send(&head).await;
    connection.send(&body).await;
    connection
}

/// Whether a process of this command line is there.
fn runs(command: &str) -> bool {
    let processes = std::fs::read_dir("/proc").expect("/proc").flatten();
    processes.into_iter().any(|process| {
        let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).replace('\0', " ").trim() == command
    })
}

#[tokio::test]
async fn a_compile_that_nobody_waits_for_is_ended() {
    let (dir, admin) = (temp_dir(), free_port());
    let listen = format!("127.0.0.1:{admin}");
    let program = Program::proxy(dir.path(), &["--admin-listen", &listen]).await;
    program.ready().await;
    let request = slow_gcc("/home/a", b"int left;\n", 4711);
    let client = send(&program, &request).await;
    eventually("it runs", async || runs("sleep 4711")).await;
    drop(client);
    eventually("it is ended", async || !runs("sleep 4711")).await;
    eventually("it is told", async || program.log().contains("it is given up")).await;
    let metrics = http::get(admin, "/metrics").await.expect("an answer").text();
    assert!(metrics.contains("goma_given_up_total 1"), "{metrics}");
    let left = "goma_request_seconds_count{kind=\"exec\",outcome=\"left\"} 1";
    assert!(metrics.contains(left), "{metrics}");
}

#[tokio::test]
async fn a_compile_that_another_client_wants_too_goes_on() {
    let dir = temp_dir();
    let program = Program::proxy(dir.path(), &[]).await;
    program.ready().await;
    let request = slow_gcc("/home/a", b"int shared;\n", 5);
    let first = send(&program, &request).await;
    eventually("it runs", async || runs("sleep 5")).await;
    let goma = program.goma();
    let second = tokio::spawn(async move { goma.exec(&request).await });
    // So that it waits for the first one's end.
    tokio::time::sleep(Duration::from_millis(500)).await;
    drop(first);
    assert_eq!(object(&second.await.expect("no panic")), b"int shared;\n");
    assert!(!program.log().contains("it is given up"), "{}", program.log());
}
