//! Tokens of an OpenID provider, which is a process of the test's own: what is believed, and what
//! becomes of everything else; keys that are renewed, and a provider that is away.

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Request;
use http_body_util::BodyExt;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};
use support::gateway_for;
use tokio::net::TcpListener;
use tower::ServiceExt;

/// A key of the provider, by its name.
struct Key {
    id: &'static str,
    pair: EcdsaKeyPair,
}

impl Key {
    fn new(id: &'static str) -> Self {
        let (random, algorithm) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
        let made = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("a key");
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, made.as_ref(), &random).expect("a key");
        Self { id, pair }
    }

    fn public(&self) -> Value {
        let point = &self.pair.public_key().as_ref()[1..];
        let [x, y] = [&point[..32], &point[32..]].map(|part| URL_SAFE_NO_PAD.encode(part));
        json!({"kty": "EC", "crv": "P-256", "use": "sig", "kid": self.id, "x": x, "y": y})
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes()).expect("signed");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// The provider: its keys, or nothing while it is away; how often it was asked for them.
#[derive(Clone, Default)]
struct Provider {
    url: String,
    keys: Arc<Mutex<Option<Vec<Value>>>>,
    asked: Arc<AtomicUsize>,
}

impl Provider {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let this = Self { url, ..Self::default() };
        let app = Router::new()
            .route("/.well-known/openid-configuration", get(configuration))
            .route("/keys", get(keys))
            .with_state(this.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        this
    }

    fn has(&self, keys: &[&Key]) {
        let public = keys.iter().map(|key| key.public()).collect();
        *self.keys.lock().expect("no panic") = Some(public);
    }

    fn is_away(&self) {
        *self.keys.lock().expect("no panic") = None;
    }

    /// Claims that are right, but for these changes.
    fn claims(&self, changes: &[(&str, Value)]) -> Value {
        let mut claims = json!({
            "iss": self.url, "aud": "goma", "sub": "7", "email": "ann@farm.example",
            "email_verified": true, "exp": now() + 600, "iat": now(),
        });
        for (claim, value) in changes {
            claims[*claim] = value.clone();
        }
        claims
    }

    fn token(&self, key: &Key, changes: &[(&str, Value)]) -> String {
        let header = json!({"alg": "ES256", "typ": "JWT", "kid": key.id});
        key.sign(&header, &self.claims(changes))
    }

    fn gateway(&self) -> Router {
        let issuer = &self.url;
        let flags =
            format!("--oidc-issuer {issuer} --oidc-audience goma --allowed-users *@farm.example");
        gateway_for(&flags, Duration::from_secs(30))
    }
}

async fn configuration(State(provider): State<Provider>) -> String {
    let keys = format!("{}/keys", provider.url);
    json!({"issuer": provider.url, "jwks_uri": keys}).to_string()
}

