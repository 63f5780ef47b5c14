//! The program under test as a child process that ends with its test.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::goma::Goma;
use super::{PATIENCE, eventually, http};

/// Settings of whoever runs the tests that would change what the program does.
const OTHERS: [&str; 3] = ["REDISHOST", "REDISPORT", "RUST_LOG"];
static RUNS: AtomicU32 = AtomicU32::new(0);

/// `remoteexec_proxy`, running. Dropping it kills it.
pub struct Program {
    child: Child,
    log: PathBuf,
    pub port: u16,
}

impl Program {
    /// A proxy on a free port, with an embedded backend unless `args` say otherwise, once it
    /// listens. What it keeps is in `dir`.
    pub async fn proxy(dir: &Path, args: &[&str]) -> Self {
        Self::proxy_on(dir, 0, args).await
    }

    /// The same on a port of the test's choice.
    pub async fn proxy_on(dir: &Path, port: u16, args: &[&str]) -> Self {
        let port = port.to_string();
        let data = dir.join("data");
        let own = ["--port", &port, "--data-dir", data.to_str().expect("UTF-8")];
        Self::start(dir, &[&own, args].concat(), " listening address=").await
    }

    /// The same as a shell starts it that was told this before, as `ulimit -n 512`.
    pub async fn proxy_after(told: &str, dir: &Path, args: &[&str]) -> Self {
        let data = dir.join("data");
        let own = ["--port", "0", "--data-dir", data.to_str().expect("UTF-8")];
        let mut shell = Command::new("/bin/sh");
        let program = env!("CARGO_BIN_EXE_remoteexec_proxy");
        shell.args(["-c", &format!("{told}; exec \"$0\" \"$@\""), program]);
        Self::run(shell, dir, &[&own, args].concat(), " listening address=").await
    }

    /// An embedded backend by itself, on this port.
    pub async fn backend(dir: &Path, port: u16) -> Self {
        let address = format!("127.0.0.1:{port}");
        let data = dir.join("backend-data");
        let data = data.to_str().expect("UTF-8");
        let args = ["backend", "--listen", &address, "--data-dir", data];
        Self::start(dir, &args, "embedded backend listening address=").await
    }

    async fn start(dir: &Path, args: &[&str], listening: &str) -> Self {
        let command = Command::new(env!("CARGO_BIN_EXE_remoteexec_proxy"));
        Self::run(command, dir, args, listening).await
    }

    async fn run(mut command: Command, dir: &Path, args: &[&str], listening: &str) -> Self {
        let run = RUNS.fetch_add(1, Ordering::Relaxed);
        let log = dir.join(format!("{run}.log"));
        let file = std::fs::File::create(&log).expect("a log file");
        command.args(args).kill_on_drop(true);
        let flags = std::env::vars_os().map(|(name, _)| name);
        let flags = flags.filter(|name| name.as_encoded_bytes().starts_with(b"GOMA_"));
        for name in flags.chain(OTHERS.map(Into::into)) {
            command.env_remove(name);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file);
        let child = command.spawn().expect("the program starts");
        let mut program = Self { child, log, port: 0 };
        eventually("the program listens", async || {
            let ended = program.child.try_wait().expect("a child");
            assert!(ended.is_none(), "it ended with {ended:?}:\n{}", program.log());
            program.port = port_in(&program.log(), listening).unwrap_or(0);
            program.port != 0
        })
        .await;
        program
    }

    /// All that it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).expect("a log file")
    }

    pub fn goma(&self) -> Goma {
        Goma { port: self.port }
    }

    /// The status and words of a GET.
    pub async fn get(&self, path: &str) -> http::Reply {
        http::get(self.port, path).await.expect("an answer")
    }

    pub async fn ready(&self) {
        eventually("ready", async || self.get("/readyz").await.status == 200).await;
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    pub fn terminate(&self) {
        let id = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        kill_process(id.expect("it runs"), Signal::TERM).expect("a signal");
    }

    /// Waits for its end.
    pub async fn ended(mut self) -> ExitStatus {
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        ended.unwrap_or_else(|_| panic!("it does not end:\n{}", self.log())).expect("a child")
    }

    /// As `kill -9` does.
    pub async fn kill(mut self) {
        self.child.kill().await.expect("killed");
    }

    /// Whether it has ended within this time.
    pub async fn ends_within(&mut self, time: Duration) -> bool {
        tokio::time::timeout(time, self.child.wait()).await.is_ok()
    }
}

fn port_in(log: &str, listening: &str) -> Option<u16> {
    let rest = &log[log.find(listening)? + listening.len()..];
    // A line that is not whole yet may hold half a port.
    let line = &rest[..rest.find('\n')?];
    line.split_whitespace().next()?.rsplit(':').next()?.parse().ok()
}

pub fn temp_dir() -> TempDir {
    TempDir::new().expect("a temporary directory")
}
