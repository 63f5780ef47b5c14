//! What can go wrong before or beside a compile; a compile that failed is an `Outcome`, no error.

use std::path::PathBuf;

use crate::http::Failure;

/// The ways in which the client itself, not the compiler, fails.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A flag or a setting that cannot be meant.
    #[error("{flag}: {reason}")]
    Config {
        /// The flag, as typed.
        flag: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A file that could not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The compiler of this machine could not be run, or said something unexpected.
    #[error("{program}: {reason}")]
    Compiler {
        /// The program as called.
        program: String,
        /// What it said.
        reason: String,
    },
    /// A command that a Goma client never sends: linking, assembling, reading stdin.
    #[error("not a remote compile: {0}")]
    NotRemote(String),
    /// A call to the server that failed for good.
    #[error(transparent)]
    Http(#[from] Failure),
    /// A program of a cluster that did not start, end or do as it was told.
    #[error("{name}: {reason}")]
    Member {
        /// Which one, or which link.
        name: String,
        /// What is wrong, and where to look.
        reason: String,
    },
    /// An answer that a client cannot use.
    #[error("server's answer: {0}")]
    Answer(String),
}

impl Error {
    /// A failure of the file at `path`.
    pub(crate) fn file(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Self::File { path: path.into(), source }
    }

    /// A failure of a program of a cluster, or of what lies between two of them.
    pub(crate) fn member(name: &str, reason: impl std::fmt::Display) -> Self {
        Self::Member { name: name.to_owned(), reason: reason.to_string() }
    }
}

/// The result of everything that can fail this way.
pub type Result<T, E = Error> = std::result::Result<T, E>;
