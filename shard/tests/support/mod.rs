//! A real Redis of a test's own, which ends with it.

#![allow(unreachable_pub, reason = "shared by tests, each of which is a crate")]

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use goma_common::testing::free_port;
use goma_shard::facts::{Redis, RedisConfig};
use tempfile::TempDir;

/// How long anything may take that should happen.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct RedisServer {
    child: Option<Child>,
    dir: TempDir,
    pub port: u16,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Single,
    Node,
    Tls,
}

impl RedisServer {
    /// Running and answering.
    pub async fn start() -> Self {
        Self::new(Kind::Single).await
    }

    /// One node of a Redis Cluster that has yet to be made of them.
    pub async fn node() -> Self {
        Self::new(Kind::Node).await
    }

    async fn new(kind: Kind) -> Self {
        let dir = TempDir::new().expect("a directory");
        let mut server = Self { child: None, dir, port: free_port(), kind };
        server.restart().await;
        server
    }

    /// One that speaks TLS only, and the certificate of its authority.
    pub async fn tls() -> (Self, Vec<u8>) {
        let dir = TempDir::new().expect("a directory");
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"])
            .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"])
            .args(["-addext", "basicConstraints=critical,CA:FALSE"])
            .args(["-keyout", "key.pem", "-out", "cert.pem"])
            .current_dir(dir.path())
            .output();
        assert!(made.expect("openssl").status.success(), "a certificate");
        let certificate = std::fs::read(dir.path().join("cert.pem")).expect("a certificate");
        let mut server = Self { child: None, dir, port: free_port(), kind: Kind::Tls };
        server.restart().await;
        (server, certificate)
    }

    /// Starts it again, empty, where it was.
    pub async fn restart(&mut self) {
        let mut command = Command::new("redis-server");
        let port = self.port.to_string();
        command.current_dir(self.dir.path());
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        match self.kind {
            Kind::Single => command.args(["--port", &port]),
            Kind::Node => command.args(["--port", &port, "--cluster-enabled", "yes"]),
            Kind::Tls => command.args(["--port", "0", "--tls-port", &port]).args([
                "--tls-cert-file",
                "cert.pem",
                "--tls-key-file",
                "key.pem",
                "--tls-ca-cert-file",
                "cert.pem",
                "--tls-auth-clients",
                "no",
            ]),
        };
        let child = command.stdout(Stdio::null()).spawn();
        self.child = Some(child.expect("redis-server, which .ci/install installs"));
        let start = std::time::Instant::now();
        while self.cli(&["PING"]).trim() != "PONG" {
            assert!(start.elapsed() < PATIENCE, "redis-server does not answer");
            tokio::time::sleep(Duration::from_millis(20)).await;
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
        let mut command = Command::new("redis-cli");
        if self.kind == Kind::Tls {
            command.args(["--tls", "--insecure"]);
        }
        let output = command.args(["-p", &port]).args(args).output();
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
        ca_certificate: None,
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
