//! A real Redis of a test's own, which ends with it.

#![allow(unreachable_pub, reason = "shared by tests, each of which is a crate")]

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use goma_shard::facts::{Redis, RedisConfig};
use tempfile::TempDir;

/// How long anything may take that should happen.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct RedisServer {
    child: Option<Child>,
    dir: TempDir,
    pub port: u16,
    cluster: bool,
}

impl RedisServer {
    /// Running and answering.
    pub fn start() -> Self {
        Self::new(false)
    }

    /// One node of a Redis Cluster that has yet to be made of them.
    pub fn node() -> Self {
        Self::new(true)
    }

    fn new(cluster: bool) -> Self {
        let dir = TempDir::new().expect("a directory");
        let mut server = Self { child: None, dir, port: free_port(), cluster };
        server.restart();
        server
    }

    /// Starts it again, empty, where it was.
    pub fn restart(&mut self) {
        let mut command = Command::new("redis-server");
        command.args(["--port", &self.port.to_string(), "--save", "", "--appendonly", "no"]);
        command.args(["--bind", "127.0.0.1", "--dir", self.dir.path().to_str().expect("UTF-8")]);
        if self.cluster {
            command.args(["--cluster-enabled", "yes"]);
        }
        let child = command.stdout(Stdio::null()).spawn();
        self.child = Some(child.expect("redis-server, which .ci/install installs"));
        let start = std::time::Instant::now();
        while self.cli(&["PING"]).trim() != "PONG" {
            assert!(start.elapsed() < PATIENCE, "redis-server does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("killed");
            child.wait().expect("ended");
        }
    }

    /// What `redis-cli` prints for a command.
    pub fn cli(&self, args: &[&str]) -> String {
        let port = self.port.to_string();
        let output = Command::new("redis-cli").args(["-p", &port]).args(args).output();
        String::from_utf8_lossy(&output.expect("redis-cli").stdout).into_owned()
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub fn facts(&self) -> Redis {
        Redis::new(&config(vec![self.url()])).expect("a URL")
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

pub fn config(urls: Vec<String>) -> RedisConfig {
    RedisConfig {
        urls,
        username: None,
        password: None,
        cluster: false,
        namespace: "backend".to_owned(),
        mapping_life: Duration::from_secs(3600),
        presence_life: Duration::from_secs(600),
    }
}

/// Waits for what should happen.
pub async fn eventually(what: &str, mut happened: impl AsyncFnMut() -> bool) {
    let start = std::time::Instant::now();
    while !happened().await {
        assert!(start.elapsed() < PATIENCE, "never: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    // A node of a cluster listens on this one too.
    if port > 55_000 { free_port() } else { port }
}
