//! How a call can fail, told apart as the stock client does.

/// One failed call. The variants are the distinctions on which a retry depends.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// No connection could be made.
    #[error("cannot connect to {server}: {reason}")]
    Connect {
        /// Host and port.
        server: String,
        /// What the system says.
        reason: String,
    },
    /// The request did not leave whole.
    #[error("write failed: {0}")]
    Write(String),
    /// The connection ended cleanly before a header: what a server that went away looks like.
    #[error("closed before a header")]
    NoHeader,
    /// Nothing came, or nothing more came, in time.
    #[error("no answer in {seconds} s")]
    Silence {
        /// How long was waited.
        seconds: u64,
        /// Whether a part of the answer had come.
        after_first_byte: bool,
    },
    /// Any status but 200; the words are what had come with the header.
    #[error("http status {code}{}{words}", if words.is_empty() { "" } else { ": " })]
    Status {
        /// The status.
        code: u16,
        /// The first bytes of the body, if they were there already.
        words: String,
    },
    /// The connection broke while the answer was awaited or read.
    #[error("connection broke: {0}")]
    Broken(String),
    /// A 200 whose body is cut, too long, badly compressed or no such message.
    #[error("bad body: {0}")]
    BadBody(String),
    /// An earlier 302, 401 or 403 switched remote compiles off.
    #[error("remote is switched off after a 302, 401 or 403")]
    SwitchedOff,
}

impl Failure {
    /// The status that the client's statistics file this under; 0 where there was none.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::Status { code, .. } => *code,
            // The header was read, and it said 200.
            Self::BadBody(_) => 200,
            _ => 0,
        }
    }
}
