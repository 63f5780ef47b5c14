//! Bearer tokens of a service account, whose key is in a JSON file as Google issues them.
//!
//! Either the account's key signs a token that the backend itself verifies, or it signs a request for
//! one to whoever the file names as `token_uri` (RFC 7523).

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gcp_auth::{CustomServiceAccount, TokenProvider};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use super::credentials::TokenSource;
use crate::error::{Code, Error, Result};

/// What the original asks for.
pub const SCOPE: &str = "https://www.googleapis.com/auth/cloud-build-service";

/// The life of a token that we sign: Google takes an hour at most.
const SIGNED_LIFE: Duration = Duration::from_secs(3600);
/// A token is renewed when it is good for no longer than this or a quarter of its life, so that a call
/// which is on its way with it arrives in time; one that cannot be renewed is used to its end.
const MARGIN: Duration = Duration::from_secs(60);
/// Whoever gives tokens answers within this, tries of the library included.
const EXCHANGE: Duration = Duration::from_secs(10);
/// After an exchange that failed nobody is asked again for this long.
const PAUSE: Duration = Duration::from_secs(1);

/// How a token comes of the key.
#[derive(Clone, Debug)]
pub enum Grant {
    /// Signed by us, for this audience.
    Signed {
        /// The backend's own name for itself, such as `https://farm.example/`.
        audience: String,
    },
    /// Exchanged for one with these scopes.
    Exchanged {
        /// What it is good for.
        scope: String,
    },
}

/// The account. The file is read for each new token, since keys are rotated.
pub struct ServiceAccount {
    file: PathBuf,
    grant: Grant,
    /// Whether the next token is to be another, however fresh the last one is.
    renew: AtomicBool,
    last: Mutex<Last>,
}

#[derive(Default)]
struct Last {
    known: Option<Known>,
    failed: Option<(SystemTime, Error)>,
}

struct Known {
    token: Zeroizing<String>,
    /// When another one is to be had.
    renewed: SystemTime,
    until: SystemTime,
}

impl Known {
    fn new(token: String, now: SystemTime, until: SystemTime) -> Self {
        let life = until.duration_since(now).unwrap_or_default();
        Self { token: token.into(), renewed: until - MARGIN.min(life / 4), until }
    }
}

/// The parts of the file that we need ourselves.
#[derive(Deserialize)]
struct KeyFile {
    #[serde(rename = "type")]
    kind: Option<String>,
    client_email: String,
    private_key_id: Option<String>,
    token_uri: Option<String>,
}

#[derive(Serialize)]
struct Header<'a> {
    alg: &'a str,
    typ: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<&'a str>,
}

/// RFC 7519, 4.1; times in seconds since 1970.
#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    iat: u64,
    exp: u64,
}

impl ServiceAccount {
    /// The account of this file.
    ///
    /// # Errors
    /// `InvalidArgument` when the file holds no key of a service account; never with its contents.
    pub fn open(file: PathBuf, grant: Grant) -> Result<Self> {
        let this = Self { file, grant, renew: AtomicBool::new(false), last: Mutex::default() };
        this.read()?;
        Ok(this)
    }

    fn read(&self) -> Result<(KeyFile, CustomServiceAccount)> {
        let invalid = |why: &dyn std::fmt::Display| {
            let file = self.file.display();
            let message = format!("{file}: {why}; a key file of a service account is wanted");
            Error::new(Code::InvalidArgument, message)
        };
        let text = std::fs::read_to_string(&self.file);
        let text = Zeroizing::new(text.map_err(|error| invalid(&error))?);
        // Where serde stopped, and not what it found there.
        let place = |error: serde_json::Error| match error.classify() {
            serde_json::error::Category::Data => {
                invalid(&"a field of it is missing or no text (client_email, private_key, ...)")
            }
            _ => invalid(&format!("no JSON from line {} on", error.line())),
        };
        let key: KeyFile = serde_json::from_str(&text).map_err(place)?;
        if key.kind.as_deref().is_some_and(|kind| kind != "service_account") {
            return Err(invalid(&"its type is another one"));
        }
        let account = CustomServiceAccount::from_json(&text)
            .map_err(|_| invalid(&"its private_key is no RSA key in PEM (PKCS #8), or missing"))?;
        Ok((key, account))
    }

