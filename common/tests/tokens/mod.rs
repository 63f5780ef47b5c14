//! A token service as OAuth has them: it gives tokens for what the key of an account has signed.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::State as Shared;
use axum::http::StatusCode;
use axum::routing::post;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use ring::signature::{KeyPair, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::Instant;

/// The account's key, which was made for tests.
pub(crate) const KEY: &str = include_str!("../data/service-account-key.pem");

/// The service; a clone is the same one.
#[derive(Clone)]
pub(crate) struct TokenService {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

struct State {
    life: Duration,
    fails: bool,
    given: u32,
    asked: Value,
    good: HashMap<String, Instant>,
}

impl TokenService {
    /// One whose tokens live so long; it ends with the test's runtime.
    pub(crate) async fn start(life: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (asked, good) = (Value::Null, HashMap::new());
        let state = State { life, fails: false, given: 0, asked, good };
        let this = Self { address, state: Arc::new(Mutex::new(state)) };
        let app = Router::new().route("/token", post(give)).with_state(this.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        this
    }

    pub(crate) fn uri(&self) -> String {
        format!("http://{}/token", self.address)
    }

    pub(crate) fn is_good(&self, token: &str) -> bool {
        self.state().good.get(token).is_some_and(|until| Instant::now() < *until)
    }

    pub(crate) fn withdraw(&self) {
        self.state().good.clear();
    }

    pub(crate) fn fail(&self, fails: bool) {
        self.state().fails = fails;
    }

    pub(crate) fn given(&self) -> u32 {
        self.state().given
    }

    /// What the last one who asked had signed.
    pub(crate) fn asked(&self) -> Value {
        self.state().asked.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn give(Shared(service): Shared<TokenService>, form: String) -> (StatusCode, String) {
    let mut state = service.state();
    let assertion = form.split('&').find_map(|pair| pair.strip_prefix("assertion="));
    // Padding may come as %3D.
    let asked = assertion.and_then(|assertion| claims(&assertion.replace("%3D", "=")));
    let Some(asked) = asked.filter(|_| !state.fails) else {
        return (StatusCode::BAD_REQUEST, json!({"error": "invalid_grant"}).to_string());
    };
    state.asked = asked;
    state.given += 1;
    let token = format!("t{}", state.given);
    let life = state.life;
    state.good.insert(token.clone(), Instant::now() + life);
    let answer =
        json!({"access_token": token, "expires_in": life.as_secs(), "token_type": "Bearer"});
    (StatusCode::OK, answer.to_string())
}

/// What a token says, if the account's key has signed it.
pub(crate) fn claims(token: &str) -> Option<Value> {
    let (signed, signature) = token.rsplit_once('.')?;
    let (_, claims) = signed.split_once('.')?;
    let public = key().public_key().as_ref().to_vec();
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public)
        .verify(signed.as_bytes(), &decoded(signature)?)
        .ok()?;
    serde_json::from_slice(&decoded(claims)?).ok()
}

fn key() -> RsaKeyPair {
    let lines = KEY.lines().skip_while(|line| !line.starts_with("-----BEGIN"));
    let base64: String = lines.filter(|line| !line.starts_with("-----")).collect();
    let der = STANDARD.decode(base64).expect("base64");
    RsaKeyPair::from_pkcs8(&der).expect("a key")
}

/// With or without padding.
fn decoded(part: &str) -> Option<Vec<u8>> {
    let part = part.trim_end_matches('=');
    URL_SAFE.decode(format!("{part}{}", "=".repeat((4 - part.len() % 4) % 4))).ok()
}
