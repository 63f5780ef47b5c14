//! Who is let in, by each way of showing who one is, and what becomes of everybody else.

mod support;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::routing::post;
use futures::future::join_all;
use goma_common::reapi::{Address, RemoteConfig, connect};
use goma_common::testing::{ScriptedBackend, Server, Step};
use goma_gateway::app;
use goma_proto::reapi::ActionResult;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use support::{Flags, compile, gateway_for, gateway_over, output};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tower::ServiceExt;

const CLIENT: &str = "687418631491-r6m1c3pr0lth5atp4ie07f03ae8omefc.apps.googleusercontent.com";

/// What Google says of tokens: a status, and a body.
#[derive(Clone, Default)]
struct Google {
    asked: Arc<AtomicUsize>,
    answers: Arc<Mutex<HashMap<String, (u16, String)>>>,
}

impl Google {
    /// One that answers, and where.
    async fn start() -> (Self, String) {
        let this = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let app = Router::new().route("/tokeninfo", post(tell)).with_state(this.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        (this, format!("http://{address}/tokeninfo"))
    }

    fn knows(&self, token: &str, email: &str, audience: &str, expires_in: u64) {
        let body = format!(
            r#"{{"aud":"{audience}","email":"{email}","email_verified":"true","expires_in":"{expires_in}"}}"#
        );
        self.says(token, 200, &body);
    }

    fn says(&self, token: &str, status: u16, body: &str) {
        let mut answers = self.answers.lock().expect("no panic");
        answers.insert(token.to_owned(), (status, body.to_owned()));
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

async fn tell(State(google): State<Google>, form: String) -> (StatusCode, String) {
    google.asked.fetch_add(1, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(20)).await;
    let token = form.strip_prefix("access_token=").unwrap_or_default();
    let known = google.answers.lock().expect("no panic").get(token).cloned();
    let (status, body) = known.unwrap_or((400, r#"{"error":"invalid_token"}"#.to_owned()));
    (StatusCode::from_u16(status).expect("a status"), body)
}

/// A gateway that lets in whom these flags say.
fn gateway(flags: &str) -> Router {
    gateway_for(flags, Duration::from_millis(300))
}

/// The status and words of a request with this authorization.
async fn ask(app: &Router, path: &str, authorization: &str, body: Body) -> (StatusCode, String) {
    let mut request = Request::post(format!("/cxx-compiler-service/{path}"));
    if !authorization.is_empty() {
        request = request.header("Authorization", authorization);
    }
    let Ok(response) = app.clone().oneshot(request.body(body).expect("a request")).await;
    let status = response.status();
    let words = response.into_body().collect().await.expect("a body").to_bytes();
    (status, String::from_utf8_lossy(&words).into_owned())
}

async fn ping(app: &Router, token: &str) -> StatusCode {
    ask(app, "ping", &format!("Bearer {token}"), Body::empty()).await.0
}

fn written(text: &str) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("file");
    std::fs::write(&file, text).expect("writes");
    (dir, file)
}

/// A token and its line of the file, by the verb that makes them.
fn new_token(name: &str) -> (String, String) {
    let program = env!("CARGO_BIN_EXE_goma-gateway");
    let made = std::process::Command::new(program).args(["token", "new", name]).output();
    let told = String::from_utf8(made.expect("it runs").stdout).expect("UTF-8");
    let after = |what: &str| {
        let line = told.lines().find(|line| line.starts_with(what)).expect("a line");
        line.rsplit_once(": ").expect("a value").1.to_owned()
    };
    (after("token"), after("line"))
}

#[tokio::test]
async fn each_way_of_not_being_let_in_has_its_answer_on_every_path() {
    let (google, url) = Google::start().await;
    google.knows("ann", "ann@farm.example", CLIENT, 3600);
    google.knows("stranger", "eve@else.example", CLIENT, 3600);
    google.knows("another-client", "ann@farm.example", "another", 3600);
    google.knows("expiring", "ann@farm.example", CLIENT, 5);
    google.says("unverified", 200, r#"{"aud":"x","email":"ann@farm.example","expires_in":"9999"}"#);
    google.says("away", 503, "try again");
    google.says("garbage", 200, "<html>");
    let app = gateway(&format!("--allowed-users *@farm.example --tokeninfo-url {url}"));
    for (authorization, status, why) in [
        ("", 401, "no token"),
        ("Basic YTpi", 401, "Bearer TOKEN"),
        ("Bearer ", 401, "Bearer TOKEN"),
        ("Bearer nobody", 401, "does not know this token"),
        ("Bearer unverified", 401, "no verified address"),
        ("Bearer garbage", 401, "no verified address"),
        ("Bearer expiring", 401, "about to expire"),
        ("Bearer goma_0000", 401, "no tokens of its own"),
        ("Bearer stranger", 403, "eve@else.example is not on the list"),
        ("Bearer another-client", 403, "not on the list"),
        ("Bearer away", 503, "503"),
    ] {
        for path in ["ping", "e", "s", "l", "sl"] {
            // A body that never comes must not be waited for.
            let body = endless();
            let (told, words) = ask(&app, path, authorization, body).await;
            assert_eq!(told.as_u16(), status, "{authorization} at {path}: {words}");
            assert!(words.contains(why), "{authorization}: {words}");
        }
    }
    assert_eq!(ping(&app, "ann").await, StatusCode::OK);
    let compile = compile(&["a.o".to_owned()]);
    let (status, _) = ask(&app, "e", "Bearer ann", Body::from(compile)).await;
    assert_ne!(status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn google_is_asked_once_for_a_token_however_many_bring_it() {
    let (google, url) = Google::start().await;
    google.knows("ann", "ann@farm.example", CLIENT, 3600);
    let app = gateway(&format!("--allowed-users ann@farm.example --tokeninfo-url {url}"));
    for token in ["ann", "nobody"] {
        let before = google.asked();
        let all = join_all((0..50).map(|_| ping(&app, token))).await;
        assert!(all.iter().all(|status| *status == all[0]), "{all:?}");
        ping(&app, token).await;
        assert_eq!(google.asked() - before, 1, "{token}");
    }
}

#[tokio::test]
async fn an_outage_of_google_does_not_hurt_whom_it_has_told_of() {
    let (google, url) = Google::start().await;
    google.knows("ann", "ann@farm.example", CLIENT, 3600);
    let app = gateway(&format!("--allowed-users *@farm.example --tokeninfo-url {url}"));
    assert_eq!(ping(&app, "ann").await, StatusCode::OK);
    google.says("ann", 500, "");
    google.says("bob", 500, "");
    assert_eq!(ping(&app, "ann").await, StatusCode::OK);
    // Bob's client is not told to give up: it would, for good.
    assert_eq!(ping(&app, "bob").await, StatusCode::SERVICE_UNAVAILABLE);
    google.knows("bob", "bob@farm.example", CLIENT, 3600);
    assert_eq!(ping(&app, "bob").await, StatusCode::OK, "an outage is not remembered");
}

#[tokio::test]
async fn tokens_of_ours_are_let_in_until_their_line_is_gone() {
    let ((ann, anns_line), (ci, cis_line)) = (new_token("ann@farm"), new_token("ci"));
    let (_dir, file) = written(&format!("{anns_line}\n{cis_line}\n"));
    let app = gateway(&format!("--auth-token-file {}", file.display()));
    assert_eq!(ping(&app, &ann).await, StatusCode::OK);
    assert_eq!(ping(&app, &ci).await, StatusCode::OK);
    assert_eq!(ping(&app, "goma_other").await, StatusCode::UNAUTHORIZED);
    std::fs::write(&file, format!("{anns_line}\n")).expect("writes");
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(ping(&app, &ci).await, StatusCode::UNAUTHORIZED, "it is revoked");
    assert_eq!(ping(&app, &ann).await, StatusCode::OK);
    // A file that is spoilt locks nobody out.
    std::fs::write(&file, "oops").expect("writes");
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(ping(&app, &ann).await, StatusCode::OK);
}

/// A body that never comes.
fn endless() -> Body {
    Body::from_stream(futures::stream::pending::<Result<String, std::io::Error>>())
}

#[tokio::test]
async fn one_who_has_all_that_he_may_under_way_holds_up_nobody_else() {
    let ((ann, anns_line), (bob, bobs_line)) = (new_token("ann"), new_token("bob"));
    let (_dir, file) = written(&format!("{anns_line}\n{bobs_line}\n"));
    let app = gateway(&format!("--auth-token-file {} --max-user-requests 3", file.display()));
    let [ann, bob] = [ann, bob].map(|token| format!("Bearer {token}"));
    let slow = async |authorization: String| ask(&app, "e", &authorization, endless()).await;
    let held = join_all((0..3).map(|_| slow(ann.clone())));
    tokio::select! {
        ended = held => panic!("their bodies never came: {ended:?}"),
        () = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let (status, words) = ask(&app, "l", &ann, Body::empty()).await;
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
            assert!(words.contains("ann has 3 requests under way"), "{words}");
            assert_eq!(ask(&app, "l", &bob, Body::empty()).await.0, StatusCode::OK);
            // Whether he is let in at all is told at once.
            assert_eq!(ask(&app, "ping", &ann, Body::empty()).await.0, StatusCode::OK);
        } => {}
    }
    assert_eq!(ask(&app, "l", &ann, Body::empty()).await.0, StatusCode::OK, "they hung up");
}

#[tokio::test]
async fn a_list_of_groups_is_kept_up_with() {
    let (google, url) = Google::start().await;
    google.knows("ann", "ann@farm.example", CLIENT, 3600);
    google.knows("bob", "bob@farm.example", CLIENT, 3600);
    let (ci, line) = new_token("ci");
    let (_dir, tokens) = written(&line);
    let group = |id: &str, rest: &str| format!("[[group]]\nid = \"{id}\"\n{rest}\n");
    let all = group("all", "domains = [\"farm.example\"]\ntokens = true");
    let (_dir, acl) = written(&all);
    let (tokens, list) = (tokens.display(), acl.display());
    let flags = format!(
        "--auth google,tokens --auth-token-file {tokens} --acl-file {list} --tokeninfo-url {url}"
    );
    let app = gateway(&flags);
    for token in ["ann", "bob", &ci] {
        assert_eq!(ping(&app, token).await, StatusCode::OK, "{token}");
    }
    let out = group("out", "emails = [\"bob@farm.example\", \"ci\"]\nreject = true");
    std::fs::write(&acl, out + &all).expect("writes");
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(ping(&app, "ann").await, StatusCode::OK);
    for token in ["bob", &ci] {
        assert_eq!(ping(&app, token).await, StatusCode::FORBIDDEN, "{token}");
    }
}

#[tokio::test]
async fn a_groups_compiles_wait_for_each_other_and_what_is_cached_does_not() {
    let ((ann, anns_line), (bob, bobs_line)) = (new_token("ann"), new_token("bob"));
    let (_dir, tokens) = written(&format!("{anns_line}\n{bobs_line}\n"));
    let (_dir, acl) = written(
        "[[group]]\nid = \"few\"\nemails = [\"ann\"]\nmax-compiles = 1\n\
         [[group]]\nid = \"rest\"\ntokens = true\n",
    );
    let flags = format!("--auth-token-file {} --acl-file {}", tokens.display(), acl.display());
    let server = Server::start().await;
    let address = Address::Network(vec![server.address()]);
    let backend = connect(&RemoteConfig::plain(address, "main")).expect("an address");
    let (flags, shards) = (Flags::parse(&flags), ScriptedBackend::default());
    let app = app(Arc::new(gateway_over(&flags, &shards, backend, Duration::from_millis(300))));
    // Actions of their own, none of which ends.
    let silent = |token: &str, output: &str| {
        server.executions.next([Step::Silence]);
        let (app, authorization) = (app.clone(), format!("Bearer {token}"));
        let request = compile(&[output.to_owned()]);
        async move { ask(&app, "e", &authorization, Body::from(request)).await }
    };
    let (first, bobs) = (tokio::spawn(silent(&ann, "1.o")), tokio::spawn(silent(&bob, "2.o")));
    while server.faults.calls("Execute") < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let (status, words) = silent(&ann, "3.o").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(words.contains("group few has 1 compiles under way"), "{words}");
    assert_eq!(server.faults.calls("Execute"), 2);
    server.backend.put_any_result(ActionResult {
        output_files: vec![output(&server.backend, "4.o", b"object".to_vec())],
        ..Default::default()
    });
    let request = compile(&["4.o".to_owned()]);
    let (status, words) = ask(&app, "e", &format!("Bearer {ann}"), Body::from(request)).await;
    assert_eq!(status, StatusCode::OK, "{words}");
    first.abort();
    bobs.abort();
}
