//! Before a message is read: HTTP, sizes, compression, and what is no message.

use std::io::Write;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder};
use goma_proto::api::{ExecReq, LookupFileReq};
use prost::Message;

use crate::Bench;
use crate::support::goma::{file, unknown_key};
use crate::support::http::{self, Connection, post, render};
use crate::support::requests::{gcc, object, with};

const GZIP: (&str, &str) = ("Content-Encoding", "gzip");
const DEFLATE: (&str, &str) = ("Content-Encoding", "deflate");

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("compressed")
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("compressed")
}

fn message() -> Vec<u8> {
    let keys = (0..200).map(unknown_key).collect();
    LookupFileReq { hash_key: keys, ..Default::default() }.encode_to_vec()
}

/// What it is, its headers, its bytes, and what the refusal says.
type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [u8], &'a str);

#[tokio::test]
async fn bodies_that_cannot_be_read_are_refused_in_words() {
    let bench = Bench::start().await;
    let whole = gzip(&message());
    let truncated = &whole[..whole.len() / 2];
    let mut damaged = deflate(&message());
    let middle = damaged.len() / 2;
    damaged[..middle].iter_mut().for_each(|byte| *byte = !*byte);
    let mut flipped = whole.clone();
    let crc = flipped.len() - 6;
    flipped[crc] ^= 1;
    let cases: [Case<'_>; 7] = [
        ("garbage", &[], b"\xff\xfe no message \x00\x01", "body"),
        ("an ExecReq cut off", &[], &gcc("/home/a", "a.c").encode_to_vec()[..40], "body"),
        ("truncated gzip", &[GZIP], truncated, "gzip"),
        ("gzip with a wrong checksum", &[GZIP], &flipped, "gzip"),
        ("no gzip at all", &[GZIP], b"plain words", "gzip"),
        ("damaged deflate", &[DEFLATE], &damaged, "deflate"),
        ("a coding that nobody offered", &[("Content-Encoding", "br")], b"x", "gzip or deflate"),
    ];
    for (what, headers, body, words) in cases {
        for path in ["/e", "/s", "/l", "/sl"] {
            let reply = post(bench.program.port, path, headers, body).await;
            assert_eq!(reply.status, 400, "{what} to {path}: {}", reply.text());
            assert!(reply.text().contains(words), "{what} to {path}: {}", reply.text());
        }
    }
    bench.is_unharmed().await;
}

#[tokio::test]
async fn the_stock_clients_deflate_is_read() {
    let bench = Bench::start().await;
    // With the four bytes of the checksum at its end, as that client leaves them there.
    let body = [deflate(&message()), vec![1, 2, 3, 4]].concat();
    let reply = post(bench.program.port, "/l", &[DEFLATE], &body).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.header("accept-encoding"), Some("gzip, deflate"));
}

#[tokio::test]
async fn a_body_that_inflates_past_the_limit_is_refused() {
    let bench = Bench::start().await;
    let bomb = {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        let zeros = vec![0; 1 << 20];
        (0..300).for_each(|_| encoder.write_all(&zeros).expect("compressed"));
        encoder.finish().expect("compressed")
    };
    let reply = post(bench.program.port, "/e", &[GZIP], &bomb).await;
    assert_eq!(reply.status, 400);
    assert!(reply.text().contains("inflates to more than"), "{}", reply.text());
    bench.is_unharmed().await;
}

#[tokio::test]
async fn a_body_over_the_cap_is_refused_before_it_is_sent() {
    let bench = Bench::start().await;
    for length in [(64 << 20) + 1, 1 << 50] {
        let mut connection = Connection::open(bench.program.port).await.expect("open");
        let head = render("POST /cxx-compiler-service/s", &[], length);
        connection.send(&head).await;
        let reply = connection.reply().await.expect("an answer");
        assert_eq!(reply.status, 400, "{length}");
        assert!(reply.text().contains("larger than"), "{}", reply.text());
    }
    bench.is_unharmed().await;
}

#[tokio::test]
async fn what_is_not_served_is_refused_in_words() {
    let bench = Bench::start().await;
    let port = bench.program.port;
    let cases = [
        ("GET /cxx-compiler-service/e", 400, "GET"),
        ("PUT /cxx-compiler-service/s", 400, "PUT"),
        ("POST /cxx-compiler-service/nothing", 404, "/cxx-compiler-service/nothing"),
        ("POST /e", 404, "/e"),
        ("GET /", 404, "/"),
    ];
    for (line, status, words) in cases {
        let reply = http::request(port, line, &[], b"").await.expect("an answer");
        assert_eq!(reply.status, status, "{line}");
        assert!(reply.text().contains(words), "{line}: {}", reply.text());
    }
    // What is no HTTP may be hung up on, and that is all.
    let mut connection = Connection::open(port).await.expect("open");
    connection.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n").await;
    assert_ne!(connection.reply().await.map(|reply| reply.status), Some(200));
    bench.is_unharmed().await;
}

#[tokio::test]
async fn an_empty_exec_is_refused_and_other_empty_requests_are_answered() {
    let bench = Bench::start().await;
    let port = bench.program.port;
    let reply = post(port, "/e", &[], &ExecReq::default().encode_to_vec()).await;
    assert_eq!((reply.status, reply.text().contains("command_spec")), (400, true));
    for path in ["/s", "/l", "/sl", "/ping"] {
        assert_eq!(post(port, path, &[], b"").await.status, 200, "{path}");
    }
    bench.is_unharmed().await;
}

#[tokio::test]
async fn a_body_that_trickles_in_holds_nobody_up() {
    let bench = Bench::start().await;
    let request = with(gcc("/home/b", "b.c"), "b.c", &file(b"int b;\n")).encode_to_vec();
    let mut slow = Vec::new();
    for _ in 0..50 {
        let mut connection = Connection::open(bench.program.port).await.expect("open");
        let head = render("POST /cxx-compiler-service/e", &[], request.len());
        assert!(connection.send(&head).await && connection.send(&request[..1]).await);
        slow.push(connection);
    }
    for (at, connection) in slow.iter_mut().enumerate() {
        assert!(connection.send(&request[1..2 + at]).await);
        let started = Instant::now();
        let source = format!("int quick{at};\n");
        if at % 10 == 0 {
            let quick = with(gcc("/home/q", "q.c"), "q.c", &file(source.as_bytes()));
            object(&bench.goma.exec(&quick).await);
            assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
        }
    }
    // They get their answers when they are done.
    for (at, connection) in slow.iter_mut().enumerate() {
        assert!(connection.send(&request[2 + at..]).await);
        assert_eq!(connection.reply().await.expect("an answer").status, 200);
    }
    bench.is_unharmed().await;
}

#[tokio::test]
async fn large_bodies_that_do_not_come_hold_nobody_up() {
    let bench = Bench::start().await;
    // More than there is room for.
    let mut slow = Vec::new();
    for (count, length) in [(60, 10 << 20), (20, 60 << 20)] {
        for _ in 0..count {
            let mut connection = Connection::open(bench.program.port).await.expect("open");
            let head = render("POST /cxx-compiler-service/s", &[GZIP], length);
            assert!(connection.send(&head).await && connection.send(b"\x1f").await);
            slow.push(connection);
        }
    }
    let started = Instant::now();
    bench.is_unharmed().await;
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}
