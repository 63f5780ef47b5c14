//! Connections that balancers and backends end or refuse, and addresses of which one is bad.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use goma_common::Digest;
use goma_common::reapi::{Address, Backend, RemoteConfig, connect};
use goma_common::testing::{Fault, Server, deadline};
use h2::Reason;
use http::{HeaderMap, Response};
use tokio::net::{TcpListener, TcpStream};
use tonic::Status;

fn backend(names: &[String]) -> Backend {
    let address = Address::Network(names.to_vec());
    connect(&RemoteConfig::plain(address, "main")).expect("an address")
}

/// Asks so often, so many at once, and returns how many calls failed.
async fn ask(backend: &Backend, rounds: usize, at_once: usize) -> usize {
    let mut failed = 0;
    for round in 0..rounds {
        let calls = (0..at_once).map(|call| async move {
            let digest = Digest::of(format!("{round} {call}").as_bytes());
            backend.cas.find_missing(&[digest], deadline()).await
        });
        let answers = join_all(calls).await;
        failed += answers.iter().filter(|answer| answer.is_err()).count();
    }
    failed
}

/// How a bare server treats the streams of each of its connections.
#[derive(Clone, Copy)]
enum Manner {
    /// It resets every other one as refused.
    RefusesHalf,
    /// It says after so many that it takes no more, and ends when those are answered.
    GoesAwayAfter(usize),
}

/// Answers every call with a message that says nothing; returns its address and the count of its
/// answers.
async fn bare_server(manner: Manner) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address: SocketAddr = listener.local_addr().expect("an address");
    let answered = Arc::new(AtomicUsize::new(0));
    let counted = answered.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, manner, counted.clone()));
        }
    });
    (address.to_string(), answered)
}

async fn serve(stream: TcpStream, manner: Manner, answered: Arc<AtomicUsize>) {
    stream.set_nodelay(true).expect("an option");
    let mut connection = h2::server::handshake(stream).await.expect("HTTP/2");
    let mut taken = 0;
    while let Some(Ok((_, mut respond))) = connection.accept().await {
        taken += 1;
        match manner {
            Manner::RefusesHalf if taken % 2 == 1 => {
                respond.send_reset(Reason::REFUSED_STREAM);
                continue;
            }
            Manner::GoesAwayAfter(count) if taken == count => connection.graceful_shutdown(),
            _ => {}
        }
        let head = Response::builder().header("content-type", "application/grpc");
        let mut body = respond.send_response(head.body(()).expect("a head"), false).expect("sent");
        body.send_data(Bytes::from_static(&[0; 5]), false).expect("sent");
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", "0".parse().expect("a value"));
        body.send_trailers(trailers).expect("sent");
        answered.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn refused_streams_are_opened_again_without_charge() {
    let (address, answered) = bare_server(Manner::RefusesHalf).await;
    // As many tries that were paid for would be far above the budget.
    assert_eq!(ask(&backend(&[address]), 100, 1).await, 0);
    let answered = answered.load(Ordering::Relaxed);
    assert!((100..=101).contains(&answered), "{answered}: capabilities are asked for too");
}

#[tokio::test]
async fn connections_that_a_balancer_ends_after_some_streams_fail_no_call_and_cost_none() {
    let (address, answered) = bare_server(Manner::GoesAwayAfter(10)).await;
    let backend = backend(&[address]);
    assert_eq!(ask(&backend, 100, 20).await, 0);
    let answered = answered.load(Ordering::Relaxed);
    assert!((2_000..2_010).contains(&answered), "{answered} answers to 2,000 calls");
}

#[tokio::test]
async fn equals_are_asked_in_turn_and_a_dead_one_is_left_out() {
    let (one, mut other) = (Server::start().await, Server::start().await);
    let backend = backend(&[one.address(), other.address()]);
    assert_eq!(ask(&backend, 50, 4).await, 0);
    let calls = [&one, &other].map(|server| server.faults.calls("FindMissingBlobs"));
    assert_eq!(calls, [100, 100]);
    other.kill().await;
    assert_eq!(ask(&backend, 50, 4).await, 0);
    assert_eq!(one.faults.calls("FindMissingBlobs"), 300, "all that the other could not take");
    other.run().await;
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(ask(&backend, 50, 4).await, 0);
    let calls = other.faults.calls("FindMissingBlobs");
    assert!(calls > 150, "{calls}: it has its turns again");
}

#[tokio::test]
async fn an_equal_that_cannot_serve_is_left_out_though_it_answers() {
    let (one, other) = (Server::start().await, Server::start().await);
    let backend = backend(&[one.address(), other.address()]);
    let draining = Fault::Fails(Status::unavailable("draining"));
    other.faults.always("FindMissingBlobs", draining);
    assert_eq!(ask(&backend, 25, 8).await, 0);
    let calls = other.faults.calls("FindMissingBlobs");
    assert!(calls <= 8, "{calls} calls: the first of each lane, and no more within a second");
}

#[tokio::test]
async fn an_equal_that_takes_calls_and_never_answers_is_left_out() {
    let (one, other) = (Server::start().await, Server::start().await);
    let backend = backend(&[one.address(), other.address()]);
    other.faults.always("FindMissingBlobs", Fault::IsSilent);
    assert_eq!(ask(&backend, 3, 4).await, 0);
    let calls = other.faults.calls("FindMissingBlobs");
    assert!(calls <= 4, "{calls} calls");
}
