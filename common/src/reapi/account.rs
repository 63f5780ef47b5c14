//! Calls to a backend on another account than ours: within [`with_account`] they carry its token in
//! place of ours.
//!
//! It belongs to the task that makes the calls. What another task does for it, such as batches that are
//! shared by many, is done on our account.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use http::HeaderValue;

use super::credentials::{TokenSource, bearer};
use crate::error::{Code, Error, Result};

tokio::task_local! {
    static ACCOUNT: Option<Account>;
}

/// Whose account calls are made on. Debug shows no token.
#[derive(Clone)]
pub struct Account(Kind);

#[derive(Clone)]
enum Kind {
    /// A user's, by the token that he showed.
    User(HeaderValue),
    /// One that a source knows tokens of.
    Of(Arc<dyn TokenSource>),
}

impl Account {
    /// A user's, by his bearer token without the word before it.
    ///
    /// # Errors
    /// `InvalidArgument` when it has bytes that no header has.
    pub fn of_user(token: &str) -> Result<Self> {
        let told = bearer(token).map_err(|error| Error { code: Code::InvalidArgument, ..error })?;
        Ok(Self(Kind::User(told)))
    }

    /// The one that this source has tokens of.
    #[must_use]
    pub fn of(source: Arc<dyn TokenSource>) -> Self {
        Self(Kind::Of(source))
    }

    /// What a call carries.
    pub(super) async fn authorization(&self) -> Result<HeaderValue> {
        match &self.0 {
            Kind::User(told) => Ok(told.clone()),
            Kind::Of(source) => bearer(&source.token().await?),
        }
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::User(_) => "Account(a user's)",
            Kind::Of(_) => "Account(a group's)",
        })
    }
}

/// Does something whose calls to a backend are made on this account, or on ours.
pub fn with_account<F: Future>(
    account: Option<&Account>,
    work: F,
) -> impl Future<Output = F::Output> + use<F> {
    ACCOUNT.scope(account.cloned(), work)
}

/// Whether this task's calls are made on another account than ours now.
#[must_use]
pub fn is_other_account() -> bool {
    ACCOUNT.try_with(Option::is_some).unwrap_or(false)
}

/// The account of calls that this task makes now, if it is not ours.
pub(super) fn current() -> Option<Account> {
    ACCOUNT.try_with(Clone::clone).ok().flatten()
}

/// The token of this task's calls was refused: whether another try may have another one. A user's is
/// not ours to renew.
pub(super) fn renew() -> bool {
    match current() {
        Some(Account(Kind::Of(source))) => {
            source.renew();
            true
        }
        _ => false,
    }
}
