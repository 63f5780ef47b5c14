//! What a file key stands for: which bytes of which CAS blob.

use std::sync::Arc;

use crate::digest::Digest;
use crate::file_key::FileKey;

/// `length` bytes at `offset` of the CAS blob `digest`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct View {
    /// The blob in the CAS.
    pub digest: Digest,
    /// First byte.
    pub offset: u64,
    /// Number of bytes.
    pub length: u64,
}

impl View {
    /// The whole of a blob.
    #[must_use]
    pub fn whole(digest: Digest) -> Self {
        Self { digest, offset: 0, length: digest.size }
    }

    /// Whether this is the whole blob, so that its bytes can be verified against the digest.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.offset == 0 && self.length == self.digest.size
    }
}

/// The file, chunk or manifest behind a file key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileEntry {
    /// A whole file.
    File(Digest),
    /// A piece of a larger file: a blob of its own when a client stored it, a view into the whole
    /// when it is a piece of an output.
    Chunk {
        /// Where its bytes are.
        view: View,
        /// Where it stands in its file.
        offset: u64,
    },
    /// A larger file and its pieces.
    Manifest {
        /// Size of the file in bytes.
        size: u64,
        /// Keys of the pieces, in order.
        chunks: Arc<[FileKey]>,
        /// The assembled file, once all pieces were there to be hashed.
        whole: Option<Digest>,
    },
}

impl FileEntry {
    /// The contents that an action's input with this key has; `None` for a chunk, which is no file,
    /// and for a manifest that is not assembled.
    #[must_use]
    pub fn contents(&self) -> Option<Digest> {
        match self {
            Self::File(digest) => Some(*digest),
            Self::Chunk { .. } => None,
            Self::Manifest { whole, .. } => *whole,
        }
    }
}
