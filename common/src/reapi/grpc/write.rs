//! ByteStream uploads, gone on with where one broke and the backend remembers how far it got.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::future::ready;
use futures::stream::{BoxStream, Stream, StreamExt};
use goma_proto::bytestream::{QueryWriteStatusRequest, WriteRequest, WriteResponse};
use tokio::sync::oneshot;
use tonic::Response;

use super::cas::resource_name;
use super::{Grpc, timed};
use crate::deadline::Deadline;
use crate::error::{Code, Error, Result};
use crate::reapi::{Upload, compression};

/// Bytes of contents in one message of a ByteStream upload.
const WRITE_PIECE: usize = 1 << 20;

/// How much of an upload the backend has.
enum Committed {
    All,
    /// So many bytes, more than none and less than all.
    Part(u64),
    Nothing,
}

impl Grpc {
    /// See [`crate::reapi::Cas::upload_stream`].
    pub(super) async fn write(&self, upload: &Upload, deadline: Deadline) -> Result<()> {
        if let Some(resource) = upload.begun() {
            match self.committed(&resource, upload, deadline).await? {
                Committed::All => return Ok(()),
                Committed::Part(offset) => {
                    tracing::debug!(offset, digest = %upload.digest, "an upload is gone on with");
                    let error = match self.write_from(offset, resource, upload, deadline).await {
                        Err(error) if !error.code.is_transient() => error,
                        written => return written,
                    };
                    tracing::debug!(%error, "an upload cannot be gone on with: it begins anew");
                }
                Committed::Nothing => {}
            }
            upload.set_begun(None);
        }
        let id = fastrand::u128(..);
        let name = |kind| format!("uploads/{id:032x}/{kind}/{}", upload.digest);
        if self.compression.streams() {
            let resource = resource_name(&self.instance, &name("compressed-blobs/zstd"));
            return self.write_compressed(resource, upload, deadline).await;
        }
        let resource = resource_name(&self.instance, &name("blobs"));
        if self.resumes.load(Ordering::Relaxed) {
            upload.set_begun(Some(resource.clone()));
        }
        self.write_from(0, resource, upload, deadline).await
    }

    /// Asks how far an upload got.
    ///
    /// # Errors
    /// When nobody answers, so that it is asked again.
    async fn committed(
        &self,
        resource: &str,
        upload: &Upload,
        deadline: Deadline,
    ) -> Result<Committed> {
        let request = QueryWriteStatusRequest { resource_name: resource.to_owned() };
        let told = self.byte_stream().query_write_status(timed(request, deadline)).await;
        match told.map(Response::into_inner).map_err(Error::from) {
            Ok(told) if told.complete => Ok(Committed::All),
            Ok(told) => Ok(match u64::try_from(told.committed_size) {
                Ok(bytes @ 1..) if bytes < upload.digest.size => Committed::Part(bytes),
                _ => Committed::Nothing,
            }),
            Err(error) if error.code == Code::Unavailable => Err(error),
            Err(error) => {
                if error.code == Code::Unimplemented {
                    self.resumes.store(false, Ordering::Relaxed);
                }
                Ok(Committed::Nothing)
            }
        }
    }

    async fn write_from(
        &self,
        offset: u64,
        resource: String,
        upload: &Upload,
        deadline: Deadline,
    ) -> Result<()> {
        let size = upload.digest.size;
        let messages = Messages::of(resource, Some(size), offset, upload.read(offset));
        self.send(messages, deadline, |_| [size, size]).await
    }

    async fn write_compressed(
        &self,
        resource: String,
        upload: &Upload,
        deadline: Deadline,
    ) -> Result<()> {
        let size = upload.digest.size;
        // The size on the wire is known in the end only: an empty message then says that it is one.
        let messages = Messages::of(resource, None, 0, compression::compress(upload.read(0)));
        // What it took of a compressed stream some tell in bytes of the wire.
        self.send(messages, deadline, |sent| [size, sent]).await
    }

    /// Sends the messages; `whole` are the sizes of which one has to be told, given the bytes that
    /// were sent.
    async fn send(
        &self,
        messages: Messages,
        deadline: Deadline,
        whole: impl Fn(u64) -> [u64; 2] + Send,
    ) -> Result<()> {
        let Messages { stream, sent, mut failure } = messages;
        let written = self.byte_stream().write(timed(stream, deadline)).await;
        if let Ok(error) = failure.try_recv() {
            return Err(error);
        }
        match written {
            Ok(response) => check_committed(&response, whole(sent.load(Ordering::Relaxed))),
            Err(status) if status.code() == tonic::Code::AlreadyExists => Ok(()),
            Err(status) => Err(status.into()),
        }
    }
}

/// An upload as messages with offsets, the last one marked as such.
struct Messages {
    stream: Named,
    /// Bytes of the contents that were sent.
    sent: Arc<AtomicU64>,
    /// Why a piece could not be had, which ends the stream early: a gRPC request stream has no way to
    /// fail.
    failure: oneshot::Receiver<Error>,
}

impl Messages {
    /// From `offset` on. Where the size is not known, another message without contents comes last,
    /// unless a piece could not be had.
    fn of(
        resource: String,
        size: Option<u64>,
        mut offset: u64,
        pieces: BoxStream<'static, Result<Bytes>>,
    ) -> Self {
        let (failed, failure) = oneshot::channel();
        let sent = Arc::new(AtomicU64::new(0));
        let counted = sent.clone();
        let mut resource = Some(resource);
        let last = size.is_none().then(|| Ok(Bytes::new()));
        let stream = pieces
            .chain(futures::stream::iter(last))
            .scan(Some(failed), |failed, piece| {
                ready(match piece {
                    Ok(piece) => Some(piece),
                    Err(error) => {
                        if let Some(failed) = failed.take() {
                            // Its receiver waits for as long as this stream lives.
                            let _ = failed.send(error);
                        }
                        None
                    }
                })
            })
            .flat_map(|piece| futures::stream::iter(split(piece)))
            .map(move |piece| {
                let write_offset = offset;
                offset += piece.len() as u64;
                counted.store(offset, Ordering::Relaxed);
                WriteRequest {
                    resource_name: resource.take().unwrap_or_default(),
                    write_offset: i64::try_from(write_offset).unwrap_or(i64::MAX),
                    finish_write: size.map_or(piece.is_empty(), |size| offset == size),
                    data: piece.into(),
                }
            })
            .boxed();
        Self { stream: Named(stream), sent, failure }
    }
}

/// A stream with a name: the compiler cannot see that a boxed one without is `Send` across an await.
struct Named(BoxStream<'static, WriteRequest>);

impl Stream for Named {
    type Item = WriteRequest;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<WriteRequest>> {
        self.0.as_mut().poll_next(context)
    }
}

fn split(mut piece: Bytes) -> Vec<Bytes> {
    let mut parts = Vec::new();
    while piece.len() > WRITE_PIECE {
        parts.push(piece.split_to(WRITE_PIECE));
    }
    parts.push(piece);
    parts
}

/// -1 is how a backend says "the blob was there already" without reading it.
fn check_committed(response: &Response<WriteResponse>, whole: [u64; 2]) -> Result<()> {
    let committed = response.get_ref().committed_size;
    if committed == -1 || u64::try_from(committed).is_ok_and(|bytes| whole.contains(&bytes)) {
        return Ok(());
    }
    // Somebody was there, so that it is no outage; and another try may get further.
    Err(Error::new(Code::ResourceExhausted, format!("took {committed} of {} bytes", whole[0])))
}
