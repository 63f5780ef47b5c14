//! FileBlobs of clients, verified: their keys and digests are computed here and nowhere believed.

use std::sync::Arc;

use bytes::Bytes;
use goma_common::{Digest, FileEntry, FileKey, View};
use goma_proto::api::FileBlob;
use goma_proto::api::file_blob::BlobType;

/// Most chunks of one file: 2 TiB of them.
const MAX_CHUNKS: usize = 1 << 20;

/// A blob whose key we computed from its contents.
#[derive(Clone, Debug)]
pub(crate) struct VerifiedBlob {
    /// Its name to clients.
    pub(crate) key: FileKey,
    /// What the key stands for, once the contents are in the CAS.
    pub(crate) entry: FileEntry,
    /// The contents and their name in the CAS; a manifest has none.
    pub(crate) contents: Option<(Digest, Bytes)>,
}

/// Hashes a blob. Costs two passes over the contents.
///
/// # Errors
/// In words for the client's log, when it is no file, chunk or manifest, or contradicts itself.
pub(crate) fn verify(blob: &FileBlob) -> Result<VerifiedBlob, String> {
    let size = u64::try_from(blob.file_size.unwrap_or(0)).map_err(|_| "a negative file_size")?;
    match blob.blob_type() {
        BlobType::File => {
            let contents = contents(blob, size)?;
            let digest = Digest::of(&contents);
            Ok(VerifiedBlob {
                key: FileKey::of_file(&contents),
                entry: FileEntry::File(digest),
                contents: Some((digest, contents)),
            })
        }
        BlobType::FileChunk => {
            let contents = contents(blob, size)?;
            let offset =
                u64::try_from(blob.offset.unwrap_or(0)).map_err(|_| "a negative offset")?;
            let digest = Digest::of(&contents);
            Ok(VerifiedBlob {
                key: FileKey::of_chunk(offset, &contents, size),
                entry: FileEntry::Chunk { view: View::whole(digest), offset },
                contents: Some((digest, contents)),
            })
        }
        BlobType::FileMeta => {
            if blob.hash_key.len() < 2 || blob.hash_key.len() > MAX_CHUNKS {
                return Err(format!("a FILE_META of {} chunks", blob.hash_key.len()));
            }
            let keys: Result<Vec<_>, _> = blob.hash_key.iter().map(|k| FileKey::parse(k)).collect();
            let chunks: Arc<[FileKey]> = keys.map_err(|error| error.message)?.into();
            Ok(VerifiedBlob {
                key: FileKey::of_manifest(size, &chunks),
                entry: FileEntry::Manifest { size, chunks, whole: None },
                contents: None,
            })
        }
        BlobType::FileRef | BlobType::FileUnspecified => {
            Err("no FILE, FILE_META or FILE_CHUNK".to_owned())
        }
    }
}

fn contents(blob: &FileBlob, size: u64) -> Result<Bytes, String> {
    let contents = blob.content.clone().ok_or("a blob without content")?;
    if contents.len() as u64 != size {
        return Err(format!("file_size {size} with {} bytes of content", contents.len()));
    }
    Ok(contents)
}

/// The FILE for these contents.
pub(crate) fn file(contents: Bytes) -> FileBlob {
    FileBlob {
        blob_type: Some(BlobType::File.into()),
        file_size: i64::try_from(contents.len()).ok(),
        content: Some(contents),
        ..Default::default()
    }
}

/// The FILE_CHUNK for these contents; see [`FileKey::of_chunk`] for its size.
pub(crate) fn chunk(offset: u64, contents: Bytes, file_size: u64) -> FileBlob {
    FileBlob {
        blob_type: Some(BlobType::FileChunk.into()),
        offset: i64::try_from(offset).ok(),
        file_size: i64::try_from(file_size).ok(),
        ..file(contents)
    }
}

/// A file that is kept under this key.
pub(crate) fn reference(size: u64, key: FileKey) -> FileBlob {
    FileBlob {
        blob_type: Some(BlobType::FileRef.into()),
        file_size: i64::try_from(size).ok(),
        hash_key: vec![key.hex()],
        ..FileBlob::default()
    }
}

/// The FILE_META for these chunks.
pub(crate) fn manifest(size: u64, chunks: &[FileKey]) -> FileBlob {
    FileBlob {
        blob_type: Some(BlobType::FileMeta.into()),
        file_size: i64::try_from(size).ok(),
        hash_key: chunks.iter().map(FileKey::hex).collect(),
        ..Default::default()
    }
}

/// What LookupFile answers for a key that nobody knows.
pub(crate) fn unknown() -> FileBlob {
    FileBlob { blob_type: Some(BlobType::FileUnspecified.into()), ..Default::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_that_contradicts_itself_is_refused() {
        let good = file(Bytes::from_static(b"abc"));
        assert_eq!(verify(&good).expect("good").key, FileKey::of_file(b"abc"));
        for bad in [
            FileBlob { file_size: Some(2), ..good.clone() },
            FileBlob { file_size: Some(-1), ..good.clone() },
            FileBlob { content: None, ..good.clone() },
            FileBlob { blob_type: Some(BlobType::FileRef.into()), ..good.clone() },
            manifest(9, &[FileKey([0; 32])]),
            FileBlob::default(),
        ] {
            assert!(verify(&bad).is_err(), "{bad:?}");
        }
    }
}
