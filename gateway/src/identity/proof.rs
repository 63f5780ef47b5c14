//! What shows who a request is from.

use serde_json::{Map, Value};

/// A name, and how it was shown. Debug shows no token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Proof {
    /// An address, or the name of a token of ours or of a certificate.
    pub(crate) name: String,
    pub(crate) by: By,
    /// Whom a token was made for, where that is for the list to judge.
    pub(crate) audience: Option<String>,
    /// What else its issuer says.
    pub(crate) claims: Option<Map<String, Value>>,
}

/// How.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    OurToken,
    Google,
    Oidc,
    Certificate,
    /// A proxy of ours, who has seen to it.
    Proxy,
}

impl By {
    /// Whether it is a token that its issuer's services take.
    pub(crate) fn is_an_issuers(self) -> bool {
        matches!(self, Self::Google | Self::Oidc)
    }
}

impl Proof {
    /// A name, and nothing else.
    pub(crate) fn of(name: &str, by: By) -> Self {
        Self { name: name.to_owned(), by, audience: None, claims: None }
    }

    /// Whether a claim has one of these values, or is a list with one of them.
    pub(crate) fn claims(&self, claim: &str, values: &[String]) -> bool {
        let told = self.claims.as_ref().and_then(|claims| claims.get(claim));
        let is_one = |told: &Value| values.iter().any(|value| told.as_str() == Some(value));
        match told {
            Some(Value::Array(all)) => all.iter().any(is_one),
            Some(one) => is_one(one),
            None => false,
        }
    }
}
