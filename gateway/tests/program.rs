//! The program `goma-gateway` from outside: what it refuses, what it says, and how it ends.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStderr, Command, Output, Stdio};

use goma_common::testing::free_port;
use rustix::process::{Pid, Signal, kill_process};

fn program(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_goma-gateway"));
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"GOMA_") || name == "RUST_LOG" {
            command.env_remove(name);
        }
    }
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

fn run(args: &[&str]) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = program(args).output().expect("it starts");
    (status.code(), String::from_utf8_lossy(&stderr).into_owned())
}

/// A port at which nobody listens.
fn nobody() -> String {
    format!("127.0.0.1:{}", free_port())
}

/// Running; dropping it kills it.
struct Running {
    child: Child,
    log: BufReader<ChildStderr>,
    address: SocketAddr,
}

impl Running {
    fn start(args: &[&str]) -> Self {
        let mut child = program(args).spawn().expect("it starts");
        let mut log = BufReader::new(child.stderr.take().expect("piped"));
        let mut seen = String::new();
        let address = loop {
            let mut line = String::new();
            assert_ne!(log.read_line(&mut line).expect("text"), 0, "it ended: {seen}");
            if let Some((_, rest)) = line.split_once(" listening address=") {
                let address = rest.split_whitespace().next().expect("an address");
                break address.parse().expect("an address");
            }
            seen += &line;
        };
        Self { child, log, address }
    }

    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.address).expect("it accepts");
        write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            .expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        answer
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn what_cannot_be_is_refused_and_the_flag_is_named() {
    let shards = ["--shards", "a=127.0.0.1:1", "--remoteexec-addr", "127.0.0.1:2"];
    let with = |more: &[&str]| run(&[&shards[..], more].concat());
    for (args, flag) in [
        (with(&["--listen", "0.0.0.0:0"]), "--allow-anybody"),
        (with(&["--shards", "a=127.0.0.1:3"]), "--shards: a is there twice"),
        (with(&["--additional-tls-certificate", "/no/such"]), "--additional-tls-certificate"),
        (run(&["--shards", "a=127.0.0.1:1"]), "--remoteexec-addr"),
    ] {
        let (code, said) = args;
        assert_eq!(code, Some(64), "{said}");
        assert!(said.contains(flag), "{flag} in {said}");
    }
    let (code, said) = run(&["--remoteexec-addr", "127.0.0.1:2"]);
    assert_eq!(code, Some(2), "clap's own");
    assert!(said.contains("--shards-dns"), "{said}");
}

#[test]
fn without_a_shard_it_lives_says_so_and_drains() {
    let (shard, backend) = (nobody(), nobody());
    let shards = format!("a={shard}");
    let flags = ["--listen", "127.0.0.1:0", "--shards", &shards, "--insecure-remoteexec"];
    let mut running = Running::start(&[&flags[..], &["--remoteexec-addr", &backend]].concat());
    assert!(running.get("/healthz").starts_with("HTTP/1.1 200"));
    // The list may not have been looked at yet, or the first probe be under way; an answer is good for a second.
    let unready = loop {
        let unready = running.get("/readyz");
        assert!(unready.starts_with("HTTP/1.1 503"), "{unready}");
        if !unready.contains("not asked yet") && !unready.contains("none is known") {
            break unready;
        }
    };
    let why = format!("no shard is up: a: {shard}: Connection refused");
    assert!(unready.contains(&why), "{unready}");

    let id = Pid::from_raw(running.child.id().cast_signed()).expect("it runs");
    kill_process(id, Signal::TERM).expect("a signal");
    assert_eq!(running.child.wait().expect("a child").code(), Some(0));
    let mut log = String::new();
    running.log.read_to_string(&mut log).expect("text");
    assert!(log.contains("draining"), "{log}");
}
