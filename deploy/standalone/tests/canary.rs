//! A secret that can be told apart is put in every place where one can be, and driven through what goes
//! well and what does not, with all logs on: it is seen nowhere.

mod support;

use std::path::Path;
use std::process::Output;

use axum::Router;
use axum::routing::post;
use goma_common::testing::{Fault, Server, Step, free_port};
use goma_proto::api::ExecReq;
use goma_proto::reapi::{ActionResult, ExecuteResponse, OutputFile};
use prost::Message;
use support::http::{self, Reply};
use support::process::{Program, temp_dir};
use support::requests::slow_gcc;
use tokio::net::TcpListener;
use tonic::Status;

/// In each of the secrets.
const CANARY: &str = "canary7f3a";

/// What is looked at, with the name of where it came from.
#[derive(Default)]
struct Seen(Vec<(String, String)>);

impl Seen {
    fn add(&mut self, whence: &str, text: impl Into<String>) {
        self.0.push((whence.to_owned(), text.into()));
    }

    fn add_reply(&mut self, whence: &str, reply: &Reply) {
        self.add(whence, format!("{:?} {}", reply.headers, reply.text()));
    }

    fn add_output(&mut self, whence: &str, output: &Output) {
        self.add(whence, String::from_utf8_lossy(&output.stdout));
        self.add(whence, String::from_utf8_lossy(&output.stderr));
    }

    fn assert_no_canary(&self) {
        for (whence, text) in &self.0 {
            if let Some(at) = text.find(CANARY) {
                let from = text[..at].rfind('\n').map_or(0, |end| end + 1);
                let line: String = text[from..].chars().take(400).collect();
                panic!("{whence} shows it: {line}");
            }
        }
    }
}

/// Writes a file of this name with these contents; its path.
fn file(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    std::fs::write(&path, text).expect("writes");
    path.display().to_string()
}

/// Tells of every token that it is a user's, but of one that it is none, and of one nothing.
async fn tokeninfo() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let tell = async |form: String| match form.as_str() {
        form if form.ends_with("bad") => (400, form.to_owned()),
        form if form.ends_with("away") => (503, form.to_owned()),
        _ => {
            (200, r#"{"aud":"a","email":"ann@farm","email_verified":true,"expires_in":900}"#.into())
        }
    };
    let tell = move |form: String| async move {
        let (status, body): (u16, String) = tell(form).await;
        (axum::http::StatusCode::from_u16(status).expect("a status"), body)
    };
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/", post(tell))).await });
    format!("http://{address}/")
}

async fn exec(program: &Program, token: &str, request: &ExecReq) -> Reply {
    let bearer = format!("Bearer {token}");
    let headers = [("Authorization", bearer.as_str())];
    http::post(program.port, "/e", &headers, &request.encode_to_vec()).await
}

async fn run(args: &[String]) -> Output {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_remoteexec_proxy"));
    command.args(args).env("RUST_LOG", "trace").env("GOMA_REDIS_PASSWORD", format!("{CANARY}-env"));
    command.env("GOMA_REMOTE_HEADER", format!("x-env={CANARY}-env"));
    command.env("GOMA_REDIS_URL", format!("redis://:{CANARY}-env@127.0.0.1:1"));
    command.output().await.expect("it runs")
}

