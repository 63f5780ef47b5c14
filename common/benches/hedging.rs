//! What asking late questions twice is worth: `cargo bench -p goma-common --bench hedging`.
//!
//! FindMissingBlobs at a steady rate to a scripted server of which two answers in a hundred are late by
//! 200 ms, without and with `--remote-hedge`. Prints percentiles of the answers and calls a question.

use std::time::Duration;

use futures::future::join_all;
use goma_common::Digest;
use goma_common::reapi::{Address, RemoteConfig, connect};
use goma_common::testing::{Fault, Server, deadline};
use hdrhistogram::Histogram;
use tokio::time::{Instant, sleep_until};

const QUESTIONS: u32 = 20_000;
const APART: Duration = Duration::from_millis(1);
const LATE: Duration = Duration::from_millis(200);
const SHARE: f64 = 0.02;

#[tokio::main]
async fn main() {
    // Under `cargo test` it only has to build.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    println!("hedge after   p50 ms   p99 ms  p99.9 ms   max ms   calls a question");
    for hedge in [None, Some(50), Some(20), Some(10)] {
        measure(hedge.map(Duration::from_millis)).await;
    }
}

async fn measure(hedge: Option<Duration>) {
    let server = Server::start().await;
    let plain = RemoteConfig::plain(Address::Network(vec![server.address()]), "main");
    let backend = connect(&RemoteConfig { hedge, ..plain }).expect("an address");
    backend.cas.find_missing(&[Digest::of(b"first")], deadline()).await.expect("answered");
    server.faults.some(SHARE, Fault::IsLate(LATE));
    let began = Instant::now();
    let questions = (0..QUESTIONS).map(|number| {
        let backend = &backend;
        async move {
            let at = began + APART * number;
            sleep_until(at).await;
            let digest = Digest::of(&number.to_le_bytes());
            backend.cas.find_missing(&[digest], deadline()).await.expect("answered");
            at.elapsed()
        }
    });
    let mut times = Histogram::<u64>::new(3).expect("three digits");
    for took in join_all(questions).await {
        times.record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX)).expect("it fits");
    }
    let ms = |micros: u64| micros as f64 / 1_000.0;
    let calls = server.faults.calls("FindMissingBlobs") as f64 / f64::from(QUESTIONS);
    println!(
        "{:>11} {:>8.1} {:>8.1} {:>9.1} {:>8.1} {calls:>18.3}",
        hedge.map_or_else(|| "never".to_owned(), |after| format!("{} ms", after.as_millis())),
        ms(times.value_at_quantile(0.5)),
        ms(times.value_at_quantile(0.99)),
        ms(times.value_at_quantile(0.999)),
        ms(times.max()),
    );
}
