//! The same trace by way of a collector that is not ours, Rotel: it reads what we send by gRPC, and sends it on over HTTP.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use goma_common::testing::free_port;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use super::compile_is_one_trace;
use super::receiver::Receiver;

/// What it shows to our receiver.
const KEY: &str = "collector";
/// It takes connections within this.
const READY: Duration = Duration::from_secs(20);

/// `.ci/install` has it on PATH.
fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/bin");
    let mut places = std::env::split_paths(&path).chain([installed]);
    places.find_map(|dir| Some(dir.join("rotel-agent")).filter(|program| program.is_file()))
}

/// Sends on to `to`; ends with what is answered.
async fn start(program: &Path, to: SocketAddr, dir: &Path) -> (Child, String) {
    let [grpc, http] = [free_port(), free_port()].map(|port| format!("127.0.0.1:{port}"));
    let child = Command::new(program)
        .args(["start", "--exporter", "otlp", "--otlp-exporter-protocol", "http"])
        .args(["--otlp-exporter-custom-headers", &format!("x-api-key={KEY}")])
        .args(["--otlp-exporter-endpoint", &format!("http://{to}"), "--batch-timeout", "50ms"])
        .args(["--otlp-grpc-endpoint", &grpc, "--otlp-http-endpoint", &http])
        .arg("--pid-file")
        .arg(dir.join("pid"))
        .arg("--log-file")
        .arg(dir.join("log"))
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("started");
    let ready = async {
        while TcpStream::connect(&grpc).await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(READY, ready).await.expect("the collector takes connections");
    (child, format!("http://{grpc}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_takes_the_trace_of_a_compile_and_hands_it_on_whole() {
    let Some(program) = program() else {
        eprintln!("skipped: no rotel-agent; `.ci/install` brings it");
        return;
    };
    let dir = tempfile::tempdir().expect("a directory");
    let (receiver, address) = Receiver::start_http(KEY).await;
    let (_collector, endpoint) = start(&program, address, dir.path()).await;
    compile_is_one_trace(&receiver, &endpoint).await;
}
