//! Tokens of an OpenID provider: signed, so that nobody is asked about one. What is asked for, now and
//! then, is the provider's keys.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use goma_common::{Code, Error, Result};
use http::Uri;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation, decode, decode_header};
use serde_json::{Map, Value};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::jwt_crypto::{self, ALGORITHMS};
use super::web::Web;
use super::{By, Denied, Proof};

/// Keys are asked for again after this, so that one which was withdrawn is not believed for long.
const LIFE: Duration = Duration::from_secs(3600);
/// A token of an unknown key has them asked for at once, but no more often than this: anybody can make
/// up names of keys.
const PAUSE: Duration = Duration::from_secs(10);
/// Clocks may differ by so much, in seconds.
const LEEWAY: u64 = 30;

/// One provider.
pub(crate) struct Oidc {
    issuer: String,
    audience: String,
    /// The claim that is a user's name.
    name: String,
    web: Web,
    keys: RwLock<Arc<Keys>>,
    asking: Mutex<()>,
}

#[derive(Default)]
struct Keys {
    set: Vec<Jwk>,
    /// When they were last asked for, and whether that was answered.
    asked: Option<(Instant, Result<()>)>,
}

impl Oidc {
    /// A provider, known by its URL, whose tokens have to be for this audience. Asks nothing yet.
    ///
    /// # Errors
    /// When there is no way to ask over HTTPS.
    pub(crate) fn new(issuer: String, audience: String, name: String) -> Result<Self> {
        jwt_crypto::install();
        let (web, keys) = (Web::new()?, RwLock::default());
        Ok(Self { issuer, audience, name, web, keys, asking: Mutex::default() })
    }

    /// Whose token it is.
    pub(crate) async fn prove(&self, token: &str) -> Result<Proof, Denied> {
        let header = self.header(token)?;
        let key = self.key(header.kid.as_deref()).await?;
        let Some(key) = key else {
            return Err(self.unknown("it is signed by a key that its issuer does not have"));
        };
        self.proved(token, header.alg, &key)
    }

    fn unknown(&self, why: &str) -> Denied {
        Denied::Unknown(format!("token of {}: {why}", self.issuer))
    }

    /// How it says that it is signed, which is not to be believed before it is proved.
    pub(super) fn header(&self, token: &str) -> Result<Header, Denied> {
        let header = decode_header(token).map_err(|_| self.unknown("it is no signed token"))?;
        match ALGORITHMS.contains(&header.alg) {
            true => Ok(header),
            false => Err(self.unknown("it is not signed in a way that is believed")),
        }
    }

    /// Whose token it is, if it is signed by this key. Pure but for the clock.
    pub(super) fn proved(
        &self,
        token: &str,
        algorithm: Algorithm,
        key: &Jwk,
    ) -> Result<Proof, Denied> {
        let unknown = |why: &str| self.unknown(why);
        let key = DecodingKey::from_jwk(key).map_err(|_| unknown("its key cannot be read"))?;
        let mut validation = Validation::new(algorithm);
        validation.set_audience(&[&self.audience]);
        validation.set_issuer(&[&self.issuer]);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        validation.validate_nbf = true;
        validation.leeway = LEEWAY;
        let decoded = decode::<Map<String, Value>>(token, &key, &validation)
            .map_err(|error| unknown(&error.to_string()))?;
        self.named(decoded.claims).map_err(|why| unknown(&why))
    }

    /// Who these claims, which are true, are about. Pure.
    fn named(&self, claims: Map<String, Value>) -> Result<Proof, String> {
        let name = claims.get(&self.name).and_then(Value::as_str).unwrap_or("");
        if name.is_empty() {
            return Err(format!("it has no claim {:?}", self.name));
        }
        if self.name == "email" && claims.get("email_verified") != Some(&Value::Bool(true)) {
            return Err("its address is not verified".to_owned());
        }
        let proof = Proof::of(name, By::Oidc);
        Ok(Proof { claims: Some(claims), ..proof })
    }

    /// The key of this name; without one, the only key that there is.
    async fn key(&self, kid: Option<&str>) -> Result<Option<Jwk>, Denied> {
        let find = |keys: &Keys| match kid {
            Some(kid) => {
                keys.set.iter().find(|key| key.common.key_id.as_deref() == Some(kid)).cloned()
            }
            None if keys.set.len() == 1 => keys.set.first().cloned(),
            None => None,
        };
        let known = self.known();
        let age = |keys: &Keys| keys.asked.as_ref().map(|(at, _)| at.elapsed());
        let found = find(&known);
        if found.is_some() && age(&known).is_some_and(|age| age < LIFE) {
            return Ok(found);
        }
        let asking = self.asking.lock().await;
        // Somebody else may have asked meanwhile.
        let known = self.known();
        if age(&known).is_none_or(|age| age >= PAUSE) {
            self.renew(&known).await;
        }
        drop(asking);
        let known = self.known();
        match (find(&known), &known.asked) {
            // Also where they could not be had again: an outage hurts nobody whose key was known.
            (Some(key), _) => Ok(Some(key)),
            (None, Some((_, Err(error)))) => Err(Denied::Later(error.clone())),
            (None, _) => Ok(None),
        }
    }

    fn known(&self) -> Arc<Keys> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks for the keys, and keeps those that are known where they cannot be had.
    async fn renew(&self, known: &Keys) {
        let asked = self.ask().await;
        let now = Instant::now();
        let keys = match asked {
            Ok(set) => Keys { set, asked: Some((now, Ok(()))) },
            Err(error) => {
                tracing::warn!(%error, "the keys of tokens cannot be had");
                Keys { set: known.set.clone(), asked: Some((now, Err(error))) }
            }
        };
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
    }

    async fn ask(&self) -> Result<Vec<Jwk>> {
        let place =
            format!("{}/.well-known/openid-configuration", self.issuer.trim_end_matches('/'));
        let configuration: Value = self.json(&place).await?;
        if configuration["issuer"].as_str() != Some(&self.issuer) {
            let told = &configuration["issuer"];
            let why = format!("{place}: it is of another issuer, {told}, than --oidc-issuer says");
            return Err(Error::new(Code::Unavailable, why));
        }
        let place = configuration["jwks_uri"].as_str().unwrap_or_default();
        let keys = keys(&self.json(place).await?);
        match keys.is_empty() {
            true => Err(Error::new(Code::Unavailable, format!("{place}: no key that can be read"))),
            false => Ok(keys),
        }
    }

    async fn json(&self, place: &str) -> Result<Value> {
        let failed = |why: &dyn std::fmt::Display| {
            Error::new(Code::Unavailable, format!("{place:?}: {why}"))
        };
        let uri: Uri = place.parse().map_err(|error| failed(&error))?;
        let (status, body) = self.web.get(&uri).await?;
        if !status.is_success() {
            return Err(failed(&status));
        }
        serde_json::from_slice(&body).map_err(|error| failed(&error))
    }
}

/// The keys of a set that can be read: one of a kind that we do not know is no reason to refuse the
/// others. Pure.
pub(super) fn keys(set: &Value) -> Vec<Jwk> {
    let keys = set["keys"].as_array().cloned().unwrap_or_default();
    keys.into_iter().filter_map(|key| serde_json::from_value(key).ok()).collect()
}
