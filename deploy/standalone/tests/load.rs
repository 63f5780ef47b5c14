//! Load runs on the real program: what they count is what it did.

mod support;

use std::time::Duration;

use goma_loadtest::Server;
use goma_loadtest::http::Coding;
use goma_loadtest::load::{self, Arrivals, LoadConfig, Pace, Verb, Way};
use goma_loadtest::report::LoadReport;
use support::process::{Program, temp_dir};

const CLOSED: Pace = Pace::Closed { workers: 4 };
const OPEN: Pace = Pace::Open {
    rate: 30.0,
    arrivals: Arrivals::Poisson,
    ramp: Duration::ZERO,
    max_in_flight: 100,
};

/// Two seconds of it.
async fn run(program: &Program, pace: Pace, change: impl Fn(&mut LoadConfig)) -> LoadReport {
    let url = format!("http://127.0.0.1:{}", program.port);
    let mut config = LoadConfig {
        way: Way {
            server: Server::parse(&url).expect("a URL"),
            url,
            tokens: Vec::new(),
            two_writes: false,
            coding: Some(Coding::Gzip),
            // A test that hangs is to fail before its runner gives up.
            timeout: Duration::from_secs(60),
        },
        verb: Verb::Exec,
        pace,
        duration: Duration::from_secs(2),
        warmup: Duration::from_millis(500),
        seed: 1,
        inputs: vec![10, 60],
        input_bytes: 2000,
        actions: 2,
        new_share: 0.0,
        new_files: 3,
        hit_share: 1.0,
        compiler: "gcc".to_owned(),
        toolchain_included: true,
        exec_root: None,
        dimensions: Vec::new(),
        server_pids: vec![program.id()],
        dir: None,
    };
    change(&mut config);
    load::run(&config, std::future::pending(), |_| ()).await.expect("a report")
}

#[track_caller]
fn assert_right(report: &LoadReport) {
    assert!(report.requests > 0 && report.errors.is_empty(), "{report:?}");
    assert_eq!(report.dropped, 0, "{report:?}");
    assert!(report.latency_ms.p50 > 0.0 && report.rate > 0.0, "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn known_compiles_come_from_the_cache_in_both_loops() {
    let dir = temp_dir();
    let program = Program::proxy(dir.path(), &[]).await;
    program.ready().await;
    for pace in [CLOSED, OPEN] {
        let report = run(&program, pace, |_| ()).await;
        assert_right(&report);
        assert_eq!((report.cache_hits, report.resent), (report.requests, 0));
        let server = report.server.expect("watched");
        assert!(server.cpu_ms > 0 && server.resident_bytes > 1 << 20, "{server:?}");
    }
    let report = run(&program, CLOSED, |config| config.way.two_writes = true).await;
    assert_right(&report);
}

#[tokio::test(flavor = "multi_thread")]
async fn new_sources_and_files_are_compiled() {
    let dir = temp_dir();
    let program = Program::proxy(dir.path(), &[]).await;
    program.ready().await;
    let report = run(&program, CLOSED, |config| {
        (config.new_share, config.hit_share) = (0.3, 0.5);
        // Where the compiler is slow a few seconds are a dozen requests, of which half are known.
        config.duration = Duration::from_secs(6);
    });
    let report = report.await;
    assert_right(&report);
    assert!(report.cache_hits > 0 && report.cache_hits < report.requests, "{report:?}");

    // More new files than one request holds: the rest is asked for.
    let report = run(&program, CLOSED, |config| {
        config.inputs = vec![100];
        config.input_bytes = 30_000;
        (config.new_files, config.new_share, config.hit_share) = (60, 1.0, 0.0);
    });
    let report = report.await;
    assert_right(&report);
    assert!(report.resent >= report.requests, "{report:?}");
    assert_eq!(report.cache_hits, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_stored_and_looked_up() {
    let dir = temp_dir();
    let program = Program::proxy(dir.path(), &[]).await;
    program.ready().await;
    for (verb, hit_share) in [(Verb::Store, 0.5), (Verb::Lookup, 1.0)] {
        let report = run(&program, CLOSED, |config| {
            (config.verb, config.hit_share, config.input_bytes) = (verb, hit_share, 20_000);
        });
        let report = report.await;
        assert_right(&report);
        assert!(report.throughput_mb_s > 0.0, "{report:?}");
    }
}
