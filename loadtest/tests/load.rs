//! Load runs, as the program makes them, on a server whose every answer is known.

mod support;

use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use goma_proto::api::{ExecResp, ExecResult};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use support::{Fake, Turn};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Child;
use tokio::sync::RwLock;

const PATIENCE: Duration = Duration::from_secs(60);

/// `run --json` with these flags.
fn start(server: SocketAddr, flags: &str) -> Child {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_goma-loadtest"));
    let url = format!("http://{server}");
    command.args(["run", "--json", "--server", &url]).args(flags.split(' ')).kill_on_drop(true);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs")
}

/// Its exit code and what it printed.
async fn end(program: Child) -> (Option<i32>, Value) {
    let output = tokio::time::timeout(PATIENCE, program.wait_with_output());
    let output = output.await.expect("in time").expect("it ran");
    let report = serde_json::from_slice(&output.stdout);
    (output.status.code(), report.unwrap_or_else(|error| panic!("{error}: {output:?}")))
}

async fn run(server: SocketAddr, flags: &str) -> (Option<i32>, Value) {
    end(start(server, flags)).await
}

/// A server whose compiler takes no time.
async fn quick() -> Fake {
    let fake = Fake::start().await;
    fake.set(|habits| habits.canned = Some("object".into()));
    fake
}

/// Waits until so many requests have come, more than there are before a run.
async fn run_has_begun(fake: &Fake) {
    while fake.state.seen.lock().expect("no panic").len() < 40 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[tokio::test]
async fn a_closed_loop_keeps_its_workers_busy() {
    let fake = quick().await;
    let flags = "--workers 2 --inputs 5,9 --duration 1s --warmup 200ms --actions 2";
    let (code, report) = run(fake.address, flags).await;
    assert_eq!(code, Some(0), "{report}");
    assert!(number(&report["requests"]) > 10.0, "{report}");
    assert_eq!(report["errors"], serde_json::json!({}));
    assert_eq!(report["cache_hits"], report["requests"]);
    assert!(number(&report["latency_ms"]["p50"]) > 0.0, "{report}");
    let sizes = ["5", "9"].map(|size| number(&report["by_inputs"][size]["requests"]));
    assert!(sizes[0] > 0.0 && (sizes[0] - sizes[1]).abs() <= 2.0, "{report}");
    assert!(report.get("stages").is_none() && report.get("server").is_none());
    for request in fake.execs().iter().rev().take(2) {
        assert!([5, 9].contains(&request.input.len()), "{}", request.input.len());
        assert!(request.input.iter().all(|input| input.content.is_none()), "all are known");
    }
}

#[tokio::test]
async fn what_is_not_right_is_counted_by_kind() {
    let fake = quick().await;
    let result = ExecResult { exit_status: Some(1), ..Default::default() };
    let failed = ExecResp { result: Some(result), ..Default::default() };
    let turns = [Turn::Status(503), Turn::Hang, Turn::Garbage, Turn::Say(Box::new(failed))];
    let breaking = {
        let fake = fake.clone();
        async move {
            run_has_begun(&fake).await;
            fake.script(turns);
            while !fake.state.script.lock().expect("no panic").is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            fake.set(|habits| habits.canned = Some("another object".into()));
        }
    };
    let flags = "--rate 50 --inputs 5 --duration 3s --warmup 0s --actions 1";
    let ((code, report), ()) = tokio::join!(run(fake.address, flags), breaking);
    assert_eq!(code, Some(1), "{report}");
    for kind in ["http_503", "closed", "bad_message", "exit_status"] {
        assert_eq!(report["errors"][kind], 1, "{kind}: {report}");
    }
    let wrong = number(&report["errors"]["wrong_output"]);
    assert!(wrong > 1.0, "{report}");
    let seconds = report["series"].as_array().expect("seconds").iter();
    assert_eq!(seconds.map(|second| number(&second["errors"])).sum::<f64>(), wrong + 4.0);
}

/// A relay that can be told to pass nothing on for a while, as a server that has stopped does.
async fn relay(to: SocketAddr) -> (SocketAddr, Arc<RwLock<()>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let passing = Arc::new(RwLock::new(()));
    let gate = Arc::clone(&passing);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let gate = Arc::clone(&gate);
            tokio::spawn(async move {
                let mut server = TcpStream::connect(to).await.expect("a server");
                let (mut asked, mut answered) = (vec![0; 1 << 16], vec![0; 1 << 16]);
                loop {
                    tokio::select! {
                        read = client.read(&mut asked) => {
                            let Ok(bytes @ 1..) = read else { return };
                            let _passing = gate.read().await;
                            if server.write_all(&asked[..bytes]).await.is_err() { return };
                        }
                        read = server.read(&mut answered) => {
                            let Ok(bytes @ 1..) = read else { return };
                            if client.write_all(&answered[..bytes]).await.is_err() { return };
                        }
                    }
                }
            });
        }
    });
    (address, passing)
}

/// A run during which nothing is answered for a second.
async fn with_a_stall(flags: &str) -> Value {
    let fake = quick().await;
    let (address, passing) = relay(fake.address).await;
    let stalling = async {
        run_has_begun(&fake).await;
        let stopped = passing.write().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        drop(stopped);
    };
    let ((code, report), ()) = tokio::join!(run(address, flags), stalling);
    assert_eq!(code, Some(0), "{report}");
    report
}

