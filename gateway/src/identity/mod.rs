//! Who a request is from, before anything of its body is read.
//!
//! A token is proved by whoever gave it: [`static_tokens`] by a file of ours, [`google`] by its issuer,
//! [`oidc`] by its issuer's signature, of which [`jwt_crypto`] is the cryptography. Without a token it is
//! the certificate that the connection has shown, or what a proxy of ours says. What is [`proof`] of is a
//! name; [`acl`] says which group that is in, and whether it is let in, and [`accounts`] on whose account
//! the backend is used then. [`caller`] is all of that; [`web`] speaks to issuers, [`args`] are the flags.

mod accounts;
mod acl;
mod args;
mod caller;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod google;
mod jwt_crypto;
mod oidc;
mod proof;
mod static_tokens;
mod token_verb;
mod web;

use goma_common::reapi::Account;
use goma_common::reloaded::Reloaded;
use goma_common::{Code, Error, Tenant};
use http::HeaderMap;
use http::header::AUTHORIZATION;

use accounts::Listed;
use acl::{BackendAccount, Decision, Group};
use google::Google;
use oidc::Oidc;
use proof::{By, Proof};
use static_tokens::StaticTokens;

use crate::peer::Peer;

pub use args::IdentityArgs;
pub(crate) use args::Shown;
pub(crate) use caller::{Caller, source_of};
pub use token_verb::TokenCommand;

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

impl Denied {
    /// In words.
    pub(crate) fn why(&self) -> &str {
        match self {
            Self::Unknown(why) | Self::Forbidden(why) => why,
            Self::Later(error) => &error.message,
        }
    }
}

/// How requests are identified. Made by [`IdentityArgs`].
#[derive(Default)]
pub struct Identity {
    tokens: Option<Reloaded<StaticTokens>>,
    google: Option<Google>,
    oidc: Option<Oidc>,
    certificates: bool,
    proxies: bool,
    /// Nobody is asked without one.
    acl: Option<Reloaded<Listed>>,
    /// Whether groups are kept apart.
    tenancy: bool,
}

impl Identity {
    /// Everybody is let in.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Who the request of these headers is from, over this connection.
    pub(crate) async fn identify(
        &self,
        headers: &HeaderMap,
        peer: &Peer,
    ) -> Result<Caller, Denied> {
        let address = peer.client(headers);
        let Some(listed) = &self.acl else {
            return Ok(Caller { address: Some(address), ..Caller::default() });
        };
        let (proof, token) = self.prove(headers, peer).await?;
        let listed = listed.get();
        let group = match listed.acl.decide(&proof) {
            Decision::Allowed(group) => group,
            Decision::Rejected(group) => {
                let why = format!("{}: group {} is not let in", proof.name, group.id);
                return Err(Denied::Forbidden(why));
            }
            Decision::Unlisted => {
                return Err(Denied::Forbidden(format!("{} is not on the list", proof.name)));
            }
        };
        Ok(Caller {
            account: account(group, &listed, &proof, token)?,
            name: proof.name,
            address: Some(address),
            group: group.id.clone(),
            quotas: group.quotas,
            tenant: if self.tenancy { Tenant::of(&group.id) } else { Tenant::default() },
        })
    }

    /// What the request shows, and its token, if that is how.
    async fn prove<'h>(
        &self,
        headers: &'h HeaderMap,
        peer: &Peer,
    ) -> Result<(Proof, Option<&'h str>), Denied> {
        let takes_tokens = self.tokens.is_some() || self.google.is_some() || self.oidc.is_some();
        if takes_tokens && headers.contains_key(AUTHORIZATION) {
            let token = bearer(headers)?;
            return Ok((self.prove_token(token).await?, Some(token)));
        }
        if self.certificates
            && let Some(name) = &peer.certificate
        {
            return Ok((Proof::of(name, By::Certificate), None));
        }
        if self.proxies
            && let Some(name) = peer.user(headers)
        {
            return Ok((Proof::of(name, By::Proxy), None));
        }
        Err(Denied::Unknown(match (takes_tokens, self.certificates) {
            (true, _) => {
                "no token: sign in with the client's goma_auth, or set its token".to_owned()
            }
            (false, true) => "no certificate of a client was shown".to_owned(),
            (false, false) => "no proxy of ours says whose request it is".to_owned(),
        }))
    }

    async fn prove_token(&self, token: &str) -> Result<Proof, Denied> {
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

/// On whose account the backend is used for somebody of this group, if not on ours.
fn account(
    group: &Group,
    listed: &Listed,
    proof: &Proof,
    token: Option<&str>,
) -> Result<Option<Account>, Denied> {
    match (&group.account, token) {
        (BackendAccount::Server, _) => Ok(None),
        (BackendAccount::Named(name), _) => match listed.account(name) {
            Some(account) => Ok(Some(account.clone())),
            None => {
                let why = format!("service account {name:?} is not there");
                Err(Denied::Later(Error::new(Code::Internal, why)))
            }
        },
        (BackendAccount::User, Some(token)) if proof.by.is_an_issuers() => {
            let account =
                Account::of_user(token).map_err(|error| Denied::Unknown(error.message))?;
            Ok(Some(account))
        }
        (BackendAccount::User, _) => Err(Denied::Forbidden(format!(
            "the group of {} uses the backend with its users' own tokens, and this is no such token",
            proof.name
        ))),
    }
}

fn bearer(headers: &HeaderMap) -> Result<&str, Denied> {
    let unknown = |why: &str| Denied::Unknown(why.to_owned());
    let mut told = headers.get_all(AUTHORIZATION).iter();
    let (Some(told), None) = (told.next(), told.next()) else {
        return Err(unknown("more than one authorization"));
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
        let mut two = HeaderMap::new();
        two.append(AUTHORIZATION, "Bearer a".parse().expect("a value"));
        two.append(AUTHORIZATION, "Bearer b".parse().expect("a value"));
        assert!(matches!(bearer(&two), Err(Denied::Unknown(_))));
    }
}
