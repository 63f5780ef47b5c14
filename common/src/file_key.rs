//! The name by which a Goma client knows a file: the SHA-256 of its serialised FileBlob.
//!
//! The serialisations are short enough to write by hand around the contents, so that hashing a file
//! never copies it. `goma/api.proto` has the fields.

use std::fmt;

use prost::encoding::{encode_varint, encoded_len_varint};
use sha2::{Digest as _, Sha256};

use crate::digest::{hex_digits, parse_hash};
use crate::error::{Code, Error};

/// Largest piece of a file that a client sends as one blob, in bytes; larger files are chunked.
pub const CHUNK_SIZE: u64 = 2 * 1024 * 1024;

/// Key of a FileBlob: 32 bytes, spelled as 64 lower-case hex digits on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileKey(pub [u8; 32]);

impl FileKey {
    /// Reads the key as clients spell it.
    ///
    /// # Errors
    /// `InvalidArgument` naming the text.
    pub fn parse(text: &str) -> Result<Self, Error> {
        Self::of_digits(text.as_bytes())
            .ok_or_else(|| Error::new(Code::InvalidArgument, format!("not a file key: {text:?}")))
    }

    /// Reads the key from 64 lower-case hex digits; `None` for anything else.
    #[must_use]
    pub fn of_digits(digits: &[u8]) -> Option<Self> {
        parse_hash(digits).map(Self)
    }

    /// Key of a FILE with these contents.
    #[must_use]
    pub fn of_file(contents: &[u8]) -> Self {
        Self::of_contents(&[0x08, 0x01], contents, contents.len() as u64)
    }

    /// Key of a FILE_CHUNK: `contents` at `offset` of a larger file.
    ///
    /// Its `file_size` is the length of the contents where a client made it; in the chunks of an
    /// output the original server tells the size of the whole file, and so do we.
    #[must_use]
    pub fn of_chunk(offset: u64, contents: &[u8], file_size: u64) -> Self {
        let mut head = vec![0x08, 0x03, 0x50];
        encode_varint(offset, &mut head);
        Self::of_contents(&head, contents, file_size)
    }

    /// Key of a FILE_META: a file of `size` bytes in these chunks.
    #[must_use]
    pub fn of_manifest(size: u64, chunks: &[Self]) -> Self {
        let mut blob = vec![0x08, 0x02, 0xa0, 0x01];
        encode_varint(size, &mut blob);
        for chunk in chunks {
            blob.extend_from_slice(&[0xaa, 0x01, 64]);
            blob.extend_from_slice(chunk.hex().as_bytes());
        }
        Self(Sha256::digest(&blob).into())
    }

    /// `head` holds the fields before the content (tag 11); file_size (tag 20) follows it.
    fn of_contents(head: &[u8], contents: &[u8], file_size: u64) -> Self {
        let len = contents.len() as u64;
        let mut around = Vec::with_capacity(head.len() + 4 + 2 * encoded_len_varint(len));
        around.extend_from_slice(head);
        around.push(0x5a);
        encode_varint(len, &mut around);
        let split = around.len();
        around.extend_from_slice(&[0xa0, 0x01]);
        encode_varint(file_size, &mut around);
        let mut sha256 = Sha256::new();
        sha256.update(&around[..split]);
        sha256.update(contents);
        sha256.update(&around[split..]);
        Self(sha256.finalize().into())
    }

    /// The key as clients spell it.
    #[must_use]
    pub fn hex(&self) -> String {
        String::from_utf8(hex_digits(&self.0).to_vec()).unwrap_or_default()
    }
}

impl fmt::Display for FileKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hex())
    }
}

impl fmt::Debug for FileKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use goma_proto::api::{FileBlob, file_blob::BlobType};
    use prost::Message;

    use super::*;

    fn key_of(blob: &FileBlob) -> FileKey {
        FileKey(Sha256::digest(blob.encode_to_vec()).into())
    }

    #[test]
    fn keys_are_the_hash_of_the_serialised_blob() {
        for size in [0, 1, 127, 128, 70_000] {
            let contents = vec![7; size];
            let file = FileBlob {
                blob_type: Some(BlobType::File.into()),
                content: Some(contents.clone().into()),
                file_size: Some(size as i64),
                ..Default::default()
            };
            assert_eq!(FileKey::of_file(&contents), key_of(&file));
            for offset in [0, 2_097_152] {
                let chunk = FileBlob {
                    blob_type: Some(BlobType::FileChunk.into()),
                    offset: Some(offset),
                    ..file.clone()
                };
                let key = FileKey::of_chunk(offset as u64, &contents, size as u64);
                assert_eq!(key, key_of(&chunk));
            }
        }
        let chunks = [FileKey::of_file(b"a"), FileKey::of_file(b"b")];
        let manifest = FileBlob {
            blob_type: Some(BlobType::FileMeta.into()),
            file_size: Some(3_000_000),
            hash_key: chunks.iter().map(FileKey::hex).collect(),
            ..Default::default()
        };
        assert_eq!(FileKey::of_manifest(3_000_000, &chunks), key_of(&manifest));
    }

    #[test]
    fn the_stock_clients_key_of_a_known_file() {
        // From recorded traffic: a 54-byte header.
        let contents = "#ifndef A_H\n#define A_H\nint add(int a, int b);\n#endif\n";
        assert_eq!(
            FileKey::of_file(contents.as_bytes()).hex(),
            "623884b72978ccb86922bc2cf237d53567512ca8c98a79da80ba66984190fbe2"
        );
    }
}
