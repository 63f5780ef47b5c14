//! Why a compile has no result, by what the client is told.

use goma_common::Error;

/// The ways in which a compile ends without a result.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// It cannot be done here, now or later: the client compiles it by itself and logs the words.
    Impossible(String),
    /// Contents are needed first: the client sends these files, by the names it gave them.
    Missing(Vec<String>),
    /// The same, of contents that the backend had and has lost.
    Lost(Vec<String>),
    /// Something failed that may pass.
    Failed(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// Shorthand for [`Refusal::Impossible`].
pub(crate) fn impossible<T>(why: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::Impossible(why.into()))
}
