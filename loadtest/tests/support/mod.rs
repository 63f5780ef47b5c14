//! A scripted Goma server on port 0, a source tree to compile, and a client for both.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, missing_docs)]

mod brain;
mod wire;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use goma_loadtest::{Client, ClientConfig, Compile, Outcome, Server};
use goma_proto::api::{ExecReq, ExecResp, LookupFileReq, StoreFileReq};
use prost::Message;

pub use brain::Brain;

/// What the server does with one request to `/e`, taken from the script in order.
#[derive(Clone, Debug)]
pub enum Turn {
    /// As a server would.
    Serve,
    /// This status, no body.
    Status(u16),
    /// The end, before a header.
    Hang,
    /// Half of the body and then the end.
    Cut,
    /// A 200 that is no message.
    Garbage,
    /// This answer.
    Say(Box<ExecResp>),
}

/// How bodies of answers are delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    Length,
    Chunked,
    Eof,
}

/// How the server behaves; change before or between requests.
#[derive(Debug)]
pub struct Habits {
    pub framing: Framing,
    pub accept_encoding: Option<&'static str>,
    /// Content-Encoding of answers: gzip or deflate.
    pub content_encoding: Option<&'static str>,
    /// Of answers.
    pub server_timing: Option<&'static str>,
    /// Closes after each answer without saying so.
    pub close_silently: bool,
    /// Status of `/ping`.
    pub ping: u16,
    /// Most names in one `missing_input`.
    pub max_missing: usize,
    /// Forgets what was embedded in an Exec that it answers with `missing_input`.
    pub forgetful: bool,
    /// Outputs of at least this size go through `/l`.
    pub lookup_from: usize,
    /// Outputs that go through `/l` are one FILE_REF and not chunks.
    pub by_reference: bool,
    /// Flips a bit in looked up contents.
    pub corrupt: bool,
    /// What the compiler makes instead of a real object.
    pub canned: Option<Bytes>,
}

/// One request as it came.
#[derive(Clone, Debug)]
pub struct Seen {
    pub path: String,
    pub connection: usize,
    pub head: String,
    /// Bytes of the body that came together with the head.
    pub with_head: usize,
    /// As on the wire.
    pub raw: Vec<u8>,
    /// Inflated.
    pub body: Vec<u8>,
}

/// The server; it stops with the test's runtime.
#[derive(Clone, Debug)]
pub struct Fake {
    pub address: SocketAddr,
    pub state: Arc<State>,
}

#[derive(Debug)]
pub struct State {
    pub habits: Mutex<Habits>,
    pub script: Mutex<VecDeque<Turn>>,
    pub seen: Mutex<Vec<Seen>>,
    pub brain: Brain,
}

impl Fake {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            habits: Mutex::new(Habits {
                framing: Framing::Length,
                accept_encoding: Some("gzip, deflate"),
                content_encoding: None,
                server_timing: None,
                close_silently: false,
                ping: 200,
                max_missing: usize::MAX,
                forgetful: false,
                lookup_from: usize::MAX,
                by_reference: false,
                corrupt: false,
                canned: None,
            }),
            script: Mutex::default(),
            seen: Mutex::default(),
            brain: Brain::default(),
        });
        tokio::spawn(wire::serve(listener, Arc::clone(&state)));
        Self { address, state }
    }

    pub fn set(&self, change: impl FnOnce(&mut Habits)) {
        change(&mut self.state.habits.lock().unwrap());
    }

    pub fn script(&self, turns: impl IntoIterator<Item = Turn>) {
        self.state.script.lock().unwrap().extend(turns);
    }

    pub fn seen(&self, path: &str) -> Vec<Seen> {
        let seen = self.state.seen.lock().unwrap();
        seen.iter().filter(|s| s.path.ends_with(path)).cloned().collect()
    }

    pub fn execs(&self) -> Vec<ExecReq> {
        self.seen("/e").iter().map(|s| ExecReq::decode(&s.body[..]).unwrap()).collect()
    }

    pub fn stores(&self) -> Vec<StoreFileReq> {
        self.seen("/s").iter().map(|s| StoreFileReq::decode(&s.body[..]).unwrap()).collect()
    }

    pub fn lookups(&self) -> Vec<LookupFileReq> {
        self.seen("/l").iter().map(|s| LookupFileReq::decode(&s.body[..]).unwrap()).collect()
    }

    /// A client of this server with short patience.
    pub fn client(&self, stock: bool) -> Client {
        self.client_with(stock, |_| {})
    }

    pub fn client_with(&self, stock: bool, change: impl FnOnce(&mut ClientConfig)) -> Client {
        let server = Server::parse(&format!("http://{}", self.address)).unwrap();
        let mut config = ClientConfig::new(server, stock);
        config.manners.first_byte = Duration::from_secs(20);
        config.manners.silence = Duration::from_secs(2);
        change(&mut config);
        Client::new(config)
    }
}

/// A directory with sources older than a minute, so that nothing is embedded for its youth.
#[derive(Debug)]
pub struct Tree {
    pub dir: tempfile::TempDir,
}

impl Tree {
    /// `a.c` that includes `inc/a.h`, both over 512 bytes, and an empty `obj/`.
    pub fn new() -> Self {
        let tree = Self { dir: tempfile::tempdir().unwrap() };
        std::fs::create_dir(tree.path("obj")).unwrap();
        std::fs::create_dir(tree.path("inc")).unwrap();
        tree.write("inc/a.h", &format!("int a(int);\n{}", padding(600)));
        let source = format!("#include \"a.h\"\nint a(int x) {{ return x; }}\n{}", padding(600));
        tree.write("a.c", &source);
        tree
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
        age(&self.path(name));
    }

    pub fn compile(&self) -> Compile {
        self.command("gcc -nostdinc -Iinc -c a.c -o obj/a.o")
    }

    pub fn command(&self, line: &str) -> Compile {
        Compile::new(self.dir.path(), line.split(' '))
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }
}

/// A comment of about this many bytes.
pub fn padding(bytes: usize) -> String {
    format!("/*{}*/\n", "x".repeat(bytes))
}

pub fn age(path: &Path) {
    let hour_ago = std::time::SystemTime::now() - Duration::from_secs(3600);
    std::fs::File::options().write(true).open(path).unwrap().set_modified(hour_ago).unwrap();
}

#[track_caller]
pub fn assert_success(outcome: &Outcome) {
    assert!(outcome.is_success(), "{outcome:?}");
}
