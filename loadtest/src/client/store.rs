//! Sends a large file's chunks to `/s`: five in a request, two requests at a time.

use futures::stream::{self, StreamExt, TryStreamExt};
use goma_common::FileKey;
use goma_common::file_key::CHUNK_SIZE;
use goma_proto::api::file_blob::BlobType;
use goma_proto::api::{FileBlob, RequesterInfo, StoreFileReq, StoreFileResp};

use super::files::{Hashed, Source};
use crate::error::{Error, Result};
use crate::http::{Traffic, Transport};

/// Chunks in one request: 10 MiB.
const CHUNKS_A_REQUEST: usize = 5;
/// Requests under way at once.
const OVERLAP: usize = 2;

/// Stores all chunks of a file that hashed to `hashed`.
///
/// # Errors
/// When the file changed meanwhile, a call failed, or a key is not the one we computed.
pub(crate) async fn store(
    transport: &Transport,
    requester: &RequesterInfo,
    source: &Source,
    hashed: &Hashed,
    traffic: &Traffic,
) -> Result<()> {
    let groups = hashed.chunks.chunks(CHUNKS_A_REQUEST).enumerate();
    stream::iter(groups)
        .map(|(group, keys)| async move {
            let first = (group * CHUNKS_A_REQUEST) as u64;
            let source = source.clone();
            let count = keys.len() as u64;
            let read = move || (first..first + count).map(|i| chunk(&source, i)).collect();
            let blobs: Vec<FileBlob> = tokio::task::spawn_blocking(read)
                .await
                .map_err(|e| Error::Answer(format!("reading chunks: {e}")))
                .and_then(|blobs: Result<_>| blobs)?;
            let request = StoreFileReq { blob: blobs, requester_info: Some(requester.clone()) };
            let answer: StoreFileResp = transport.call("/s", &request, traffic).await?;
            check(keys, &answer.hash_key)
        })
        .buffer_unordered(OVERLAP)
        .try_collect()
        .await
}

fn chunk(source: &Source, index: u64) -> Result<FileBlob> {
    let content = source.read_chunk(index)?;
    Ok(FileBlob {
        blob_type: Some(BlobType::FileChunk.into()),
        offset: i64::try_from(index * CHUNK_SIZE).ok(),
        file_size: i64::try_from(content.len()).ok(),
        content: Some(content),
        hash_key: Vec::new(),
    })
}

fn check(keys: &[FileKey], answered: &[String]) -> Result<()> {
    if keys.len() != answered.len() {
        let counts = format!("{} keys for {} stored chunks", answered.len(), keys.len());
        return Err(Error::Answer(counts));
    }
    match keys.iter().map(FileKey::hex).zip(answered).find(|(key, answer)| key != *answer) {
        Some((key, answer)) => Err(Error::Answer(format!("stored {key}, answered {answer:?}"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_chunk_must_be_answered_by_its_own_key() {
        let keys = [FileKey::of_file(b"a"), FileKey::of_file(b"b")];
        let hex: Vec<String> = keys.iter().map(FileKey::hex).collect();
        assert!(check(&keys, &hex).is_ok());
        assert!(check(&keys, &hex[..1]).is_err());
        assert!(check(&keys, &[hex[0].clone(), String::new()]).is_err());
        assert!(check(&keys, &[hex[1].clone(), hex[0].clone()]).is_err());
    }
}