    async fn fetch(&self) -> Result<Known> {
        let (key, account) =
            self.read().map_err(|error| Error { code: Code::Unavailable, ..error })?;
        match &self.grant {
            Grant::Signed { audience } => signed(&key, &account, audience, SystemTime::now()),
            Grant::Exchanged { scope } => {
                let whom = key.token_uri.as_deref().unwrap_or("its token_uri");
                let failed = |why: &dyn std::fmt::Display| {
                    let message = format!("service account {}: {whom}: {why}", key.client_email);
                    Error::new(Code::Unavailable, message)
                };
                let scopes: Vec<&str> = scope.split_whitespace().collect();
                let exchange = tokio::time::timeout(EXCHANGE, account.token(&scopes)).await;
                let token = exchange
                    .map_err(|_| failed(&format!("no token within {} s", EXCHANGE.as_secs())))?
                    .map_err(|error| failed(&told(&error)))?;
                let until = token.expires_at().into();
                Ok(Known::new(token.as_str().to_owned(), SystemTime::now(), until))
            }
        }
    }
}

/// With what lies below, which is where the reason is.
fn told(error: &gcp_auth::Error) -> String {
    match crate::error::deepest_cause(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

fn signed(
    key: &KeyFile,
    account: &CustomServiceAccount,
    audience: &str,
    now: SystemTime,
) -> Result<Known> {
    let failed = |_| Error::new(Code::Internal, "service account: its token cannot be signed");
    let since = |time: SystemTime| {
        time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
    };
    let until = now + SIGNED_LIFE;
    let header = Header { alg: "RS256", typ: "JWT", kid: key.private_key_id.as_deref() };
    let who = key.client_email.as_str();
    let claims = Claims { iss: who, sub: who, aud: audience, iat: since(now), exp: since(until) };
    let part = |json: serde_json::Result<Vec<u8>>| {
        json.map(|json| URL_SAFE_NO_PAD.encode(json))
            .map_err(|error| Error::new(Code::Internal, format!("service account: {error}")))
    };
    let mut token =
        format!("{}.{}", part(serde_json::to_vec(&header))?, part(serde_json::to_vec(&claims))?);
    let signature = account.signer().sign(token.as_bytes()).map_err(failed)?;
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    Ok(Known::new(token, now, until))
}

#[async_trait]
impl TokenSource for ServiceAccount {
    async fn token(&self) -> Result<Zeroizing<String>> {
        // Held while a token is fetched: the others wait for the same one.
        let mut last = self.last.lock().await;
        let renew = self.renew.swap(false, Ordering::Relaxed);
        let now = SystemTime::now();
        let known = last.known.as_ref().filter(|_| !renew);
        if let Some(known) = known.filter(|known| now < known.renewed) {
            return Ok(known.token.clone());
        }
        let is_soon = |at: SystemTime| now.duration_since(at).is_ok_and(|since| since < PAUSE);
        let fetched = match &last.failed {
            Some((at, error)) if is_soon(*at) => Err(error.clone()),
            _ => self.fetch().await,
        };
        match fetched {
            Ok(known) => {
                let token = known.token.clone();
                *last = Last { known: Some(known), failed: None };
                Ok(token)
            }
            Err(error) => {
                if !last.failed.as_ref().is_some_and(|(at, _)| is_soon(*at)) {
                    last.failed = Some((now, error.clone()));
                }
                match last.known.as_ref().filter(|known| now < known.until && !renew) {
                    Some(known) => {
                        tracing::warn!(%error, "the token that was there last is used to its end");
                        Ok(known.token.clone())
                    }
                    None => Err(error),
                }
            }
        }
    }

    fn renew(&self) {
        self.renew.store(true, Ordering::Relaxed);
    }
}
