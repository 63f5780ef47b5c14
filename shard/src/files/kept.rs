//! A file entry as memory keeps it: small, since there are millions.

use goma_common::{Digest, FileEntry};

/// 48 bytes for a file, which most are; the others stand elsewhere.
#[derive(Clone, Debug)]
pub(super) enum Kept {
    File(Digest),
    Other(Box<FileEntry>),
}

impl From<FileEntry> for Kept {
    fn from(entry: FileEntry) -> Self {
        match entry {
            FileEntry::File(digest) => Self::File(digest),
            other => Self::Other(Box::new(other)),
        }
    }
}

impl From<Kept> for FileEntry {
    fn from(kept: Kept) -> Self {
        match kept {
            Kept::File(digest) => Self::File(digest),
            Kept::Other(other) => *other,
        }
    }
}
