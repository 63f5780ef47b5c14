//! What went wrong, as a closed list of codes: one place knows what each means on gRPC, on HTTP and
//! for a retry.

use std::fmt;

use crate::digest::Digest;

/// The kinds of failure that somebody reacts to differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// The request is wrong and will stay wrong.
    InvalidArgument,
    /// What was asked for is not there.
    NotFound,
    /// The backend lacks blobs that an action needs; [`Error::missing`] names those it told.
    MissingBlobs,
    /// We, or the user, did not say who we are.
    Unauthenticated,
    /// Known, and not allowed.
    PermissionDenied,
    /// Too large or too many, now.
    ResourceExhausted,
    /// The other side is away or refused for the moment.
    Unavailable,
    /// Time ran out here or there.
    DeadlineExceeded,
    /// The other side cannot do that at all.
    Unimplemented,
    /// Bytes that are not what their digest says.
    DataLoss,
    /// Nobody waits for the answer any more.
    Cancelled,
    /// Anything else.
    Internal,
}

impl Code {
    /// Whether the same call may succeed a moment later.
    #[must_use]
    pub fn is_transient(self) -> bool {
        matches!(self, Self::Unavailable | Self::ResourceExhausted | Self::DeadlineExceeded)
    }

    /// The HTTP status that makes the stock client do the right thing. 5xx lets it try again; it
    /// takes 401 and 403 as a reason to switch remote compiles off, so they are for identity alone.
    #[must_use]
    pub fn http(self) -> http::StatusCode {
        match self {
            Self::InvalidArgument => http::StatusCode::BAD_REQUEST,
            Self::Unauthenticated => http::StatusCode::UNAUTHORIZED,
            Self::PermissionDenied => http::StatusCode::FORBIDDEN,
            Self::DeadlineExceeded => http::StatusCode::GATEWAY_TIMEOUT,
            Self::Unavailable | Self::ResourceExhausted | Self::MissingBlobs => {
                http::StatusCode::SERVICE_UNAVAILABLE
            }
            Self::NotFound
            | Self::Unimplemented
            | Self::DataLoss
            | Self::Cancelled
            | Self::Internal => http::StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// As gRPC spells it.
    #[must_use]
    pub fn name(self) -> &'static str {
        grpc_name(self.grpc())
    }

    /// The gRPC code that says the same.
    #[must_use]
    pub fn grpc(self) -> tonic::Code {
        match self {
            Self::InvalidArgument => tonic::Code::InvalidArgument,
            Self::NotFound => tonic::Code::NotFound,
            Self::MissingBlobs => tonic::Code::FailedPrecondition,
            Self::Unauthenticated => tonic::Code::Unauthenticated,
            Self::PermissionDenied => tonic::Code::PermissionDenied,
            Self::ResourceExhausted => tonic::Code::ResourceExhausted,
            Self::Unavailable => tonic::Code::Unavailable,
            Self::DeadlineExceeded => tonic::Code::DeadlineExceeded,
            Self::Unimplemented => tonic::Code::Unimplemented,
            Self::DataLoss => tonic::Code::DataLoss,
            Self::Cancelled => tonic::Code::Cancelled,
            Self::Internal => tonic::Code::Internal,
        }
    }
}

/// A code of gRPC as that spells it.
pub(crate) fn grpc_name(code: tonic::Code) -> &'static str {
    match code {
        tonic::Code::Ok => "OK",
        tonic::Code::Cancelled => "CANCELLED",
        tonic::Code::Unknown => "UNKNOWN",
        tonic::Code::InvalidArgument => "INVALID_ARGUMENT",
        tonic::Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        tonic::Code::NotFound => "NOT_FOUND",
        tonic::Code::AlreadyExists => "ALREADY_EXISTS",
        tonic::Code::PermissionDenied => "PERMISSION_DENIED",
        tonic::Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        tonic::Code::FailedPrecondition => "FAILED_PRECONDITION",
        tonic::Code::Aborted => "ABORTED",
        tonic::Code::OutOfRange => "OUT_OF_RANGE",
        tonic::Code::Unimplemented => "UNIMPLEMENTED",
        tonic::Code::Internal => "INTERNAL",
        tonic::Code::Unavailable => "UNAVAILABLE",
        tonic::Code::DataLoss => "DATA_LOSS",
        tonic::Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

impl From<tonic::Code> for Code {
    fn from(code: tonic::Code) -> Self {
        match code {
            tonic::Code::InvalidArgument | tonic::Code::OutOfRange => Self::InvalidArgument,
            tonic::Code::NotFound => Self::NotFound,
            tonic::Code::FailedPrecondition => Self::MissingBlobs,
            tonic::Code::Unauthenticated => Self::Unauthenticated,
            tonic::Code::PermissionDenied => Self::PermissionDenied,
            tonic::Code::ResourceExhausted => Self::ResourceExhausted,
            tonic::Code::Unavailable | tonic::Code::Aborted => Self::Unavailable,
            tonic::Code::DeadlineExceeded => Self::DeadlineExceeded,
            tonic::Code::Unimplemented => Self::Unimplemented,
            tonic::Code::DataLoss => Self::DataLoss,
            tonic::Code::Cancelled => Self::Cancelled,
            _ => Self::Internal,
        }
    }
}

/// A failure: its code, and words for the person who reads the log.
#[derive(Clone, Debug)]
pub struct Error {
    /// What to do about it.
    pub code: Code,
    /// Who said what; lower case, no full stop, never a secret.
    pub message: String,
    /// With [`Code::MissingBlobs`]: the blobs that were named, if any were.
    pub missing: Vec<Digest>,
    /// With [`Code::Unavailable`]: the other side has not begun with the call, and said so: its
    /// connection ends, or it takes no further streams. To call again costs it nothing.
    pub was_not_begun: bool,
}

/// The result of everything that can fail this way.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A failure of this kind, in these words.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), missing: Vec::new(), was_not_begun: false }
    }

