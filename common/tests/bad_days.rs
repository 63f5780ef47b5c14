//! A backend in trouble is not given more of it, and is served by as soon as it is well again.

use std::time::Duration;

use futures::future::join_all;
use goma_common::reapi::{Address, Backend, RemoteConfig, connect};
use goma_common::testing::{Fault, Server, deadline};
use goma_common::{Code, Digest};
use tokio::time::{Instant, sleep};
use tonic::Status;

fn backend(server: &Server) -> Backend {
    let address = Address::Network(vec![server.address()]);
    connect(&RemoteConfig::plain(address, "main")).expect("an address")
}

#[tokio::test]
async fn in_a_brown_out_a_tenth_of_the_calls_is_made_again_at_most() {
    let server = Server::start().await;
    let backend = backend(&server);
    backend.cas.find_missing(&[Digest::of(b"x")], deadline()).await.expect("it is well");
    let before = server.faults.calls("FindMissingBlobs");
    server.faults.some(0.3, Fault::Fails(Status::resource_exhausted("too busy")));
    const CALLS: usize = 2_000;
    for _ in 0..CALLS / 20 {
        let calls = (0..20).map(|_| backend.cas.find_missing(&[Digest::EMPTY], deadline()));
        join_all(calls).await;
    }
    let made = server.faults.calls("FindMissingBlobs") - before;
    println!("{CALLS} calls were {made}");
    assert!(made > CALLS, "some are made again");
    assert!(made <= CALLS * 11 / 10, "{made} for {CALLS}");
}

#[tokio::test]
async fn a_dead_backend_is_looked_for_once_a_second_and_served_by_soon_after_its_return() {
    let server = Server::start().await;
    let backend = backend(&server);
    backend.cas.find_missing(&[Digest::of(b"x")], deadline()).await.expect("it is well");
    let all = ["FindMissingBlobs", "GetCapabilities"];
    for method in all {
        server.faults.always(method, Fault::Fails(Status::unavailable("going down")));
    }
    let began = Instant::now();
    // Fifty callers who do not give up.
    let callers = (0..50).map(|_| {
        let cas = backend.cas.clone();
        tokio::spawn(async move {
            loop {
                match cas.find_missing(&[Digest::EMPTY], deadline()).await {
                    Ok(_) => return Instant::now(),
                    Err(error) => assert_eq!(error.code, Code::Unavailable, "{error}"),
                }
                sleep(Duration::from_millis(20)).await;
            }
        })
    });
    let callers: Vec<_> = callers.collect();
    sleep(Duration::from_secs(6)).await;
    let settled = began + Duration::from_secs(2);
    let looks = server.faults.times().into_iter().filter(|at| *at > settled).count();
    println!("{looks} calls in four seconds");
    assert!((2..=5).contains(&looks), "{looks} calls in four seconds");
    server.faults.end();
    let back = Instant::now();
    for caller in callers {
        let served = caller.await.expect("ends");
        assert!(served - back < Duration::from_secs(2), "{:?}", served - back);
    }
}

#[tokio::test]
async fn a_backend_that_is_killed_and_comes_back_fails_no_call() {
    let mut server = Server::start().await;
    let backend = backend(&server);
    backend.cas.find_missing(&[Digest::of(b"x")], deadline()).await.expect("it is well");
    let calls = (0..200).map(|n| {
        let cas = backend.cas.clone();
        tokio::spawn(async move {
            sleep(Duration::from_millis(10 * n)).await;
            cas.find_missing(&[Digest::EMPTY], deadline()).await
        })
    });
    let calls: Vec<_> = calls.collect();
    sleep(Duration::from_millis(500)).await;
    server.kill().await;
    sleep(Duration::from_secs(2)).await;
    server.run().await;
    for call in calls {
        call.await.expect("ends").expect("it was waited for");
    }
}

#[tokio::test]
async fn a_backend_that_comes_back_is_asked_for_its_limits_again() {
    let mut server = Server::start().await;
    let backend = backend(&server);
    let find = || backend.cas.find_missing(&[Digest::EMPTY], deadline());
    let tell = |server: &Server, bytes| {
        server.services.tell(|told| {
            let cache = told.cache_capabilities.get_or_insert_default();
            cache.max_batch_total_size_bytes = bytes;
        });
    };
    tell(&server, 2 << 20);
    find().await.expect("it is well");
    assert_eq!(backend.limits.batch_bytes(), 2 << 20);
    server.kill().await;
    tell(&server, 1 << 20);
    let (found, ()) = tokio::join!(join_all((0..10).map(|_| find())), async {
        sleep(Duration::from_millis(300)).await;
        server.run().await;
    });
    assert!(found.into_iter().all(|found| found.is_ok()), "it was waited for");
    find().await.expect("it is well");
    assert_eq!(backend.limits.batch_bytes(), 1 << 20);
}
