//! Large outputs in the pieces by which clients ask for them: views into the one blob of the CAS.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use goma_common::digest::Hasher;
use goma_common::file_key::CHUNK_SIZE;
use goma_common::reapi::{Backend, Cas, restarting};
use goma_common::{Code, Deadline, Digest, Error, FileEntry, FileKey, Result, View};

use crate::exec::PathSearch;
use crate::files::Files;

/// An output in pieces.
#[derive(Debug)]
pub(crate) struct Cut {
    /// Their keys, in order.
    pub(crate) chunks: Arc<[FileKey]>,
    /// Whether it holds a path by which rewritten compiles run on workers.
    pub(crate) tells_of_worker: bool,
}

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
        pieces
    });
    let pieces = keys.await.map_err(|error| Error::new(Code::Internal, error.to_string()))?;
    record(files, digest, pieces, deadline).await.map(drop)
}

/// Has an output that is no larger than a piece be known by its key as a file.
///
/// # Errors
/// When the shards cannot remember it.
pub(crate) async fn keep(
    files: &Files,
    digest: Digest,
    contents: &[u8],
    deadline: Deadline,
) -> Result<FileKey> {
    let key = FileKey::of_file(contents);
    files.bring(digest, deadline).await?;
    files.record(vec![(key, FileEntry::File(digest))], deadline).await?;
    Ok(key)
}

/// The pieces of an output, read once as a stream. One that tells of a worker is read each time: for
/// some compiles that matters, for others not.
///
/// # Errors
/// `NotFound` when it is gone, `DataLoss` when the backend sent other bytes.
pub(crate) async fn of_blob(
    files: &Files,
    backend: &Backend,
    digest: Digest,
    deadline: Deadline,
) -> Result<Cut> {
    if let Some(chunks) = files.view(digest) {
        // The client is about to ask for them by key, perhaps of another gateway.
        tell(files, digest, &chunks, deadline).await?;
        return Ok(Cut { chunks, tells_of_worker: false });
    }
    let read = || read_pieces(backend.cas.as_ref(), digest, deadline);
    let pieces = restarting("reading a large output", digest, deadline, read).await?;
    record(files, digest, pieces, deadline).await
}

/// Reads a blob from its beginning to its end.
async fn read_pieces(cas: &dyn Cas, digest: Digest, deadline: Deadline) -> Result<Pieces> {
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
    Ok(pieces)
}

async fn record(files: &Files, digest: Digest, pieces: Pieces, deadline: Deadline) -> Result<Cut> {
    let chunks: Arc<[FileKey]> = pieces.keys.into();
    tell(files, digest, &chunks, deadline).await?;
    let tells_of_worker = pieces.search.found();
    if !tells_of_worker {
        files.remember_view(digest, chunks.clone());
    }
    Ok(Cut { chunks, tells_of_worker })
}

/// Has the shards know the pieces.
async fn tell(
    files: &Files,
    digest: Digest,
    chunks: &Arc<[FileKey]>,
    deadline: Deadline,
) -> Result<()> {
    let views = chunks.iter().zip(0..).map(|(key, at)| {
        let offset = at * CHUNK_SIZE;
        let length = CHUNK_SIZE.min(digest.size - offset);
        (*key, FileEntry::Chunk { view: View { digest, offset, length }, offset })
    });
    let mut entries: Vec<_> = views.collect();
    let manifest =
        FileEntry::Manifest { size: digest.size, chunks: chunks.clone(), whole: Some(digest) };
    entries.push((FileKey::of_manifest(digest.size, chunks), manifest));
    files.bring(digest, deadline).await?;
    files.record(entries, deadline).await
}

/// Cuts a stream into pieces and hashes each; one piece is held at a time.
struct Pieces {
    size: u64,
    offset: u64,
    held: BytesMut,
    keys: Vec<FileKey>,
    search: PathSearch,
}

impl Pieces {
    fn new(digest: Digest) -> Self {
        let search = PathSearch::default();
        Self { size: digest.size, offset: 0, held: BytesMut::new(), keys: Vec::new(), search }
    }

    fn push(&mut self, mut more: Bytes) {
        self.search.push(&more);
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
        let cut = of_blob(&files, &backend, digest, deadline).await.expect("read at last");
        assert_eq!((cut.chunks.len(), cut.tells_of_worker), (3, false));
    }

    #[tokio::test]
    async fn what_tells_of_a_worker_is_found_each_time_and_wherever_it_stands() {
        let cas = ScriptedBackend::default();
        let backend = cas.backend(0);
        let deadline = Deadline::after(Duration::from_secs(60));
        for at in [0, CHUNK_SIZE as usize - 5, 4_000_000, 5_000_000 - 14] {
            let mut contents = vec![7; 5_000_000];
            contents[at..at + 14].copy_from_slice(b"/proc/self/cwd");
            let digest = cas.put(contents.clone());
            let files = Files::new(Arc::new(cas.clone()), 10);
            remember_inline(&files, digest, &contents.into(), deadline).await.expect("remembered");
            for _ in 0..2 {
                let cut = of_blob(&files, &backend, digest, deadline).await.expect("read");
                assert!(cut.tells_of_worker, "at {at}");
            }
        }
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
