//! Tokens, lists of users and answers of issuers, of fuzzers.

use std::sync::LazyLock;
use std::time::SystemTime;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use jsonwebtoken::jwk::Jwk;
use serde_json::{Value, json};

use super::acl::{Acl, BackendAccount, Decision};
use super::google;
use super::oidc::{Oidc, keys};
use super::static_tokens::StaticTokens;
use super::{By, Proof, bearer};

/// The key of an issuer whose secret half is nowhere any more.
static KEY: LazyLock<Jwk> = LazyLock::new(|| {
    let key = json!({"kty": "EC", "crv": "P-256", "kid": "k", "x": X, "y": Y});
    serde_json::from_value(key).expect("a key")
});
const X: &str = "MiwQHmeGtC0pk7u0ycDGt6R7slv_tlkeqycosN_siLY";
const Y: &str = "vvoEld0ayVGkywcRXl304DE_dQ9rLFBDoMcftxsqi4Q";
/// What was signed with it: "ann@farm.example", until the year 2100.
const SIGNED: &str = "eyJhbGciOiJFUzI1NiIsImtpZCI6ImsifQ.eyJpc3MiOiJodHRwczovL2kuZXhhbXBsZSIsImF1ZCI\
    6ImdvbWEiLCJlbWFpbCI6ImFubkBmYXJtLmV4YW1wbGUiLCJlbWFpbF92ZXJpZmllZCI6dHJ1ZSwiZ\
    XhwIjo0MTAyNDQ0ODAwfQ";

static ISSUER: LazyLock<Oidc> = LazyLock::new(|| {
    let [issuer, audience, claim] = ["https://i.example", "goma", "email"].map(str::to_owned);
    Oidc::new(issuer, audience, claim).expect("this machine has certificates")
});

/// The value of a header `Authorization`: nobody is proved but whom the issuer signed for.
pub fn bearer_token(value: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(value) else { return };
    let headers = HeaderMap::from_iter([(AUTHORIZATION, value)]);
    let Ok(token) = bearer(&headers) else { return };
    assert!(!token.is_empty() && token.trim() == token);
    let Ok(header) = ISSUER.header(token) else { return };
    if let Ok(proof) = ISSUER.proved(token, header.alg, &KEY) {
        assert_eq!(token.rsplit_once('.').map(|(signed, _)| signed), Some(SIGNED));
        assert_eq!((proof.name.as_str(), proof.by), ("ann@farm.example", By::Oidc));
    }
}

/// What an issuer answers: its keys, or what it says of a token. No key of it lets in what it did not
/// sign, and no verdict holds longer than a clock can tell.
pub fn issuer_answer(body: &[u8]) {
    let (verdict, life) = google::verdict(body);
    assert!(SystemTime::now().checked_add(life).is_some(), "{life:?}");
    if let Ok(Proof { name, audience, by, .. }) = verdict {
        assert!(!name.is_empty() && audience.is_some_and(|it| !it.is_empty()) && by == By::Google);
    }
    let set: Value = serde_json::from_slice(body).unwrap_or_default();
    for key in keys(&set) {
        let token = format!("{SIGNED}.{}", "A".repeat(86));
        let header = ISSUER.header(&token).expect("it was signed once");
        assert!(ISSUER.proved(&token, header.alg, &key).is_err());
    }
}

/// A list of groups: names and domains mean the same in either case, and whoever is let in is named.
pub fn access_list(text: &str) {
    let Ok(acl) = Acl::parse(text) else { return };
    let words: Vec<&str> = text.split('"').filter(|word| word.len() < 100).collect();
    for name in words.iter().take(20) {
        for (by, audience) in [(By::OurToken, None), (By::Google, Some("client".to_owned()))] {
            let proof = |name: &str| Proof { audience: audience.clone(), ..Proof::of(name, by) };
            let (lower, upper) = (proof(name), proof(&name.to_ascii_uppercase()));
            let decided = acl.decide(&lower);
            assert_eq!(acl.decide(&upper), decided);
            let domain = name.rsplit_once('@').map(|(_, domain)| domain);
            let named = |word: &&str| {
                word.eq_ignore_ascii_case(name)
                    || domain.is_some_and(|domain| word.eq_ignore_ascii_case(domain))
            };
            let escaped = text.contains('\\') || text.contains('\'');
            if let Decision::Allowed(group) = decided {
                let ours = by == By::OurToken;
                assert!(ours || escaped || words.iter().any(named), "{name:?} is let in");
                assert!(group.account == BackendAccount::Server || acl.has_accounts());
            }
        }
    }
    let stranger = "a stranger at nowhere, named in no list";
    if !text.contains(stranger) {
        let proof = Proof::of(stranger, By::Google);
        let decided = acl.decide(&proof);
        assert!(!matches!(decided, Decision::Allowed(_)), "{decided:?}");
    }
}

/// A file of tokens: a bad line is not shown, and nothing that stands in it is a token.
pub fn token_file(text: &str) {
    match StaticTokens::parse(text) {
        Err(told) => {
            let shown = |word: &str| word.len() > 12 && told.contains(word);
            assert!(!text.split_whitespace().any(shown), "{told}");
        }
        Ok(tokens) => {
            let words = text.split(|c: char| c.is_whitespace() || c == '#');
            let believed = |word| tokens.prove(word, SystemTime::UNIX_EPOCH).is_ok();
            assert!(!words.take(50).any(believed), "a token by its hash or name");
        }
    }
}
