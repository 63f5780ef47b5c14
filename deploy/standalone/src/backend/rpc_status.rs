//! Failures as the statuses inside of answers, and requests' digests as ours.

use goma_common::{Code, Digest, Error, Result};
use goma_proto::protobuf::Any;
use goma_proto::{reapi, rpc};
use prost::Message;

/// So many missing blobs fit into a message; the client comes again for the rest.
const MAX_NAMED: usize = 30_000;

/// `google.rpc.PreconditionFailure`, which the generated code lacks.
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
    #[prost(string, tag = "3")]
    description: String,
}

/// The status of one blob of a batch, or of an action: names every missing blob.
pub(super) fn rpc_status(error: &Error) -> rpc::Status {
    let violations = error.missing.iter().take(MAX_NAMED).map(|digest| Violation {
        kind: "MISSING".to_owned(),
        subject: format!("blobs/{digest}"),
        description: String::new(),
    });
    let failure = PreconditionFailure { violations: violations.collect() };
    let details = Any {
        type_url: "type.googleapis.com/google.rpc.PreconditionFailure".to_owned(),
        value: failure.encode_to_vec(),
    };
    rpc::Status {
        code: error.code.grpc() as i32,
        message: error.message.clone(),
        details: if failure.violations.is_empty() { Vec::new() } else { vec![details] },
    }
}

/// The failure of an action whose inputs are not all there.
pub(super) fn missing(digests: Vec<Digest>) -> Error {
    let message = match digests.as_slice() {
        [one] => format!("missing blob {one}"),
        many => format!("missing {} blobs", many.len()),
    };
    Error { missing: digests, ..Error::new(Code::MissingBlobs, message) }
}

/// A digest that a message must have.
pub(super) fn digest(digest: Option<&reapi::Digest>, what: &str) -> Result<Digest> {
    let digest =
        digest.ok_or_else(|| Error::new(Code::InvalidArgument, format!("{what}: no digest")))?;
    Digest::try_from(digest).map_err(|error| error.context(what))
}

/// Reads a message of the protocol from a blob.
pub(super) fn decode<M: Message + Default>(what: &str, blob: &[u8]) -> Result<M> {
    M::decode(blob).map_err(|error| Error::new(Code::InvalidArgument, format!("{what}: {error}")))
}
