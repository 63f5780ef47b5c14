//! File entries as bytes: the message of the shard contract, so that every store reads every other's.

use goma_common::{Code, Error, FileEntry, Result};
use goma_proto::shard as proto;
use prost::Message;

/// The entry as bytes, about 40 for a file.
pub(crate) fn encode(entry: &FileEntry) -> Vec<u8> {
    proto::FileEntry::from(entry).encode_to_vec()
}

/// The entry back.
///
/// # Errors
/// `DataLoss` when the bytes are no entry: written by another release, or damaged.
pub(crate) fn decode(bytes: &[u8]) -> Result<FileEntry> {
    let message = proto::FileEntry::decode(bytes)
        .map_err(|_| Error::new(Code::DataLoss, "not a file entry"))?;
    FileEntry::try_from(&message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use goma_common::Digest;

    #[test]
    fn an_entry_comes_back_and_damage_is_an_error() {
        let entry = FileEntry::File(Digest::of(b"abc"));
        assert_eq!(decode(&encode(&entry)).expect("decodes"), entry);
        assert!(decode(b"\xff\xff").is_err());
        assert!(decode(b"").is_err());
    }
}