    /// The same failure, seen from a client: a backend that finds our call invalid or us unknown is
    /// no fault of the client's request.
    #[must_use]
    pub fn of_the_server(mut self) -> Self {
        if matches!(
            self.code,
            Code::InvalidArgument | Code::Unauthenticated | Code::PermissionDenied
        ) {
            self.code = Code::Internal;
        }
        self
    }

    /// The same failure, told by one layer further out: `"backend: ..."`.
    #[must_use]
    pub fn context(mut self, what: impl fmt::Display) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// What lies at the bottom of a failure, which is what a person needs; `None` if there is but itself.
#[must_use]
pub fn deepest_cause(error: &dyn std::error::Error) -> Option<String> {
    std::iter::successors(error.source(), |cause| cause.source()).last().map(ToString::to_string)
}

impl From<tonic::Status> for Error {
    fn from(status: tonic::Status) -> Self {
        let code = status.code();
        let message = if status.message().is_empty() {
            code.description().to_owned()
        } else {
            status.message().to_owned()
        };
        // A connection that could not be made or broke is told as "transport error" alone; the
        // cause below it is what a person needs.
        let message = match deepest_cause(&status) {
            Some(deepest) if !message.contains(&deepest) => format!("{message}: {deepest}"),
            _ => message,
        };
        let was_not_begun = was_not_begun(&status);
        let broke = was_not_begun || is_broken_connection(&status);
        let code = if broke { Code::Unavailable } else { code.into() };
        Self { was_not_begun, ..Self::new(code, message) }
    }
}

/// What HTTP/2 says of streams above the last one that a `GOAWAY` names, and of those that are reset
/// as refused (RFC 9113, 8.7); or the connection ended before we had sent anything.
fn was_not_begun(status: &tonic::Status) -> bool {
    let causes = std::iter::successors(std::error::Error::source(status), |cause| cause.source());
    causes.into_iter().any(|cause| {
        if let Some(error) = cause.downcast_ref::<h2::Error>() {
            let ends_well = error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR);
            return error.is_remote()
                && (ends_well || error.reason() == Some(h2::Reason::REFUSED_STREAM));
        }
        cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_canceled)
    })
}

/// Tonic calls a stream that was cut `Unknown`, `Internal` or `Cancelled`, depending on where, and `ResourceExhausted`
/// where the other side hung up since too many were reset; the reaction to all is that of `Unavailable`. Nobody who
/// still waits for an answer has cancelled it.
fn is_broken_connection(status: &tonic::Status) -> bool {
    match status.code() {
        tonic::Code::Cancelled => true,
        tonic::Code::Unknown | tonic::Code::Internal | tonic::Code::ResourceExhausted => {
            std::error::Error::source(status).is_some()
        }
        _ => false,
    }
}

impl From<Error> for tonic::Status {
    fn from(error: Error) -> Self {
        Self::new(error.code.grpc(), error.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_hangs_up_is_away_whatever_reason_it_tells() {
        use h2::Reason;
        for reason in [
            Reason::ENHANCE_YOUR_CALM,
            Reason::PROTOCOL_ERROR,
            Reason::INTERNAL_ERROR,
            Reason::CANCEL,
            Reason::REFUSED_STREAM,
        ] {
            let status = tonic::Status::from_error(Box::new(h2::Error::from(reason)));
            assert_eq!(Error::from(status).code, Code::Unavailable, "{reason:?}");
        }
        // One that refuses for a reason of its own is not.
        let status = tonic::Status::resource_exhausted("no room");
        assert_eq!(Error::from(status).code, Code::ResourceExhausted);
    }
}