#[tokio::test]
async fn an_open_loop_shows_a_stall_to_all_who_would_have_waited() {
    let flags = "--rate 100 --arrivals fixed --inputs 5 --duration 4s --warmup 0s --actions 1";
    let report = with_a_stall(flags).await;
    // A quarter of the requests were due while nothing was answered, and waited half a second on average.
    let (p50, p90) = (&report["latency_ms"]["p50"], &report["latency_ms"]["p90"]);
    assert!(number(p50) < 200.0 && number(p90) > 300.0, "{report}");
    assert!(number(&report["latency_ms"]["p99"]) > 800.0, "{report}");
    assert_eq!(number(&report["requests"]), 399.0, "none was left out: {report}");
    let worst = report["series"].as_array().expect("seconds").iter();
    assert!(worst.map(|second| number(&second["p99"])).fold(0.0, f64::max) > 800.0, "{report}");
}

#[tokio::test]
async fn a_request_that_finds_no_room_is_dropped_and_counted() {
    let flags = "--rate 100 --arrivals fixed --inputs 5 --duration 4s --warmup 0s --actions 1 \
                 --max-in-flight 10";
    let report = with_a_stall(flags).await;
    let dropped = number(&report["dropped"]);
    assert!((60.0..=110.0).contains(&dropped), "{report}");
    assert_eq!(number(&report["requests"]) + dropped, 399.0);
}

#[tokio::test]
async fn files_are_stored_and_looked_up() {
    let fake = quick().await;
    let flags =
        "--workers 1 --inputs 3 --input-bytes 1000 --duration 500ms --warmup 0s --actions 1";
    let (code, report) = run(fake.address, &format!("--verb store --hit-share 0.5 {flags}")).await;
    assert_eq!((code, &report["errors"]), (Some(0), &serde_json::json!({})));
    assert!(number(&report["throughput_mb_s"]) > 0.0);
    let kept = fake.state.brain.blobs.lock().expect("no panic").len();
    assert!(kept > 6, "{kept}");
    let (code, report) = run(fake.address, &format!("--verb lookup {flags}")).await;
    assert_eq!((code, &report["errors"]), (Some(0), &serde_json::json!({})));
    let bytes = number(&report["throughput_mb_s"]) * number(&report["duration_s"]) * 1e6;
    let expected = 3000.0 * number(&report["requests"]);
    assert!((bytes / expected - 1.0).abs() < 0.01, "{report}");
}

#[tokio::test]
async fn a_run_that_is_interrupted_tells_what_there_is() {
    let fake = quick().await;
    let flags = "--rate 50 --inputs 5 --duration 600s --warmup 0s --actions 1";
    let program = start(fake.address, flags);
    run_has_begun(&fake).await;
    let id = program.id().and_then(|id| Pid::from_raw(id.cast_signed())).expect("it runs");
    kill_process(id, Signal::INT).expect("a signal");
    let (code, report) = end(program).await;
    assert_eq!((code, &report["errors"]), (Some(0), &serde_json::json!({})));
    assert!(number(&report["requests"]) > 10.0, "{report}");
    assert!(number(&report["duration_s"]) < 60.0, "{report}");
}

#[tokio::test]
async fn runs_become_a_page() {
    let fake = quick().await;
    fake.set(|habits| habits.server_timing = Some("job;dur=0.25, total;dur=1.5"));
    let dir = tempfile::tempdir().expect("a directory");
    let out = dir.path().join("one.json");
    let flags = "--rate 20 --inputs 5 --duration 2s --warmup 0s --actions 1 --server-pid";
    let flags = format!("{flags} {} --out {}", std::process::id(), out.display());
    let (code, report) = run(fake.address, &flags).await;
    assert_eq!(code, Some(0));
    assert!(number(&report["server"]["resident_bytes"]) > 0.0, "{report}");
    assert_eq!(report["stages"]["job"]["answers"], report["requests"]);
    assert_eq!((number(&report["stages"]["total"]["p99"]) * 10.0).round(), 15.0, "{report}");
    let written = std::fs::read(&out).expect("a file");
    assert_eq!(serde_json::from_slice::<Value>(&written).expect("JSON"), report);
    let page = dir.path().join("page.html");
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_goma-loadtest"));
    let ended = command.arg("report").args([&out, &out]).arg("--out").arg(&page).status();
    assert!(ended.expect("it runs").success());
    let html = std::fs::read_to_string(&page).expect("a page");
    assert!(html.contains("+0.0 %") && html.contains("memory over time"));
    assert!(html.contains("Stages") && html.contains("0.250 ms"));
}

#[tokio::test]
async fn flags_that_cannot_be_meant_are_named() {
    let wrong = [
        ("--rate 0", "--rate: "),
        ("--inputs 0", "--inputs: "),
        ("--new-share 0.6 --hit-share 0.6", "--hit-share: "),
        ("--input-bytes 3000000", "--input-bytes: "),
        ("--server-pid 4194999", "--server-pid: "),
        ("--verb lookup --hit-share 0.5", "--hit-share: "),
    ];
    let fake = Fake::start().await;
    for (flags, name) in wrong {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_goma-loadtest"));
        let url = format!("http://{}", fake.address);
        command.args(["run", "--server", &url]).args(flags.split(' '));
        let output = command.output().await.expect("it runs");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{flags}: {stderr}");
        assert!(stderr.contains(name), "{flags}: {stderr}");
    }
}
