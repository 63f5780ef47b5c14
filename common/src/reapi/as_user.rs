//! Calls to a backend on a user's own account: within [`as_user`] they carry the user's token in place
//! of ours.
//!
//! It belongs to the task that makes the calls. What another task does for it, such as batches that are
//! shared by many, is done on our account.

use std::future::Future;

use http::HeaderValue;

use crate::error::{Code, Error, Result};

tokio::task_local! {
    static TOKEN: Option<HeaderValue>;
}

/// A user's bearer token. Debug does not show it.
#[derive(Clone, Debug)]
pub struct UserToken(HeaderValue);

impl UserToken {
    /// The token by itself, without the word before it.
    ///
    /// # Errors
    /// `InvalidArgument` when it has bytes that no header has.
    pub fn new(token: &str) -> Result<Self> {
        let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| {
            Error::new(Code::InvalidArgument, "the token has bytes that no header has")
        })?;
        value.set_sensitive(true);
        Ok(Self(value))
    }
}

/// Does something whose calls to a backend are made with this token, or with ours.
pub async fn as_user<F: Future>(token: Option<&UserToken>, work: F) -> F::Output {
    TOKEN.scope(token.map(|token| token.0.clone()), work).await
}

/// Whether this task's calls are made on a user's account now.
#[must_use]
pub fn is_as_user() -> bool {
    authorization().is_some()
}

/// The authorization of calls that this task makes now, if it is not ours.
pub(super) fn authorization() -> Option<HeaderValue> {
    TOKEN.try_with(Clone::clone).ok().flatten()
}
