//! One blob on its way in over ByteStream: pieces in order, to the disk as they come.

use std::sync::Arc;

use goma_common::{Code, Digest, Error, Result};
use goma_proto::bytestream::WriteRequest;
use tokio::sync::mpsc;
use tonic::{Status, Streaming};

use super::blob_writer::BlobWriter;
use super::blocking::blocking;
use super::index::Kind;
use super::store::Store;

/// Blobs up to this size are gathered and stored in one go.
const SMALL: u64 = 1 << 20;

/// The pieces of one write, checked to be in order.
pub(super) struct Upload {
    digest: Digest,
    name: String,
    requests: Streaming<WriteRequest>,
    next: Option<WriteRequest>,
    offset: u64,
    finished: bool,
}

impl Upload {
    /// A write that began with `first`.
    pub(super) fn new(
        digest: Digest,
        first: WriteRequest,
        requests: Streaming<WriteRequest>,
    ) -> Self {
        let name = first.resource_name.clone();
        Self { digest, name, requests, next: Some(first), offset: 0, finished: false }
    }

    /// Takes it all in; the blob is there afterwards, or nothing of it.
    pub(super) async fn receive(mut self, store: &Arc<Store>) -> Result<(), Status> {
        if self.digest.size > SMALL {
            return self.receive_large(store).await;
        }
        let mut contents = Vec::with_capacity(self.digest.size as usize);
        while let Some(piece) = self.next_piece().await? {
            contents.extend_from_slice(&piece);
        }
        let (store, digest) = (Arc::clone(store), self.digest);
        Ok(blocking(move || store.put(digest, &contents)).await?)
    }

    async fn receive_large(mut self, store: &Arc<Store>) -> Result<(), Status> {
        let (pieces, mut incoming) = mpsc::channel::<Vec<u8>>(2);
        let (store, digest) = (Arc::clone(store), self.digest);
        let write = blocking(move || {
            let mut writer = BlobWriter::begin(&store, Kind::Blob, digest.size)?;
            while let Some(piece) = incoming.blocking_recv() {
                writer.write(&piece)?;
            }
            writer.finish(digest)
        });
        let send = async move {
            while let Some(piece) = self.next_piece().await? {
                if pieces.send(piece).await.is_err() {
                    // The writer gave up and says why itself.
                    break;
                }
            }
            Ok::<_, Status>(())
        };
        // A stream that breaks ends the pieces early, and what the writer then says matters less.
        let (sent, written) = tokio::join!(send, write);
        sent?;
        Ok(written?)
    }

    async fn next_piece(&mut self) -> Result<Option<Vec<u8>>, Status> {
        if self.finished {
            return Ok(None);
        }
        let request = match self.next.take() {
            Some(first) => Some(first),
            None => self.requests.message().await?,
        };
        let Some(request) = request else {
            return Err(Status::invalid_argument("the write ended without finish_write"));
        };
        self.check(&request)?;
        self.offset += request.data.len() as u64;
        self.finished = request.finish_write;
        Ok(Some(request.data))
    }

    fn check(&self, request: &WriteRequest) -> Result<()> {
        let invalid = |message: String| Err(Error::new(Code::InvalidArgument, message));
        if !request.resource_name.is_empty() && request.resource_name != self.name {
            return invalid("the name changed within a write".to_owned());
        }
        if u64::try_from(request.write_offset) != Ok(self.offset) {
            return invalid(format!("offset {} after {}", request.write_offset, self.offset));
        }
        if self.offset + request.data.len() as u64 > self.digest.size {
            return invalid(format!("more bytes than {} says", self.digest));
        }
        Ok(())
    }
}
