//! File entries as bytes: the message of the shard contract, so that every store reads every other's.

use goma_common::{Code, Digest, Error, FileEntry, FileKey, Result, View};
use goma_proto::shard as proto;
use goma_proto::shard::file_entry::Kind;
use prost::Message;

/// The entry as bytes, about 40 for a file.
pub(super) fn encode(entry: &FileEntry) -> Vec<u8> {
    let message = match entry {
        FileEntry::File(digest) => proto::FileEntry {
            kind: Kind::File.into(),
            digest: Some(digest_message(*digest)),
            ..Default::default()
        },
        FileEntry::Chunk { view, offset } => proto::FileEntry {
            kind: Kind::Chunk.into(),
            digest: Some(digest_message(view.digest)),
            offset: view.offset,
            length: view.length,
            chunk_offset: *offset,
            ..Default::default()
        },
        FileEntry::Manifest { size, chunks, whole } => proto::FileEntry {
            kind: Kind::Manifest.into(),
            digest: whole.map(digest_message),
            length: *size,
            chunk_key: chunks.iter().map(|key| key.0.to_vec().into()).collect(),
            ..Default::default()
        },
    };
    message.encode_to_vec()
}

/// The entry back.
///
/// # Errors
/// `DataLoss` when the bytes are no entry: written by another release, or damaged.
pub(super) fn decode(bytes: &[u8]) -> Result<FileEntry> {
    let damaged = || Error::new(Code::DataLoss, "not a file entry");
    let message = proto::FileEntry::decode(bytes).map_err(|_| damaged())?;
    let digest =
        message.digest.as_ref().map(|d| digest_value(d).ok_or_else(damaged)).transpose()?;
    match message.kind() {
        Kind::File => Ok(FileEntry::File(digest.ok_or_else(damaged)?)),
        Kind::Chunk => Ok(FileEntry::Chunk {
            view: View {
                digest: digest.ok_or_else(damaged)?,
                offset: message.offset,
                length: message.length,
            },
            offset: message.chunk_offset,
        }),
        Kind::Manifest => {
            let chunks: Option<_> = message
                .chunk_key
                .iter()
                .map(|key| <[u8; 32]>::try_from(key.as_ref()).ok().map(FileKey))
                .collect();
            Ok(FileEntry::Manifest {
                size: message.length,
                chunks: chunks.ok_or_else(damaged)?,
                whole: digest,
            })
        }
        Kind::Unspecified => Err(damaged()),
    }
}

fn digest_message(digest: Digest) -> proto::Digest {
    proto::Digest {
        hash: digest.hash.to_vec().into(),
        size_bytes: i64::try_from(digest.size).unwrap_or(i64::MAX),
    }
}

fn digest_value(message: &proto::Digest) -> Option<Digest> {
    Some(Digest {
        hash: message.hash.as_ref().try_into().ok()?,
        size: u64::try_from(message.size_bytes).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_entry_comes_back_as_it_was() {
        let digest = Digest::of(b"abc");
        let chunks: [FileKey; 2] = [FileKey([1; 32]), FileKey([2; 32])];
        for entry in [
            FileEntry::File(digest),
            FileEntry::Chunk { view: View { digest, offset: 1, length: 2 }, offset: 1 << 40 },
            FileEntry::Manifest { size: 5 << 20, chunks: chunks.into(), whole: None },
            FileEntry::Manifest { size: 5 << 20, chunks: chunks.into(), whole: Some(digest) },
        ] {
            assert_eq!(decode(&encode(&entry)).expect("decodes"), entry);
        }
    }

    #[test]
    fn damaged_bytes_are_an_error() {
        assert!(decode(b"\xff\xff").is_err());
        assert!(decode(b"").is_err());
    }
}
