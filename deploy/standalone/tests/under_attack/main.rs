//! How much memory a server takes while it is attacked, and how long an honest user waits meanwhile.
//!
//! `just under-attack` prints the figures; `SECONDS_EACH` says how long each attack lasts.

mod attackers;
mod honest;
#[path = "../support/mod.rs"]
mod support;

use std::path::Path;
use std::time::Duration;

use support::process::{Program, temp_dir};
use tokio::net::TcpListener;

/// Connections of the attackers.
const CROWD: usize = 2000;
/// Of those who send bombs, each of which may take half a second of a core.
const BOMBERS: usize = 100;
/// Of those who do not read their answers.
const DEAF: usize = 500;
/// `--max-inflight-bytes`: half of it has room for the largest single request, which is 64 MiB as sent and
/// 256 MiB inflated, so that none takes more than its part.
const BOUND: u64 = 1 << 30;
/// What `admission` does not count: what is read ahead on a connection.
const READ_AHEAD: u64 = 64 << 10;
/// And what is made of a request, its task and its connection: no more than what was sent, which is 100 KB
/// where it gets so far.
const REQUEST: u64 = 128 << 10;
/// What the process takes at rest, and 64 MiB of contents that passed through.
const REST: u64 = 128 << 20;

/// `--max-answer-bytes`.
const ANSWERS: u64 = 256 << 20;

/// The most that it may take.
const ALLOWED: u64 = BOUND + ANSWERS + CROWD as u64 * (READ_AHEAD + REQUEST) + REST;

/// A server of which one platform is served by a backend that takes connections and says nothing.
async fn server(dir: &Path) -> (Program, TcpListener) {
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = silent.local_addr().expect("an address");
    let file = dir.join("platforms.toml");
    let text = format!(
        "[[platform]]\n\
         dimensions = [\"os:linux\", \"pool:silent\"]\n\
         backend = \"silent\"\n\
         [backend.silent]\n\
         remoteexec-addr = \"{address}\"\n\
         insecure-remoteexec = true\n"
    );
    std::fs::write(&file, text).expect("writes");
    let file = file.to_str().expect("UTF-8");
    let (bound, answers) = (BOUND.to_string(), ANSWERS.to_string());
    let bounds = ["--max-inflight-bytes", &bound, "--max-answer-bytes", &answers];
    let args = [&["--exec-config-file", file][..], &bounds].concat();
    let program = Program::proxy(dir, &args).await;
    program.ready().await;
    (program, silent)
}

/// The most that it was resident since this was last asked, in bytes.
fn peak(program: &Program) -> u64 {
    let process = format!("/proc/{}", program.id());
    let status = std::fs::read_to_string(format!("{process}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a line");
    let kib = line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number");
    std::fs::write(format!("{process}/clear_refs"), "5").expect("it is ours");
    kib << 10
}

fn each() -> Duration {
    let told = std::env::var("SECONDS_EACH").ok().and_then(|told| told.parse().ok());
    Duration::from_secs(told.unwrap_or(10))
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_stays_bounded_and_an_honest_user_is_served() {
    if !support::may_open(CROWD as u64 + 500) {
        return;
    }
    let dir = temp_dir();
    let (program, silent) = server(dir.path()).await;
    let port = program.port;
    println!("| attack | resident at most | compiles of an honest user | median | worst |");
    println!("|---|---|---|---|---|");
    let report = |what: &str, served: honest::Served| {
        let resident = peak(&program);
        println!(
            "| {what} | {} MB | {} | {:.2} s | {:.2} s |",
            resident / 1_000_000,
            served.compiles(),
            served.median().as_secs_f64(),
            served.worst().as_secs_f64(),
        );
        assert!(resident < ALLOWED, "{what}: {resident} of {ALLOWED}");
    };
    report("none", honest::compiles(port, "none", each()).await);

    let attack = attackers::trickle(port, CROWD);
    let served = honest::compiles(port, "trickle", each()).await;
    attack.end().await;
    report("2,000 connections trickle 20 MB each", served);

    let attack = attackers::bombs(port, BOMBERS);
    let served = honest::compiles(port, "bombs", each()).await;
    attack.end().await;
    report("100 connections send bombs", served);

    let attack = attackers::deaf(port, DEAF).await;
    let served = honest::compiles(port, "deaf", each()).await;
    attack.end().await;
    report("500 connections read nothing of answers of 20 MB", served);

    let attack = attackers::endless_compiles(port, CROWD);
    let served = honest::compiles(port, "silent", each()).await;
    attack.end().await;
    report("2,000 compiles of a silent backend", served);
    drop(silent);
    report("none any more", honest::compiles(port, "after", each() / 2).await);
}
