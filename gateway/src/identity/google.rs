//! Google's access tokens, as the stock client gets them when its user signs in: Google is asked whose
//! one is, once for as long as it lives.

use std::time::{Duration, SystemTime};

use goma_common::{Digest, Error};
use http::{StatusCode, Uri};
use quick_cache::sync::Cache;
use serde_json::Value;

use super::web::Web;
use super::{By, Denied, Proof};

/// Where Google tells of a token.
pub(crate) const TOKENINFO: &str = "https://oauth2.googleapis.com/tokeninfo";
/// The id by which the stock client signs its users in.
pub(crate) const STOCK_CLIENT: &str =
    "687418631491-r6m1c3pr0lth5atp4ie07f03ae8omefc.apps.googleusercontent.com";

/// Tokens that are remembered.
const KNOWN: usize = 20_000;
/// A token is not taken to be good for the last bit of its life: what is done with it takes time.
const MARGIN: Duration = Duration::from_secs(30);
/// However long a token is said to live, it is asked about again after this.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// How long a denial is remembered; a client that is denied asks again and again.
const DENIAL: Duration = Duration::from_secs(10);

/// Asks Google, and remembers by the token's hash.
pub(crate) struct Google {
    web: Web,
    tokeninfo: Uri,
    known: Cache<[u8; 32], Known>,
}

#[derive(Clone)]
struct Known {
    verdict: Result<Proof, String>,
    until: SystemTime,
}

impl Google {
    /// Asks at this address.
    ///
    /// # Errors
    /// When there is no way to ask over HTTPS.
    pub(crate) fn new(tokeninfo: Uri) -> Result<Self, Error> {
        Ok(Self { web: Web::new()?, tokeninfo, known: Cache::new(KNOWN) })
    }

    /// Whose token it is. Of many who bring the same one, one asks.
    pub(crate) async fn prove(&self, token: &str) -> Result<Proof, Denied> {
        let hash = Digest::of(token.as_bytes()).hash;
        let now = SystemTime::now();
        if self.known.get(&hash).is_some_and(|known| known.until <= now) {
            // One who comes between finds none, and asks as well.
            self.known.remove(&hash);
        }
        let asked = self.known.get_or_insert_async(&hash, async {
            let asked = self.ask(token).await;
            asked.map(|(verdict, life)| Known { verdict, until: SystemTime::now() + life })
        });
        let known = asked.await.map_err(Denied::Later)?;
        known.verdict.map_err(Denied::Unknown)
    }

    /// What Google says, and for how long that holds.
    async fn ask(&self, token: &str) -> Result<(Result<Proof, String>, Duration), Error> {
        let form: String = std::iter::once("access_token=".to_owned())
            .chain(token.bytes().map(|byte| match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => {
                    char::from(byte).to_string()
                }
                _ => format!("%{byte:02X}"),
            }))
            .collect();
        let (status, body) = self.web.post(&self.tokeninfo, form).await?;
        match status {
            StatusCode::OK => Ok(verdict(&body)),
            // 400 is what it says of a token that is none, or has expired.
            StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Ok((Err("Google does not know this token, or it has expired".to_owned()), DENIAL))
            }
            status => {
                let why = format!("{}: {status}", self.tokeninfo);
                Err(Error::new(goma_common::Code::Unavailable, why))
            }
        }
    }
}

/// Reads an answer: numbers and truths may be written as texts, and two fields have two names. Pure.
pub(super) fn verdict(body: &[u8]) -> (Result<Proof, String>, Duration) {
    let info: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |names: [&str; 2]| names.iter().find_map(|name| info[name].as_str()).unwrap_or("");
    let number = |value: &Value| value.as_u64().or_else(|| value.as_str()?.parse().ok());
    let is_true = |name: &str| info[name].as_bool() == Some(true) || info[name] == "true";
    let life = number(&info["expires_in"]).map_or(Duration::ZERO, Duration::from_secs);
    let denied = |why: &str| (Err(why.to_owned()), DENIAL);
    let (name, audience) = (text(["email", "email"]), text(["aud", "audience"]));
    if name.is_empty() || !(is_true("email_verified") || is_true("verified_email")) {
        return denied("Google tells no verified address of this token");
    }
    if audience.is_empty() {
        return denied("Google does not tell whom this token was made for");
    }
    match life.checked_sub(MARGIN) {
        Some(life) if !life.is_zero() => {
            let audience = Some(audience.to_owned());
            (Ok(Proof { audience, ..Proof::of(name, By::Google) }), life.min(LONGEST))
        }
        _ => denied("the token is about to expire"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_either_form_are_read() {
        let old = br#"{"audience":"c","email":"a@x","verified_email":true,"expires_in":3599}"#;
        let new = br#"{"aud":"c","email":"a@x","email_verified":"true","expires_in":"3599"}"#;
        let proof = Proof { audience: Some("c".to_owned()), ..Proof::of("a@x", By::Google) };
        for answer in [&old[..], new] {
            assert_eq!(verdict(answer), (Ok(proof.clone()), Duration::from_secs(3569)));
        }
    }

    #[test]
    fn no_answer_holds_for_ever() {
        let answer = |life: &str| {
            let rest = r#""aud":"c","email":"a@x","email_verified":"true""#;
            verdict(format!("{{{rest},\"expires_in\":{life}}}").as_bytes())
        };
        for life in ["86430", "18446744073709551615", "\"18446744073709551615\""] {
            let (verdict, life) = answer(life);
            assert!(verdict.is_ok() && life == LONGEST, "{life:?}");
        }
        assert_eq!(answer("86429").1, LONGEST - Duration::from_secs(1));
    }

    #[test]
    fn what_proves_nothing_is_denied() {
        for answer in [
            &b"no JSON"[..],
            br#"{"aud":"c","email":"a@x","email_verified":"false","expires_in":"3599"}"#,
            br#"{"aud":"c","email":"a@x","expires_in":"3599"}"#,
            br#"{"aud":"c","email_verified":"true","expires_in":"3599"}"#,
            br#"{"email":"a@x","email_verified":"true","expires_in":"3599"}"#,
            br#"{"aud":"c","email":"a@x","email_verified":"true","expires_in":"30"}"#,
            br#"{"aud":"c","email":"a@x","email_verified":"true"}"#,
        ] {
            let (verdict, life) = verdict(answer);
            assert!(verdict.is_err() && life == DENIAL, "{}", String::from_utf8_lossy(answer));
        }
    }
}
