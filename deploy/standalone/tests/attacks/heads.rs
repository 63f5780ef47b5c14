//! Raw bytes in place of HTTP/1: heads that never end, lengths that lie.

use std::time::Duration;

use crate::support::bench::Bench;
use crate::support::http::Connection;

/// No end of a connection is waited for longer.
const SOON: Duration = Duration::from_secs(20);

const POST: &str = "POST /cxx-compiler-service/l HTTP/1.1\r\nHost: goma\r\n";

#[tokio::test]
async fn a_head_that_is_wrong_is_refused_and_hung_up_on() {
    let bench = Bench::start().await;
    let many: String = (0..200).map(|at| format!("x{at}: y\r\n")).collect();
    for (what, bytes, status) in [
        ("a head of 1 MiB", format!("{POST}x: {}\r\n\r\n", "x".repeat(1 << 20)), 431),
        ("a path of 1 MiB", format!("POST /{} HTTP/1.1\r\n\r\n", "x".repeat(1 << 20)), 431),
        ("200 headers", format!("{POST}{many}\r\n"), 431),
        ("a length that is none", format!("{POST}Content-Length: -1\r\n\r\n"), 400),
        ("a length of 30 digits", format!("{POST}Content-Length: {}\r\n\r\n", "9".repeat(30)), 400),
        ("two lengths", format!("{POST}Content-Length: 0\r\nContent-Length: 9\r\n\r\n"), 400),
        ("a line with a zero byte", format!("{POST}x: a\0b\r\n\r\n"), 400),
        ("no HTTP", "EHLO goma\r\n\r\n".to_owned(), 400),
    ] {
        let mut connection = Connection::open(bench.program.port).await.expect("it listens");
        connection.send(bytes.as_bytes()).await;
        match connection.reply().await {
            Some(reply) => assert_eq!(reply.status, status, "{what}: {}", reply.text()),
            // One that is hung up on while it sends may never see why.
            None => assert!(bytes.len() > 1 << 20, "{what}: no answer"),
        }
        assert!(connection.closes_within(SOON).await, "{what}: still open");
    }
    bench.is_unharmed().await;
}

#[tokio::test]
async fn a_request_within_the_body_of_another_is_not_seen() {
    let bench = Bench::start().await;
    let inner = "GET /healthz HTTP/1.1\r\nHost: goma\r\n\r\n";
    for head in [
        format!("{POST}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n"),
        format!("{POST}Transfer-Encoding: identity\r\nContent-Length: 4\r\n\r\n"),
        format!("{POST}Transfer-Encoding: chunked, identity\r\n\r\n"),
        format!("{POST}Transfer-Encoding: xchunked\r\n\r\n"),
    ] {
        let mut connection = Connection::open(bench.program.port).await.expect("it listens");
        connection.send(format!("{head}0\r\n\r\n{inner}").as_bytes()).await;
        let mut answers = Vec::new();
        while let Some(reply) = connection.reply().await {
            answers.push(reply.status);
            if answers.len() > 2 {
                break;
            }
        }
        assert!(answers.len() <= 1, "{head}: {answers:?}");
    }
    bench.is_unharmed().await;
}

#[tokio::test]
async fn a_body_that_is_no_stream_of_chunks_is_refused() {
    let bench = Bench::start().await;
    let head = format!("{POST}Transfer-Encoding: chunked\r\n\r\n");
    for chunks in ["zz\r\nx\r\n", "FFFFFFFFFFFFFFFFFF\r\n", "5\r\nab\r\n0\r\n\r\n", "-1\r\n\r\n"] {
        let mut connection = Connection::open(bench.program.port).await.expect("it listens");
        connection.send(format!("{head}{chunks}").as_bytes()).await;
        connection.finish().await;
        if let Some(reply) = connection.reply().await {
            assert_eq!(reply.status, 400, "{chunks:?}: {}", reply.text());
        }
    }
    // Chunks without an end are cut at the cap, not collected.
    let mut connection = Connection::open(bench.program.port).await.expect("it listens");
    connection.send(head.as_bytes()).await;
    let chunk = [format!("{:x}\r\n", 1 << 20).into_bytes(), vec![0; 1 << 20], b"\r\n".to_vec()];
    let chunk = chunk.concat();
    let mut sent = 0;
    while sent < 200 && connection.send(&chunk).await {
        sent += 1;
    }
    assert!(sent < 100, "64 MiB are the cap, and {sent} were taken");
    bench.is_unharmed().await;
}
