//! Large outputs in the pieces by which clients ask for them: views into the one blob of the CAS.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use goma_common::digest::Hasher;
use goma_common::file_key::CHUNK_SIZE;
use goma_common::reapi::{Backend, Cas, restarting};
use goma_common::{Code, Deadline, Digest, Error, FileEntry, FileKey, Result, View};

use crate::files::Files;

/// Remembers the pieces of an output that is sent whole: a client that was told of it in pieces, by
/// another server or release, asks for them by key. Nothing to do for one that is no larger than a
/// piece, nor for one that was seen before.
///
/// # Errors
/// When the shards cannot remember them.
pub(crate) async fn remember_inline(
    files: &Files,
    digest: Digest,
    contents: &Bytes,
    deadline: Deadline,
) -> Result<()> {
    if digest.size <= CHUNK_SIZE || files.view(digest).is_some() {
        return Ok(());
    }
    let contents = contents.clone();
    let keys = tokio::task::spawn_blocking(move || {
        let mut pieces = Pieces::new(digest);
        pieces.push(contents);
        pieces.keys
    });
    let keys = keys.await.map_err(|error| Error::new(Code::Internal, error.to_string()))?;
    record(files, digest, keys.into(), deadline).await.map(drop)
}

/// The pieces of an output, read once as a stream.
///
/// # Errors
/// `NotFound` when it is gone, `DataLoss` when the backend sent other bytes.
pub(crate) async fn of_blob(
    files: &Files,
    backend: &Backend,
    digest: Digest,
    deadline: Deadline,
) -> Result<Arc<[FileKey]>> {
    if let Some(chunks) = files.view(digest) {
        // The client is about to ask for them by key, perhaps of another gateway.
        return record(files, digest, chunks, deadline).await;
    }
    let read = || read_keys(backend.cas.as_ref(), digest, deadline);
    let keys = restarting("reading a large output", digest, deadline, read).await?;
    record(files, digest, keys.into(), deadline).await
}

/// Reads a blob from its beginning to its end.
async fn read_keys(cas: &dyn Cas, digest: Digest, deadline: Deadline) -> Result<Vec<FileKey>> {
    let mut hasher = Hasher::default();
    let mut pieces = Pieces::new(digest);
    let mut left = digest.size;
    let mut stream = cas.download_stream(View::whole(digest), deadline).await?;
    while let Some(piece) = stream.next().await {
        let piece = piece?;
        left = left
            .checked_sub(piece.len() as u64)
            .ok_or_else(|| Error::new(Code::DataLoss, "more bytes than asked for"))?;
        hasher.update(&piece);
        pieces.push(piece);
    }
    if left > 0 {
        return Err(Error::new(Code::Unavailable, "stream ended early"));
    }
    if hasher.finish() != digest {
        return Err(Error::new(Code::DataLoss, "other bytes than its digest"));
    }
    Ok(pieces.keys)
}

async fn record(
    files: &Files,
    digest: Digest,
    chunks: Arc<[FileKey]>,
    deadline: Deadline,
) -> Result<Arc<[FileKey]>> {
    let views = chunks.iter().zip(0..).map(|(key, at)| {
        let offset = at * CHUNK_SIZE;
        let length = CHUNK_SIZE.min(digest.size - offset);
        (*key, FileEntry::Chunk { view: View { digest, offset, length }, offset })
    });
    let mut entries: Vec<_> = views.collect();
    let manifest =
        FileEntry::Manifest { size: digest.size, chunks: chunks.clone(), whole: Some(digest) };
    entries.push((FileKey::of_manifest(digest.size, &chunks), manifest));
    files.bring(digest, deadline).await?;
    files.record(entries, deadline).await?;
    files.remember_view(digest, chunks.clone());
    Ok(chunks)
}

/// Cuts a stream into pieces and hashes each; one piece is held at a time.
struct Pieces {
    size: u64,
    offset: u64,
    held: BytesMut,
    keys: Vec<FileKey>,
}

impl Pieces {
    fn new(digest: Digest) -> Self {
        Self { size: digest.size, offset: 0, held: BytesMut::new(), keys: Vec::new() }
    }

    fn push(&mut self, mut more: Bytes) {
        while !more.is_empty() {
            let length = usize::try_from(CHUNK_SIZE.min(self.size - self.offset)).unwrap_or(0);
            if length == 0 {
                // More than was promised: the hash of the whole will tell.
                return;
            }
            if self.held.is_empty() && more.len() >= length {
                let piece = more.split_to(length);
                self.end_piece(&piece);
                continue;
            }
            let take = (length - self.held.len()).min(more.len());
            self.held.extend_from_slice(&more.split_to(take));
            if self.held.len() == length {
                let piece = std::mem::take(&mut self.held);
                self.end_piece(&piece);
            }
        }
    }

    fn end_piece(&mut self, piece: &[u8]) {
        self.keys.push(FileKey::of_chunk(self.offset, piece, self.size));
        self.offset += piece.len() as u64;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use goma_common::testing::ScriptedBackend;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_output_whose_stream_breaks_is_read_again_a_few_times() {
        let cas = ScriptedBackend::default();
        let digest = cas.put(vec![7; 5_000_000]);
        let files = Files::new(Arc::new(cas.clone()), 10);
        let deadline = Deadline::after(Duration::from_secs(60));
        cas.break_downloads(usize::MAX);
        let backend = cas.backend(0);
        let error = of_blob(&files, &backend, digest, deadline).await.expect_err("always broken");
        assert_eq!(error.code, Code::Unavailable);
        assert!(cas.calls().download_streams <= 3, "{:?}", cas.calls());
        cas.break_downloads(2);
        let keys = of_blob(&files, &backend, digest, deadline).await.expect("read at last");
        assert_eq!(keys.len(), 3);
    }

    #[test]
    fn pieces_do_not_depend_on_how_the_bytes_come() {
        let contents: Vec<u8> = (0..5_000_000u32).map(|n| (n % 251) as u8).collect();
        let digest = Digest::of(&contents);
        let by = |size: usize| {
            let mut pieces = Pieces::new(digest);
            contents.chunks(size).for_each(|part| pieces.push(Bytes::copy_from_slice(part)));
            pieces.keys
        };
        let size = CHUNK_SIZE as usize;
        let expected: Vec<_> = contents
            .chunks(size)
            .zip(0..)
            .map(|(part, at)| FileKey::of_chunk(at * CHUNK_SIZE, part, 5_000_000))
            .collect();
        for size in [5_000_000, size, 1_000_003, 4096] {
            assert_eq!(by(size), expected);
        }
    }
}
