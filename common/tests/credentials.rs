//! Backends that want to know who asks: by certificate, by header, by a token that soon expires.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::future::join_all;
use goma_common::reapi::{
    Account, Address, Backend, Credentials, RemoteConfig, Tls, TokenFile, connect, with_account,
};
use goma_common::testing::{Authority, Server, deadline};
use goma_common::{Code, Deadline, Digest};
use tokio::time::{Instant, sleep};
use tonic::transport::Certificate;

/// How long each backend is under load.
const LOAD: Duration = Duration::from_secs(6);
const CALLERS: usize = 20;

/// TLS that trusts this authority alone.
fn client_tls(authority: &Authority) -> Tls {
    Tls { system_roots: false, authorities: vec![authority.pem().into_bytes()], ..Tls::default() }
}

fn plain(server: &Server) -> RemoteConfig {
    RemoteConfig::plain(Address::Network(vec![server.address()]), "main")
}

fn connected(config: &RemoteConfig) -> Backend {
    connect(config).expect("a configuration that can be meant")
}

async fn refused(config: &RemoteConfig) -> goma_common::Error {
    let deadline = Deadline::after(Duration::from_secs(5));
    connected(config).cas.find_missing(&[Digest::of(b"x")], deadline).await.expect_err("refused")
}

/// Calls from many sides for a while, none of which may fail; how many there were.
async fn bear_load(config: &RemoteConfig) -> u64 {
    let backend = connected(config);
    let (began, calls) = (Instant::now(), AtomicU64::new(0));
    join_all((0..CALLERS).map(async |_| {
        while began.elapsed() < LOAD {
            let found = backend.cas.find_missing(&[Digest::of(b"x")], deadline()).await;
            found.expect("no failure");
            calls.fetch_add(1, Ordering::Relaxed);
            sleep(Duration::from_millis(5)).await;
        }
    }))
    .await;
    calls.into_inner()
}

#[tokio::test]
async fn a_backend_that_wants_a_certificate_gets_ours() {
    let authority = Authority::default();
    let wants = authority.server_tls("localhost");
    let wants = wants.client_ca_root(Certificate::from_pem(authority.pem()));
    let server = Server::with(Some(wants)).await;
    let without = RemoteConfig { tls: Some(client_tls(&authority)), ..plain(&server) };
    refused(&without).await;

    let dir = tempfile::tempdir().expect("a directory");
    let (certificate, key) = (dir.path().join("certificate"), dir.path().join("key"));
    let renew = || {
        let (made, its_key) = authority.vouch("gateway");
        std::fs::write(&certificate, made).expect("writes");
        std::fs::write(&key, its_key).expect("writes");
    };
    renew();
    let tls = Tls { identity: Some((certificate.clone(), key.clone())), ..client_tls(&authority) };
    // Connections that end soon, each with the certificate as it is by then.
    let connection_life = Duration::from_millis(500);
    let config = RemoteConfig { tls: Some(tls), connection_life, ..plain(&server) };
    let (calls, ()) = tokio::join!(bear_load(&config), async {
        for _ in 0..4 {
            sleep(LOAD / 5).await;
            renew();
        }
    });
    assert!(calls > 1_000, "{calls}");
}

#[tokio::test]
async fn a_backend_whose_certificate_bears_another_name_is_refused_unless_it_is_expected() {
    let authority = Authority::default();
    let server = Server::with(Some(authority.server_tls("farm.example"))).await;
    let config = RemoteConfig { tls: Some(client_tls(&authority)), ..plain(&server) };
    let error = refused(&config).await;
    assert!(error.message.contains("certificate"), "it says what is wrong: {error}");
    let named = Tls { server_name: Some("farm.example".to_owned()), ..client_tls(&authority) };
    let config = RemoteConfig { tls: Some(named), ..config };
    connected(&config).cas.find_missing(&[Digest::of(b"x")], deadline()).await.expect("served");
}

#[tokio::test]
async fn a_backend_that_wants_a_header_gets_it_with_each_call() {
    let server = Server::start().await;
    server.faults.want(|headers| headers.get("x-api-key").is_some_and(|key| key == "swordfish"));
    let error = refused(&plain(&server)).await;
    assert_eq!(error.code, Code::Unauthenticated);
    let mut credentials = Credentials::default();
    credentials.add_header("x-api-key", "swordfish").expect("a header");
    let calls = bear_load(&RemoteConfig { credentials, ..plain(&server) }).await;
    assert!(calls > 1_000, "{calls}");
}

/// A token is refused as soon as there is a newer one, which is every second or so.
#[tokio::test]
async fn a_token_that_expires_every_few_seconds_is_renewed_in_time() {
    const EACH: Duration = Duration::from_millis(1_300);
    let server = Server::start().await;
    let now = Arc::new(AtomicU64::new(0));
    let good = now.clone();
    server.faults.want(move |headers| {
        let now = good.load(Ordering::SeqCst);
        let bears = |number| {
            let told = headers.get("authorization");
            told.is_some_and(|told| told == format!("Bearer t{number}").as_str())
        };
        bears(now) || bears(now + 1)
    });
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("token");
    write_token(&path, 0);
    let mut credentials = Credentials::default();
    credentials.set_token(Arc::new(TokenFile::new(path.clone())));
    let config = RemoteConfig { credentials, ..plain(&server) };
    let (calls, ()) = tokio::join!(bear_load(&config), async {
        for number in 1..=4 {
            sleep(EACH).await;
            // Whoever renews it writes it first; the old one is refused from the next moment on.
            write_token(&path, number);
            now.store(number, Ordering::SeqCst);
        }
    });
    assert!(calls > 1_000, "{calls}");
}

fn write_token(path: &Path, number: u64) {
    let new = path.with_extension("new");
    std::fs::write(&new, format!("t{number}\n")).expect("writes");
    std::fs::rename(&new, path).expect("renames");
}

#[tokio::test]
async fn calls_for_a_user_carry_the_users_token_in_place_of_ours() {
    let server = Server::start().await;
    let bears = |headers: &http::HeaderMap, token: &str| {
        headers.get_all("authorization").iter().eq([token]) && headers["x-team"] == "a"
    };
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("token");
    write_token(&path, 0);
    let mut credentials = Credentials::default();
    credentials.set_token(Arc::new(TokenFile::new(path)));
    credentials.add_header("x-team", "a").expect("a header");
    let backend = connected(&RemoteConfig { credentials, ..plain(&server) });
    let ask = async || backend.cas.find_missing(&[Digest::of(b"x")], deadline()).await;
    server.faults.want(move |headers| bears(headers, "Bearer t0"));
    ask().await.expect("ours");
    server.faults.want(move |headers| bears(headers, "Bearer users"));
    let user = Account::of_user("users").expect("a token");
    assert!(!format!("{user:?}").contains("users"), "{user:?}");
    with_account(Some(&user), ask()).await.expect("the user's");
    server.faults.want(move |headers| bears(headers, "Bearer t0"));
    with_account(None, ask()).await.expect("ours again");
}
