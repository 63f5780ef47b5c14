//! Fetches blobs through `/l` and believes none that does not hash to its key.

use goma_common::FileKey;
use goma_proto::api::file_blob::BlobType;
use goma_proto::api::{FileBlob, LookupFileReq, LookupFileResp, RequesterInfo};

use crate::error::{Error, Result};
use crate::http::{Traffic, Transport};

/// The blobs of these keys, in order.
///
/// # Errors
/// When the call failed, blobs are too few, or one is not what its key says.
pub(crate) async fn lookup(
    transport: &Transport,
    requester: &RequesterInfo,
    keys: &[String],
    traffic: &Traffic,
) -> Result<Vec<FileBlob>> {
    let request =
        LookupFileReq { hash_key: keys.to_vec(), requester_info: Some(requester.clone()) };
    let answer: LookupFileResp = transport.call("/l", &request, traffic).await?;
    if answer.blob.len() != keys.len() {
        let counts = format!("{} blobs for {} keys", answer.blob.len(), keys.len());
        return Err(Error::Answer(counts));
    }
    for (key, blob) in keys.iter().zip(&answer.blob) {
        verify(key, blob)?;
    }
    Ok(answer.blob)
}

/// Whether `blob` is what `key` names.
///
/// # Errors
/// Says what it is instead.
pub(crate) fn verify(key: &str, blob: &FileBlob) -> Result<()> {
    if blob.blob_type() == BlobType::FileUnspecified {
        return Err(Error::Answer(format!("{key} is not known")));
    }
    match key_of(blob) {
        Some(actual) if actual.hex() == key => Ok(()),
        actual => {
            let actual = actual.map_or("no blob of a kind".into(), |key| key.hex());
            Err(Error::Answer(format!("asked for {key}, got {actual}")))
        }
    }
}

/// The key of a blob with contents. A wrong `file_size` makes a file no blob at all; that of a chunk
/// may be its own or the whole file's, as servers differ in it.
fn key_of(blob: &FileBlob) -> Option<FileKey> {
    let content = blob.content.as_deref()?;
    let size: u64 = blob.file_size().try_into().ok()?;
    let offset: u64 = blob.offset().try_into().ok()?;
    let end = offset.checked_add(content.len() as u64)?;
    match blob.blob_type() {
        BlobType::File if size == content.len() as u64 => Some(FileKey::of_file(content)),
        BlobType::FileChunk if size == content.len() as u64 || size >= end => {
            Some(FileKey::of_chunk(offset, content, size))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_very_blob_is_believed() {
        let file = FileBlob {
            blob_type: Some(BlobType::File.into()),
            content: Some("abc".into()),
            file_size: Some(3),
            ..Default::default()
        };
        let key = FileKey::of_file(b"abc").hex();
        assert!(verify(&key, &file).is_ok());
        let chunk = FileBlob {
            blob_type: Some(BlobType::FileChunk.into()),
            offset: Some(0),
            ..file.clone()
        };
        assert!(verify(&key, &chunk).is_err(), "a chunk for a file");
        assert!(verify(&FileKey::of_chunk(0, b"abc", 3).hex(), &chunk).is_ok());
        assert!(verify(&key, &FileBlob { file_size: Some(4), ..file }).is_err());
        assert!(verify(&key, &FileBlob::default()).is_err());
    }
}
