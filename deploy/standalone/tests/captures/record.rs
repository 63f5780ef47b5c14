//! Makes `exchanges/`: our own client at a server, with a proxy between that writes all down.
//!
//! `cargo test -p goma-standalone --test captures -- --ignored record` writes it anew.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use goma_loadtest::{Client, ClientConfig, Compile, Server};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::goma::CHUNK;
use crate::support::process::{Program, temp_dir};
use crate::support::tree::Tree;

/// Flags of the recorded server.
pub(crate) const SERVER: &[&str] = &["--max-inline-output", "1000000"];

/// A compiler that is the same everywhere: it speaks as gcc does where the client asks it about
/// itself, and "compiles" by joining its inputs.
const COMPILER: &str = r#"#!/bin/sh
case "$*" in
  -dumpversion) echo 1; exit ;;
  -dumpmachine) echo none; exit ;;
  --version) echo 'gcc (a script) 1'; exit ;;
  *-v*) printf '#include <...> search starts here:\nEnd of search list.\n' >&2; exit ;;
esac
while [ $# -gt 0 ]; do
  case "$1" in
    -o) out="$2"; shift ;;
    -MF) rule="$2"; shift ;;
    *.c) source="$1" ;;
  esac
  shift
done
headers="$(sed -n 's/^#include "\(.*\)"/inc\/\1/p' "$source" | tr '\n' ' ')"
if [ -n "$rule" ]; then echo "x: $source $headers" > "$rule"; exit; fi
if grep -q nonsense "$source"; then echo "$source:1:1: error: nonsense" >&2; exit 1; fi
if grep -q warning "$source"; then echo "$source:1:1: warning: a warning" >&2; fi
cat "$source" $headers > "$out"
"#;

pub(crate) fn dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/exchanges")
}

#[tokio::test]
#[ignore = "writes tests/exchanges anew"]
async fn record() {
    let tree = Tree::new(&[
        ("a.c", "#include \"a.h\"\nint a;\n"),
        ("warns.c", "/* warning */\n"),
        ("fails.c", "nonsense\n"),
        ("big.c", "#include \"big.h\"\n"),
    ]);
    for dir in ["inc", "obj", "tools"] {
        std::fs::create_dir(tree.path(dir)).expect("made");
    }
    tree.write("inc/a.h", &format!("int a(void);\n/*{}*/\n", "-".repeat(600)));
    tree.write("inc/big.h", &"int big;\n".repeat(CHUNK / 8));
    tree.write("tools/gcc", COMPILER);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(tree.path("tools/gcc"), mode).expect("set");

    let data = temp_dir();
    let program = Program::proxy(data.path(), SERVER).await;
    let recorder = Recorder::start(program.port).await;
    for (case, source) in [
        ("cold", "a"),
        ("warm", "a"),
        ("warns", "warns"),
        ("warns-warm", "warns"),
        ("fails", "fails"),
        ("large", "big"),
        ("large-warm", "big"),
    ] {
        *recorder.case.lock().expect("a lock") = case.to_owned();
        let url = format!("http://127.0.0.1:{}", recorder.port);
        let mut config = ClientConfig::new(Server::parse(&url).expect("a URL"), true);
        config.young = std::time::Duration::ZERO;
        let line = format!("tools/gcc -c {source}.c -o obj/{source}.o");
        let compile = Compile::new(tree.dir(), line.split(' '));
        let outcome = Client::new(config).compile(compile).await;
        assert_eq!(outcome.is_success(), source != "fails", "{case}: {outcome:?}");
    }
    recorder.write(&dir());
}

/// Passes exchanges on, one at a time, and keeps them.
struct Recorder {
    port: u16,
    case: Arc<Mutex<String>>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// What the manifest says of an exchange, the request's body and the answer's.
type Seen = (Value, Vec<u8>, Vec<u8>);

impl Recorder {
    async fn start(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let recorder = Self { port, case: Arc::default(), seen: Arc::default() };
        let (case, seen) = (recorder.case.clone(), recorder.seen.clone());
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let (case, seen) = (case.clone(), seen.clone());
                tokio::spawn(async move {
                    let mut server = TcpStream::connect(("127.0.0.1", server)).await.expect("up");
                    while let Some((head, request)) = message(&mut client).await {
                        server.write_all(head.as_bytes()).await.expect("sent");
                        server.write_all(&request).await.expect("sent");
                        let (answer_head, answer) = message(&mut server).await.expect("an answer");
                        let status = answer_head.split(' ').nth(1).expect("a status");
                        let entry = json!({
                            "case": *case.lock().expect("a lock"),
                            "request_line": head.lines().next(),
                            "request_headers": headers(&head),
                            "status": status.parse::<u16>().expect("a status"),
                            "response_headers": headers(&answer_head),
                        });
                        client.write_all(answer_head.as_bytes()).await.expect("sent");
                        client.write_all(&answer).await.expect("sent");
                        seen.lock().expect("a lock").push((entry, request, answer));
                    }
                });
            }
        });
        recorder
    }

    fn write(&self, dir: &Path) {
        drop(std::fs::remove_dir_all(dir));
        std::fs::create_dir_all(dir).expect("made");
        let mut exchanges = Vec::new();
        for (at, (entry, request, answer)) in self.seen.lock().expect("a lock").iter().enumerate() {
            let mut entry = entry.clone();
            for (what, body) in [("request", request), ("response", answer)] {
                let case = entry["case"].as_str().unwrap_or_default();
                let name = format!("{at:02}-{case}.{what}");
                std::fs::write(dir.join(&name), body).expect("written");
                entry[format!("file_{what}")] = name.into();
            }
            exchanges.push(entry);
        }
        let manifest = serde_json::to_string_pretty(&json!({ "exchanges": exchanges }));
        std::fs::write(dir.join("manifest.json"), manifest.expect("JSON") + "\n").expect("written");
    }
}

/// A head with its empty line, and the body.
async fn message(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let end = loop {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let mut body = bytes.split_off(end);
    let head = String::from_utf8(bytes).expect("text");
    let length = head.lines().filter_map(|line| line.split_once(": "));
    let length = length.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length = length.map(|(_, value)| value.parse().expect("a number")).next().unwrap_or(0);
    while body.len() < length {
        stream.read_buf(&mut body).await.ok().filter(|read| *read > 0)?;
    }
    Some((head, body))
}

fn headers(head: &str) -> Vec<(String, String)> {
    let lines = head.lines().skip(1).filter_map(|line| line.split_once(": "));
    lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