#[tokio::test]
async fn no_secret_is_seen_whatever_goes_well_or_wrong() {
    let (dir, mut seen) = (temp_dir(), Seen::default());
    let backend = Server::start().await;
    let token = format!("{CANARY}-backend-token");
    let wanted = format!("Bearer {token}");
    backend.faults.want(move |headers| {
        headers.get("authorization").is_some_and(|bears| bears == wanted.as_str())
    });
    let own = format!("goma_{CANARY}");
    let hash = goma_common::Digest::of(own.as_bytes()).hex();
    let path = |name: &str, text: &str| file(dir.path(), name, text);
    let url = tokeninfo().await;
    let admin = free_port();
    let flags: Vec<String> = [
        "--remoteexec-addr",
        &backend.address(),
        "--insecure-remoteexec",
        "--remote-insecure-credentials",
        "--remote-header",
        &format!("x-key={CANARY}-header"),
        "--remote-header-file",
        &path("headers", &format!("x-other={CANARY}-header-file\n")),
        "--remote-token-file",
        &path("token", &token),
        "--auth",
        "google,tokens",
        "--auth-token-file",
        &path("tokens", &format!("ci {hash}\n")),
        "--acl-file",
        &path("acl.toml", "[[group]]\nid = \"all\"\ndomains = [\"farm\"]\ntokens = true\n"),
        "--tokeninfo-url",
        &url,
        "--log",
        "trace",
        "--admin-listen",
        &format!("127.0.0.1:{admin}"),
    ]
    .map(str::to_owned)
    .to_vec();
    let words: Vec<&str> = flags.iter().map(String::as_str).collect();
    let program = Program::proxy(dir.path(), &words).await;

    // Well, by each kind of token; not at all, by each way of being nobody.
    let request = slow_gcc("/home/a", b"int a;\n", 0);
    for token in [&own, &format!("{CANARY}-google")] {
        let file = OutputFile { path: "out.o".to_owned(), ..Default::default() };
        let digest = Some(backend.backend.put(b"object".to_vec()).into());
        let output_files = vec![OutputFile { digest, ..file }];
        let result = Some(ActionResult { output_files, ..Default::default() });
        let done = ExecuteResponse { result, ..Default::default() };
        backend.executions.next([Step::Done(Box::new(done))]);
        let reply = exec(&program, token, &request).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        seen.add_reply("an answer", &reply);
    }
    for (token, status) in [
        (format!("goma_{CANARY}-unknown"), 401),
        (format!("{CANARY}-bad"), 401),
        (format!("{CANARY}-away"), 503),
        (format!("{CANARY}\u{e9}"), 401),
    ] {
        let reply = exec(&program, &token, &request).await;
        assert_eq!(reply.status, status, "{}", reply.text());
        seen.add_reply("a denial", &reply);
    }
    for status in [Status::unauthenticated("who?"), Status::permission_denied("not you")] {
        backend.faults.always("Execute", Fault::Fails(status));
        let other = slow_gcc("/home/a", b"int b;\n", 0);
        seen.add_reply("a refusal", &exec(&program, &own, &other).await);
        backend.faults.end();
    }
    std::fs::remove_file(dir.path().join("token")).expect("removes");
    std::fs::write(dir.path().join("tokens"), format!("ci {own}\n")).expect("writes");
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    seen.add_reply("an answer", &exec(&program, &own, &request).await);
    seen.add_reply("readiness", &program.get("/readyz").await);
    for (page, word) in [("/metrics", "goma_request"), ("/status.json", "denied"), ("/", "Goma")] {
        let told = http::get(admin, page).await.expect("an answer");
        assert!(told.status == 200 && told.text().contains(word), "{page}: {told:?}");
        seen.add_reply(page, &told);
    }
    let log = program.log();
    assert!(log.contains("TRACE") && log.contains("that is a token"), "all of it is logged");
    seen.add("the log", log);

    // What the programs print of their flags, and of what is wrong with a backend.
    path("token", &token);
    seen.add_output("--help", &run(&["--help".to_owned()]).await);
    seen.add_output(
        "--print-config",
        &run(&[&["--print-config".to_owned()][..], &flags].concat()).await,
    );
    backend.faults.want(|_| false);
    for json in [&["--json".to_owned()][..], &[]] {
        let examined = run(&[&["doctor".to_owned()], json, &flags].concat()).await;
        assert!(!examined.status.success(), "the backend refuses");
        seen.add_output("doctor", &examined);
    }
    // Flags that cannot be meant, with a secret in the very value.
    for (flag, value) in [
        ("--remote-header", format!("grpc-x={CANARY}")),
        ("--remote-header", CANARY.to_owned()),
        ("--remote-header-file", path("headers", &format!("x {CANARY}"))),
        ("--auth-token-file", path("tokens", &format!("ci goma_{CANARY}"))),
        ("--service-account-json", path("account", &format!("{{\"private_key\": \"{CANARY}\""))),
        ("--redis-url", format!("redis://:{CANARY}@127.0.0.1:1:x")),
        ("--tls-key", path("key", CANARY)),
        (
            "--acl-file",
            path("list", "groups { id: \"a\" domains: \"x\" service_account: \"farm\" }"),
        ),
    ] {
        let mut line = vec![flag.to_owned(), value];
        if flag == "--tls-key" {
            line.extend(["--tls-certificate".to_owned(), path("certificate", CANARY)]);
        }
        if flag == "--acl-file" {
            path("farm.json", &format!("{{\"private_key\": \"{CANARY}\", \"client_email\": 3}}"));
            let dir = dir.path().display().to_string();
            line.extend(["--service-account-json-dir".to_owned(), dir]);
        }
        line.extend(["--remoteexec-addr", "127.0.0.1:1", "--port", "0"].map(str::to_owned));
        line.extend(["--data-dir".to_owned(), dir.path().join("other").display().to_string()]);
        let ended = run(&line).await;
        assert!(!ended.status.success(), "{flag} was taken");
        seen.add_output(flag, &ended);
    }
    seen.assert_no_canary();
}