async fn keys(State(provider): State<Provider>) -> (StatusCode, String) {
    provider.asked.fetch_add(1, Ordering::SeqCst);
    match provider.keys.lock().expect("no panic").clone() {
        Some(keys) => (StatusCode::OK, json!({"keys": keys}).to_string()),
        None => (StatusCode::BAD_GATEWAY, String::new()),
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs()
}

async fn ping(app: &Router, token: &str) -> (u16, String) {
    let request = Request::post("/cxx-compiler-service/ping")
        .header("Authorization", format!("Bearer {token}"))
        .body(Body::empty())
        .expect("a request");
    let Ok(response) = app.clone().oneshot(request).await;
    let status = response.status().as_u16();
    let words = response.into_body().collect().await.expect("a body").to_bytes();
    (status, String::from_utf8_lossy(&words).into_owned())
}

#[tokio::test]
async fn a_token_is_believed_for_what_its_issuer_has_signed_and_nothing_else() {
    let (provider, key, forger) = (Provider::start().await, Key::new("one"), Key::new("one"));
    provider.has(&[&key]);
    let app = provider.gateway();
    let good = provider.token(&key, &[]);
    assert_eq!(ping(&app, &good).await.0, 200);
    let audiences = json!(["other", "goma"]);
    assert_eq!(ping(&app, &provider.token(&key, &[("aud", audiences)])).await.0, 200);

    let none = json!({"alg": "none", "typ": "JWT"});
    let secret = json!({"alg": "HS256", "typ": "JWT", "kid": "one"});
    let rsa = json!({"alg": "RS256", "typ": "JWT", "kid": "one"});
    let (head, rest) = good.split_once('.').expect("three parts");
    let (_, signature) = rest.split_once('.').expect("three parts");
    let other = URL_SAFE_NO_PAD
        .encode(provider.claims(&[("email", json!("eve@farm.example"))]).to_string());
    let cases = [
        (provider.token(&forger, &[]), 401, "InvalidSignature"),
        (format!("{head}.{other}.{signature}"), 401, "InvalidSignature"),
        (format!("{head}.{rest}x"), 401, "token of"),
        (key.sign(&none, &provider.claims(&[])), 401, "token of"),
        (key.sign(&secret, &provider.claims(&[])), 401, "not signed in a way"),
        (key.sign(&rsa, &provider.claims(&[])), 401, "token of"),
        (provider.token(&key, &[("exp", json!(now() - 60))]), 401, "ExpiredSignature"),
        (provider.token(&key, &[("exp", Value::Null)]), 401, "exp"),
        (provider.token(&key, &[("exp", json!("never"))]), 401, "exp"),
        (provider.token(&key, &[("nbf", json!(now() + 600))]), 401, "ImmatureSignature"),
        (provider.token(&key, &[("aud", json!("other"))]), 401, "InvalidAudience"),
        (provider.token(&key, &[("iss", json!("https://else.example"))]), 401, "InvalidIssuer"),
        (provider.token(&key, &[("email", Value::Null)]), 401, "no claim \"email\""),
        (provider.token(&key, &[("email_verified", json!(false))]), 401, "not verified"),
        (provider.token(&key, &[("email_verified", json!("true"))]), 401, "not verified"),
        (provider.token(&key, &[("email", json!("eve@else.example"))]), 403, "not on the list"),
        ("a.b.c".to_owned(), 401, "no signed token"),
        ("opaque".to_owned(), 401, "no signed token"),
    ];
    for (token, status, why) in cases {
        let (told, words) = ping(&app, &token).await;
        assert_eq!(told, status, "{words}, not {why}");
        assert!(words.contains(why), "{words}, not {why}");
    }
    assert_eq!(provider.asked.load(Ordering::SeqCst), 1, "nobody is asked about a token");
}

#[tokio::test]
async fn new_keys_are_fetched_when_a_token_needs_them_and_not_for_everybody_who_makes_one_up() {
    let (provider, old, new) = (Provider::start().await, Key::new("old"), Key::new("new"));
    provider.has(&[&old]);
    let app = provider.gateway();
    assert_eq!(ping(&app, &provider.token(&old, &[])).await.0, 200);
    provider.has(&[&old, &new]);
    // Within the pause nobody asks again, whatever is brought.
    for _ in 0..20 {
        let (status, words) = ping(&app, &provider.token(&new, &[])).await;
        assert_eq!(status, 401, "{words}");
    }
    assert_eq!(provider.asked.load(Ordering::SeqCst), 1);
    tokio::time::sleep(Duration::from_millis(10_100)).await;
    assert_eq!(ping(&app, &provider.token(&new, &[])).await.0, 200);
    assert_eq!(ping(&app, &provider.token(&old, &[])).await.0, 200);
    assert_eq!(provider.asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_provider_that_is_away_is_no_reason_to_deny_anybody() {
    let (provider, key) = (Provider::start().await, Key::new("one"));
    let app = provider.gateway();
    let (status, words) = ping(&app, &provider.token(&key, &[])).await;
    assert_eq!(status, 503, "{words}");
    assert!(words.contains("502"), "{words}: what its provider said");
    provider.has(&[&key]);
    tokio::time::sleep(Duration::from_millis(10_100)).await;
    assert_eq!(ping(&app, &provider.token(&key, &[])).await.0, 200);
    provider.is_away();
    assert_eq!(ping(&app, &provider.token(&key, &[])).await.0, 200, "its key is known");
}
