//! The end of a compile that ended: what its stages hand to whoever answers the client.

use std::sync::Arc;

use bytes::Bytes;
use goma_common::{Digest, FileKey};
use goma_proto::protobuf::Timestamp;

use crate::room::Taken;

/// The end of a compile.
pub(crate) struct Outcome {
    /// Room for what is told of it, to be kept until that is written.
    pub(crate) room: Taken,
    pub(crate) exit_status: i32,
    pub(crate) stdout: Bytes,
    pub(crate) stderr: Bytes,
    pub(crate) outputs: Vec<OutputFile>,
    /// An expected output that was not made.
    pub(crate) lacking: Option<String>,
    /// An output that tells a path of the worker, which was to tell the client's.
    pub(crate) leaking: Option<String>,
    pub(crate) cached: bool,
    /// Under which paths it was compiled, for the log.
    pub(crate) paths: &'static str,
    pub(crate) action: Digest,
    /// When the backend took the action, and the worker began and ended, if they told.
    pub(crate) queued: Option<Timestamp>,
    pub(crate) started: Option<Timestamp>,
    pub(crate) completed: Option<Timestamp>,
}

/// A file for the client.
pub(crate) struct OutputFile {
    pub(crate) name: String,
    pub(crate) contents: Contents,
    pub(crate) executable: bool,
}

/// How a file reaches the client.
pub(crate) enum Contents {
    /// Inside the answer; the digest is of these very contents.
    Inline { digest: Digest, contents: Bytes },
    /// As a whole, by LookupFile.
    Kept { size: u64, key: FileKey },
    /// In pieces, by LookupFile.
    Pieces { size: u64, chunks: Arc<[FileKey]> },
}
