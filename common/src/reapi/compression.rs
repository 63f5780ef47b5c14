//! zstd between us and a backend that knows it: less on the wire for some work at both ends.
//!
//! What is decoded never grows beyond what its digest says, and a window that a sender may ask us to
//! keep is bounded too.

use std::sync::atomic::{AtomicBool, Ordering};

use async_compression::Level;
use async_compression::tokio::bufread::{ZstdDecoder, ZstdEncoder};
use async_compression::zstd::DParameter;
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use goma_proto::reapi::{CacheCapabilities, compressor};
use tokio_util::io::{ReaderStream, StreamReader};

use crate::digest::Digest;
use crate::error::{Code, Error, Result};

/// The fastest level: objects shrink to a third by it, and a level more saves little.
const LEVEL: i32 = 1;
/// Smaller contents are not worth it, in bytes.
const WORTH: usize = 1 << 10;
/// Bytes in a piece of a stream.
const PIECE: usize = 256 << 10;
/// Two to this are the bytes that a stream's window may have: what level 19, the last ordinary one,
/// asks for.
const WINDOW_LOG: u32 = 23;

/// What a backend takes and gives, as known so far.
#[derive(Debug)]
pub(super) struct Compression {
    is_wanted: AtomicBool,
    batches: AtomicBool,
    streams: AtomicBool,
}

impl Compression {
    /// Nothing, until the backend tells; and nothing for good where it is not wanted.
    pub(super) fn new(is_wanted: bool) -> Self {
        let no = || AtomicBool::new(false);
        Self { is_wanted: AtomicBool::new(is_wanted), batches: no(), streams: no() }
    }

    /// Takes over what the backend says of itself.
    pub(super) fn learn(&self, capabilities: &CacheCapabilities) {
        let zstd = i32::from(compressor::Value::Zstd);
        let is_wanted = self.is_wanted.load(Ordering::Relaxed);
        let batches = capabilities.supported_batch_update_compressors.contains(&zstd);
        let streams = capabilities.supported_compressors.contains(&zstd);
        self.batches.store(is_wanted && batches, Ordering::Relaxed);
        self.streams.store(is_wanted && streams, Ordering::Relaxed);
    }

    /// Whether batches may be compressed.
    pub(super) fn batches(&self) -> bool {
        self.batches.load(Ordering::Relaxed)
    }

    /// Whether streams may be.
    pub(super) fn streams(&self) -> bool {
        self.streams.load(Ordering::Relaxed)
    }

    /// What came could not be decoded: no more of it. The failure is one that passes, since the next
    /// try is without.
    pub(super) fn refute(&self, digest: Digest, why: impl std::fmt::Display) -> Error {
        if self.is_wanted.swap(false, Ordering::Relaxed) {
            tracing::error!(%digest, %why, "bad zstd from the backend: none is used from now on");
        }
        self.batches.store(false, Ordering::Relaxed);
        self.streams.store(false, Ordering::Relaxed);
        Error::new(Code::Unavailable, format!("zstd of {digest}: {why}"))
    }
}

/// The contents compressed, where that makes them smaller.
pub(super) fn compressed(contents: &[u8]) -> Option<Vec<u8>> {
    if contents.len() < WORTH {
        return None;
    }
    zstd::bulk::compress(contents, LEVEL).ok().filter(|small| small.len() < contents.len())
}

/// The contents of a blob of `size` bytes.
///
/// # Errors
/// When it is not zstd, or of more bytes than that.
pub(super) fn decompressed(data: &[u8], size: u64) -> std::io::Result<Vec<u8>> {
    zstd::bulk::decompress(data, usize::try_from(size).unwrap_or(usize::MAX))
}

/// A stream, compressed. It fails where the one below it does, with its error.
pub(super) fn compress(
    pieces: BoxStream<'static, Result<Bytes>>,
) -> BoxStream<'static, Result<Bytes>> {
    let reader = StreamReader::new(pieces.map_err(std::io::Error::other).boxed());
    let encoder = ZstdEncoder::with_quality(reader, Level::Precise(LEVEL));
    ReaderStream::with_capacity(encoder, PIECE).map_err(broken).boxed()
}

/// A stream of zstd, decompressed: at most `size` bytes of it.
pub(super) fn decompress(
    pieces: BoxStream<'static, Result<Bytes>>,
    size: u64,
) -> BoxStream<'static, Result<Bytes>> {
    let reader = StreamReader::new(pieces.map_err(std::io::Error::other).boxed());
    let decoder = ZstdDecoder::with_params(reader, &[DParameter::window_log_max(WINDOW_LOG)]);
    let mut left = size;
    let pieces = ReaderStream::with_capacity(decoder, PIECE).map_err(broken);
    pieces
        .map(move |piece| {
            let piece = piece?;
            left = left.checked_sub(piece.len() as u64).ok_or_else(|| {
                Error::new(Code::DataLoss, format!("zstd of more than {size} bytes"))
            })?;
            Ok(piece)
        })
        .boxed()
}

/// The error of the stream below, if it was that.
fn broken(error: std::io::Error) -> Error {
    let text = error.to_string();
    match error.into_inner().and_then(|inner| inner.downcast::<Error>().ok()) {
        Some(error) => *error,
        None => Error::new(Code::DataLoss, format!("zstd: {text}")),
    }
}

#[cfg(test)]
mod tests {
    use futures::stream::iter;

    use super::*;

    fn text() -> Vec<u8> {
        b"it repeats itself, ".repeat(100_000)
    }

    #[tokio::test]
    async fn what_is_compressed_comes_back() {
        let contents = text();
        let small = compressed(&contents).expect("smaller");
        assert!(small.len() < contents.len() / 10);
        assert_eq!(decompressed(&small, contents.len() as u64).expect("zstd"), contents);
        let pieces: Vec<_> =
            contents.chunks(10_000).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        let whole = decompress(compress(iter(pieces).boxed()), contents.len() as u64);
        let whole: Vec<Bytes> = whole.try_collect().await.expect("both ways");
        assert_eq!(whole.concat(), contents);
        assert_eq!(compressed(b"short"), None);
    }

    #[tokio::test]
    async fn no_more_is_decoded_than_the_digest_says() {
        let bomb = zstd::bulk::compress(&vec![0; 64 << 20], 1).expect("compresses");
        assert!(bomb.len() < 100_000);
        assert!(decompressed(&bomb, 1000).is_err());
        let mut pieces = decompress(iter([Ok(Bytes::from(bomb))]).boxed(), 1 << 20);
        let mut bytes = 0;
        let error = loop {
            match pieces.next().await.expect("an error before the end") {
                Ok(piece) => bytes += piece.len(),
                Err(error) => break error,
            }
        };
        assert_eq!(error.code, Code::DataLoss);
        assert!(bytes <= 1 << 20, "{bytes}");
    }

    #[tokio::test]
    async fn the_error_of_the_stream_below_stays_what_it_is() {
        let broken = Err(Error::new(Code::Unavailable, "cut"));
        let small = Bytes::from(zstd::bulk::compress(&text(), 1).expect("compresses"));
        let pieces = iter([Ok(small.slice(..10)), broken]).boxed();
        let error = decompress(pieces, 1 << 30).try_collect::<Vec<_>>().await.expect_err("cut");
        assert_eq!(error.code, Code::Unavailable);
    }
}
