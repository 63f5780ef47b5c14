//! The ByteStream service: one blob of any size, in pieces, never held whole.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::pin::Pin;
use std::sync::Arc;

use futures::{Stream, StreamExt as _};
use goma_common::{Digest, Error};
use goma_proto::bytestream::{self, byte_stream_server};
use tokio_util::io::ReaderStream;
use tonic::{Request, Response, Status, Streaming};

use super::blocking::blocking;
use super::index::{Key, Kind};
use super::resource_name;
use super::store::{Store, io_error};
use super::upload::Upload;

/// Size of the pieces of a read.
const PIECE: usize = 512 << 10;

/// The service.
pub(super) struct ByteStream {
    pub(super) store: Arc<Store>,
}

type Pieces = Pin<Box<dyn Stream<Item = Result<bytestream::ReadResponse, Status>> + Send>>;

#[tonic::async_trait]
impl byte_stream_server::ByteStream for ByteStream {
    type ReadStream = Pieces;

    async fn read(
        &self,
        request: Request<bytestream::ReadRequest>,
    ) -> Result<Response<Pieces>, Status> {
        let request = request.into_inner();
        let digest = resource_name::parse_read(&request.resource_name)?;
        let offset = u64::try_from(request.read_offset)
            .ok()
            .filter(|&offset| offset <= digest.size)
            .ok_or_else(|| Status::out_of_range("the offset is outside of the blob"))?;
        let limit = match u64::try_from(request.read_limit) {
            Ok(0) => digest.size - offset,
            Ok(limit) => limit.min(digest.size - offset),
            Err(_) => return Err(Status::invalid_argument("the limit is negative")),
        };
        let store = Arc::clone(&self.store);
        Ok(Response::new(blocking(move || read(&store, digest, offset, limit)).await?))
    }

    async fn write(
        &self,
        request: Request<Streaming<bytestream::WriteRequest>>,
    ) -> Result<Response<bytestream::WriteResponse>, Status> {
        let mut requests = request.into_inner();
        let first = requests.message().await?;
        let first = first.ok_or_else(|| Status::invalid_argument("a write without a request"))?;
        let digest = resource_name::parse_write(&first.resource_name)?;
        let committed_size = digest.size.cast_signed();
        let there = self.store.missing(&[digest]).is_empty();
        if !there {
            Upload::new(digest, first, requests).receive(&self.store).await?;
        }
        Ok(Response::new(bytestream::WriteResponse { committed_size }))
    }

    async fn query_write_status(
        &self,
        request: Request<bytestream::QueryWriteStatusRequest>,
    ) -> Result<Response<bytestream::QueryWriteStatusResponse>, Status> {
        let digest = resource_name::parse_write(&request.into_inner().resource_name)?;
        let complete = self.store.missing(&[digest]).is_empty();
        // Nothing is kept of a write that broke off: it begins anew.
        let committed_size = if complete { digest.size.cast_signed() } else { 0 };
        Ok(Response::new(bytestream::QueryWriteStatusResponse { committed_size, complete }))
    }
}

fn read(store: &Store, digest: Digest, offset: u64, limit: u64) -> Result<Pieces, Error> {
    let mut file = store.open_file(&Key { kind: Kind::Blob, digest })?;
    file.seek(SeekFrom::Start(offset)).map_err(|error| io_error("read a blob", &error))?;
    if limit <= PIECE as u64 {
        let mut data = Vec::with_capacity(limit as usize);
        let read = file.take(limit).read_to_end(&mut data);
        read.map_err(|error| io_error("read a blob", &error))?;
        let only = futures::stream::iter([Ok(bytestream::ReadResponse { data })]);
        return Ok(Box::pin(only));
    }
    let mut file = tokio::fs::File::from_std(file);
    file.set_max_buf_size(PIECE);
    let pieces = ReaderStream::with_capacity(tokio::io::AsyncReadExt::take(file, limit), PIECE);
    Ok(Box::pin(pieces.map(|piece| match piece {
        Ok(data) => Ok(bytestream::ReadResponse { data: data.into() }),
        Err(error) => Err(io_error("read a blob", &error).into()),
    })))
}
