//! Which blobs a backend says it lacks, read from the details of a status.

use goma_proto::rpc;
use prost::Message;

use crate::digest::Digest;

/// `google.rpc.PreconditionFailure`, the little of it that is used here.
#[derive(Clone, PartialEq, Message)]
struct PreconditionFailure {
    #[prost(message, repeated, tag = "1")]
    violations: Vec<Violation>,
}

#[derive(Clone, PartialEq, Message)]
struct Violation {
    #[prost(string, tag = "1")]
    kind: String,
    #[prost(string, tag = "2")]
    subject: String,
}

/// The digests named by violations `MISSING blobs/{hash}/{size}`; none when the backend named none.
pub(super) fn missing_blobs(status: &rpc::Status) -> Vec<Digest> {
    status
        .details
        .iter()
        .filter(|any| any.type_url.ends_with("/google.rpc.PreconditionFailure"))
        .filter_map(|any| PreconditionFailure::decode(any.value.as_ref()).ok())
        .flat_map(|failure| failure.violations)
        .filter(|violation| violation.kind == "MISSING")
        .filter_map(|violation| parse_subject(&violation.subject))
        .collect()
}

/// Backends put an instance name in front, or none: the last two parts are what counts.
fn parse_subject(subject: &str) -> Option<Digest> {
    let mut parts = subject.rsplit('/');
    let size = parts.next()?.parse().ok()?;
    Digest::parse(parts.next()?, size).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_read_with_and_without_an_instance_name() {
        let digest = Digest::of(b"x");
        for subject in [format!("blobs/{digest}"), format!("a/b/blobs/{digest}")] {
            assert_eq!(parse_subject(&subject), Some(digest));
        }
        assert_eq!(parse_subject("blobs/nonsense"), None);
    }
}
