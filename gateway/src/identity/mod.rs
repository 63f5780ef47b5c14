//! Who a request is from, before anything of its body is read.
//!
//! A token is proved by whoever gave it: [`static_tokens`] by a file of ours, [`google`] by its issuer,
//! [`oidc`] by its issuer's signature, of which [`jwt_crypto`] is the cryptography. What is proved is a name; [`acl`] says which group that is in, and whether it is let in. [`web`]
//! speaks to issuers, [`args`] are the flags.

mod acl;
mod args;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod google;
mod jwt_crypto;
mod oidc;
mod static_tokens;
mod token_verb;
mod web;

use goma_common::Error;
use goma_common::reapi::UserToken;
use goma_common::reloaded::Reloaded;
use http::HeaderMap;
use http::header::AUTHORIZATION;

use acl::{Acl, Decision};
use google::Google;
use oidc::Oidc;
use static_tokens::StaticTokens;

use crate::shares::Share;

pub use args::IdentityArgs;
pub use token_verb::TokenCommand;

/// What a token proves. Debug shows no token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Proof {
    /// An address, or the name of a token of ours.
    pub(crate) name: String,
    /// Whom the token was made for, where that is for the list to judge.
    pub(crate) audience: Option<String>,
    /// Whether it is a token of ours.
    pub(crate) is_ours: bool,
}

/// Who a request is from; by default nobody in particular.
#[derive(Clone, Debug, Default)]
pub(crate) struct Caller {
    /// As proved; empty where nobody is asked.
    pub(crate) name: String,
    /// On whose account the backend is used, if not ours.
    pub(crate) token: Option<UserToken>,
    /// What his group may have under way.
    pub(crate) share: Option<Share>,
}

impl Caller {
    /// What this request takes a place in: the user's own share, of so many requests, and his
    /// group's.
    pub(crate) fn shares(&self, each: usize) -> Vec<Share> {
        let own = Share { of: self.name.clone(), requests: each };
        let own = Some(own).filter(|own| !own.of.is_empty());
        own.into_iter().chain(self.share.clone()).collect()
    }
}

/// Why a request is not served.
#[derive(Clone, Debug)]
pub(crate) enum Denied {
    /// It does not say who it is from, or what it says does not hold.
    Unknown(String),
    /// Who it is from is known, and not let in.
    Forbidden(String),
    /// It cannot be told now. Never told as the others: a client that is denied compiles by itself
    /// from then on.
    Later(Error),
}

/// How requests are identified. Made by [`IdentityArgs`].
pub struct Identity {
    tokens: Option<Reloaded<StaticTokens>>,
    google: Option<Google>,
    oidc: Option<Oidc>,
    /// Nobody is asked without one.
    acl: Option<Reloaded<Acl>>,
}

impl Identity {
    /// Everybody is let in.
    #[must_use]
    pub fn none() -> Self {
        Self { tokens: None, google: None, oidc: None, acl: None }
    }

    /// Whether some group's users have the backend used on their own account.
    #[must_use]
    pub fn passes_tokens(&self) -> bool {
        self.acl.as_ref().is_some_and(|acl| acl.get().passes_tokens())
    }

    /// Who the request of these headers is from.
    pub(crate) async fn identify(&self, headers: &HeaderMap) -> Result<Caller, Denied> {
        let Some(acl) = &self.acl else {
            return Ok(Caller::default());
        };
        let token = bearer(headers)?;
        let proof = self.prove(token).await?;
        let (passes_token, share) = match acl.get().decide(&proof) {
            Decision::Allowed { passes_token: true, .. } if proof.is_ours => {
                return Err(Denied::Forbidden(format!(
                    "the group of {} uses the backend with its users' own tokens, which this token \
                     is none of",
                    proof.name
                )));
            }
            Decision::Allowed { passes_token, share } => (passes_token, share),
            Decision::Rejected { group } => {
                return Err(Denied::Forbidden(format!(
                    "{}: group {group} is not let in",
                    proof.name
                )));
            }
            Decision::Unlisted => {
                return Err(Denied::Forbidden(format!("{} is not on the list", proof.name)));
            }
        };
        let token = match passes_token {
            true => Some(UserToken::new(token).map_err(|error| Denied::Unknown(error.message))?),
            false => None,
        };
        Ok(Caller { name: proof.name, token, share })
    }

    async fn prove(&self, token: &str) -> Result<Proof, Denied> {
        // By their looks, so that nobody else is asked about a token of ours.
        if static_tokens::is_ours(token) {
            let Some(tokens) = &self.tokens else {
                return Err(Denied::Unknown("this server knows no tokens of its own".to_owned()));
            };
            return tokens.get().prove(token, std::time::SystemTime::now());
        }
        // Google's tokens are not signed, and of no form.
        if let Some(oidc) = &self.oidc
            && (self.google.is_none() || token.split('.').count() == 3)
        {
            return oidc.prove(token).await;
        }
        match &self.google {
            Some(google) => google.prove(token).await,
            None => Err(Denied::Unknown("no token of this server".to_owned())),
        }
    }
}

fn bearer(headers: &HeaderMap) -> Result<&str, Denied> {
    let unknown = |why: &str| Denied::Unknown(why.to_owned());
    let Some(told) = headers.get(AUTHORIZATION) else {
        return Err(unknown("no token: sign in with the client's goma_auth, or set its token"));
    };
    let told = told.to_str().map_err(|_| unknown("the token has bytes that no token has"))?;
    match told.split_once(' ') {
        Some((scheme, token))
            if scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty() =>
        {
            Ok(token.trim())
        }
        _ => Err(unknown("the authorization is not of the form: Bearer TOKEN")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearer_token_is_wanted_and_no_other() {
        let told = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, text.parse().expect("a value"));
            bearer(&headers).map(ToOwned::to_owned)
        };
        assert_eq!(told("Bearer t").expect("a token"), "t");
        assert_eq!(told("bearer  t ").expect("a token"), "t");
        for bad in ["Basic dDp0", "Bearer", "Bearer ", "t"] {
            assert!(matches!(told(bad), Err(Denied::Unknown(_))), "{bad}");
        }
        assert!(matches!(bearer(&HeaderMap::new()), Err(Denied::Unknown(_))));
    }
}
