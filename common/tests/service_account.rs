//! Backends that want tokens of a service account: signed by its key, or exchanged for it.

mod tokens;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use goma_common::reapi::{
    Address, Backend, Credentials, Grant, RemoteConfig, SCOPE, ServiceAccount, connect,
};
use goma_common::testing::{Server, deadline};
use goma_common::{Code, Deadline, Digest, Result};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokens::{KEY, TokenService, claims};
use tokio::time::{Instant, sleep};

const EMAIL: &str = "goma@farm.example";

struct Case {
    server: Server,
    backend: Backend,
    _dir: TempDir,
}

impl Case {
    fn new(server: Server, key_file: &Value, grant: Grant) -> Self {
        let (dir, file) = written(&key_file.to_string());
        let account = ServiceAccount::open(file, grant).expect("a key file");
        let mut credentials = Credentials::default();
        credentials.set_token(Arc::new(account));
        let address = Address::Network(vec![server.address()]);
        let config = RemoteConfig { credentials, ..RemoteConfig::plain(address, "main") };
        let backend = connect(&config).expect("an address");
        Self { server, backend, _dir: dir }
    }

    async fn call(&self, deadline: Deadline) -> Result<Vec<Digest>> {
        self.backend.cas.find_missing(&[Digest::of(b"x")], deadline).await
    }
}

fn written(text: &str) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("account.json");
    std::fs::write(&file, text).expect("writes");
    (dir, file)
}

fn key_file(token_uri: &str) -> Value {
    json!({
        "type": "service_account",
        "project_id": "farm",
        "private_key_id": "first",
        "private_key": KEY,
        "client_email": EMAIL,
        "token_uri": token_uri,
    })
}

fn exchanged() -> Grant {
    Grant::Exchanged { scope: SCOPE.to_owned() }
}

/// A server that takes what its token service has given and not withdrawn.
async fn farm(tokens: &TokenService) -> Server {
    let server = Server::start().await;
    let tokens = tokens.clone();
    server.faults.want(move |headers| {
        headers
            .get("authorization")
            .and_then(|told| told.to_str().ok())
            .and_then(|told| told.strip_prefix("Bearer "))
            .is_some_and(|token| tokens.is_good(token))
    });
    server
}

#[tokio::test]
async fn a_key_is_exchanged_for_tokens_that_expire_every_few_seconds_under_load() {
    let tokens = TokenService::start(Duration::from_secs(2)).await;
    let case = Case::new(farm(&tokens).await, &key_file(&tokens.uri()), exchanged());
    let began = Instant::now();
    let callers = (0..20).map(async |_| {
        while began.elapsed() < Duration::from_secs(6) {
            case.call(deadline()).await.expect("no failure");
            sleep(Duration::from_millis(5)).await;
        }
    });
    join_all(callers).await;
    let given = tokens.given();
    assert!((3..=6).contains(&given), "{given}: one about each second and a half, for all callers");
    let asked = tokens.asked();
    assert_eq!(asked["iss"], EMAIL);
    assert_eq!(asked["scope"], SCOPE);
    assert_eq!(asked["aud"], tokens.uri().as_str());
}

#[tokio::test]
async fn a_token_that_is_withdrawn_is_replaced_within_the_call() {
    let tokens = TokenService::start(Duration::from_secs(3600)).await;
    let case = Case::new(farm(&tokens).await, &key_file(&tokens.uri()), exchanged());
    case.call(deadline()).await.expect("a token");
    tokens.withdraw();
    case.call(deadline()).await.expect("another token");
    assert_eq!(tokens.given(), 2);
}

#[tokio::test]
async fn a_token_service_that_is_away_hurts_nobody_while_the_last_token_is_good() {
    let tokens = TokenService::start(Duration::from_secs(10)).await;
    let case = Case::new(farm(&tokens).await, &key_file(&tokens.uri()), exchanged());
    case.call(deadline()).await.expect("a token");
    tokens.fail(true);
    // It is due to be renewed, and good still: for long enough that a busy machine gets there in time.
    sleep(Duration::from_secs(8)).await;
    case.call(deadline()).await.expect("the last token");
    sleep(Duration::from_millis(2_500)).await;
    let error = case.call(Deadline::after(Duration::from_secs(3))).await.expect_err("expired");
    assert!(error.message.contains(EMAIL) && error.message.contains(&tokens.uri()), "{error}");
    tokens.fail(false);
    case.call(deadline()).await.expect("a new token");
}

#[tokio::test]
async fn tokens_are_signed_for_an_audience_where_nobody_is_to_be_asked() {
    let audience = "https://farm.example/";
    let server = Server::start().await;
    server.faults.want(move |headers| {
        let told = headers.get("authorization").and_then(|told| told.to_str().ok());
        let claims = told.and_then(|told| claims(told.strip_prefix("Bearer ")?));
        claims.is_some_and(|claims| {
            let life = claims["exp"].as_u64().unwrap_or(0) - claims["iat"].as_u64().unwrap_or(0);
            claims["aud"] == audience && claims["sub"] == EMAIL && life == 3600
        })
    });
    let grant = Grant::Signed { audience: audience.to_owned() };
    let case = Case::new(server, &key_file("http://127.0.0.1:1/nobody"), grant);
    case.call(deadline()).await.expect("it is signed by the key");
    assert_eq!(case.server.faults.calls("FindMissingBlobs"), 1);
}

#[test]
fn a_file_that_holds_no_key_is_refused_with_what_is_wrong_and_without_what_it_holds() {
    let change = |field: &str, value: Value| {
        let mut file = key_file("http://127.0.0.1:1/");
        file[field] = value;
        file.to_string()
    };
    let cases = [
        ("{\n\"type\": hunter2", "line 2"),
        (&change("client_email", Value::Null), "client_email"),
        (&change("type", json!("authorized_user")), "its type is another one"),
        (&change("private_key", json!("hunter2")), "private_key"),
        (&change("private_key", Value::Null), "private_key"),
    ];
    for (text, why) in cases {
        let (_dir, file) = written(text);
        let error = ServiceAccount::open(file.clone(), exchanged()).err().expect("no key");
        assert_eq!(error.code, Code::InvalidArgument);
        assert!(error.message.contains(why), "{error}, not {why}");
        assert!(error.message.contains(&file.display().to_string()), "{error}");
        assert!(!error.message.contains("hunter2"), "{error}");
    }
    let missing = ServiceAccount::open("/no/such.json".into(), exchanged()).err().expect("no file");
    assert!(missing.message.contains("/no/such.json"), "{missing}");
}
