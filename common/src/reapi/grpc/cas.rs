//! FindMissingBlobs, BatchUpdateBlobs, BatchReadBlobs and ByteStream.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::ready;
use futures::stream::{BoxStream, Stream, StreamExt, TryStreamExt};
use goma_proto::bytestream::byte_stream_client::ByteStreamClient;
use goma_proto::bytestream::{ReadRequest, WriteRequest};
use goma_proto::reapi::compressor::Value as Compressor;
use goma_proto::reapi::content_addressable_storage_client::ContentAddressableStorageClient;
use goma_proto::reapi::{
    BatchReadBlobsRequest, BatchUpdateBlobsRequest, FindMissingBlobsRequest,
    batch_update_blobs_request, digest_function,
};
use goma_proto::rpc;
use tokio::sync::oneshot;

use super::{Grpc, MAX_RECEIVED, timed};
use crate::deadline::Deadline;
use crate::digest::Digest;
use crate::entry::View;
use crate::error::{Code, Error, Result};
use crate::reapi::Cas;
use crate::reapi::compression;
use crate::reapi::lane::Lane;

/// Bytes of contents in one message of a ByteStream upload.
const WRITE_PIECE: usize = 1 << 20;
/// Digests in one FindMissingBlobs: about 80 bytes each, far below a message of 4 MiB.
const FIND_MISSING_MAX: usize = 20_000;

#[async_trait]
impl Cas for Grpc {
    async fn find_missing(&self, digests: &[Digest], deadline: Deadline) -> Result<Vec<Digest>> {
        let mut missing = Vec::new();
        for some in digests.chunks(FIND_MISSING_MAX) {
            let request = FindMissingBlobsRequest {
                instance_name: self.instance.clone(),
                blob_digests: some.iter().map(|digest| (*digest).into()).collect(),
                digest_function: digest_function::Value::Sha256.into(),
            };
            let response = self.cas().find_missing_blobs(timed(request, deadline)).await?;
            for digest in &response.into_inner().missing_blob_digests {
                missing.push(digest.try_into()?);
            }
        }
        Ok(missing)
    }

    async fn upload_batch(
        &self,
        blobs: &[(Digest, Bytes)],
        deadline: Deadline,
    ) -> Result<Vec<Result<()>>> {
        let compresses = self.compression.batches();
        let requests = blobs.iter().map(|(digest, contents)| {
            let small = compresses.then(|| compression::compressed(contents)).flatten();
            let compressor = small.as_ref().map_or(Compressor::Identity, |_| Compressor::Zstd);
            batch_update_blobs_request::Request {
                digest: Some((*digest).into()),
                data: small.unwrap_or_else(|| contents.to_vec()),
                compressor: compressor.into(),
            }
        });
        let request = BatchUpdateBlobsRequest {
            instance_name: self.instance.clone(),
            requests: requests.collect(),
            digest_function: digest_function::Value::Sha256.into(),
        };
        let response = self.cas().batch_update_blobs(timed(request, deadline)).await?.into_inner();
        let mut told = HashMap::with_capacity(blobs.len());
        for answer in response.responses {
            if let Some(digest) = &answer.digest {
                told.insert(Digest::try_from(digest)?, check(answer.status.as_ref()));
            }
        }
        Ok(in_order(blobs.iter().map(|(digest, _)| *digest), |digest| told.get(digest).cloned()))
    }

    async fn upload_stream(
        &self,
        digest: Digest,
        pieces: BoxStream<'static, Result<Bytes>>,
        deadline: Deadline,
    ) -> Result<()> {
        let id = fastrand::u128(..);
        let compresses = self.compression.streams();
        let kind = if compresses { "compressed-blobs/zstd" } else { "blobs" };
        let resource = resource_name(&self.instance, &format!("uploads/{id:032x}/{kind}/{digest}"));
        // A piece that cannot be had ends the stream early; why is told on the side, since a gRPC
        // request stream has no way to fail.
        let (failed, mut failure) = oneshot::channel();
        // The size on the wire is known in the end only: an empty message then says that it is one.
        let (pieces, size) = match compresses {
            true => (compression::compress(pieces), None),
            false => (pieces, Some(digest.size)),
        };
        let sent = Arc::new(AtomicU64::new(0));
        let messages = write_messages(resource, size, pieces, failed, sent.clone());
        let request = timed(messages, deadline);
        let written = self.byte_stream().write(request).await;
        if let Ok(error) = failure.try_recv() {
            return Err(error);
        }
        match written {
            Ok(response) => {
                // What it took of a compressed stream some tell in bytes of the wire.
                let whole = [digest.size, sent.load(Ordering::Relaxed)];
                check_committed(response.into_inner().committed_size, whole)
            }
            Err(status) if status.code() == tonic::Code::AlreadyExists => Ok(()),
            Err(status) => Err(status.into()),
        }
    }

    async fn download_batch(
        &self,
        digests: &[Digest],
        deadline: Deadline,
    ) -> Result<Vec<Result<Bytes>>> {
        let request = BatchReadBlobsRequest {
            instance_name: self.instance.clone(),
            digests: digests.iter().map(|digest| (*digest).into()).collect(),
            digest_function: digest_function::Value::Sha256.into(),
            acceptable_compressors: match self.compression.batches() {
                true => vec![Compressor::Zstd.into()],
                false => Vec::new(),
            },
        };
        let response = self.cas().batch_read_blobs(timed(request, deadline)).await?.into_inner();
        let mut told = HashMap::with_capacity(digests.len());
        for answer in response.responses {
            let Some(digest) = &answer.digest else { continue };
            let digest = Digest::try_from(digest)?;
            let contents = check(answer.status.as_ref()).and_then(|()| match answer.compressor() {
                Compressor::Zstd => {
                    let contents = compression::decompressed(&answer.data, digest.size);
                    contents.map_err(|error| self.compression.refute(digest, error))
                }
                _ => Ok(answer.data),
            });
            let contents = contents.and_then(|contents| verified(digest, Bytes::from(contents)));
            told.insert(digest, contents);
        }
        Ok(in_order(digests.iter().copied(), |digest| told.get(digest).cloned()))
    }

    async fn download_stream(
        &self,
        view: View,
        deadline: Deadline,
    ) -> Result<BoxStream<'static, Result<Bytes>>> {
        let to_the_end = view.offset + view.length == view.digest.size;
        // Of compressed blobs there are no parts.
        let compresses = to_the_end && self.compression.streams();
        let kind = if compresses { "compressed-blobs/zstd" } else { "blobs" };
        let request = ReadRequest {
            resource_name: resource_name(&self.instance, &format!("{kind}/{}", view.digest)),
            read_offset: i64::try_from(view.offset).unwrap_or(i64::MAX),
            // 0 means to the end, which spares backends that refuse a limit.
            read_limit: match to_the_end {
                true => 0,
                false => i64::try_from(view.length).unwrap_or(0),
            },
        };
        let response = self.byte_stream().read(timed(request, deadline)).await?;
        let pieces = response.into_inner().map_ok(|read| read.data.into()).map_err(Error::from);
        if !compresses {
            return Ok(pieces.boxed());
        }
        let (compression, digest) = (self.compression.clone(), view.digest);
        let pieces = compression::decompress(pieces.boxed(), view.length);
        let pieces = pieces.map_err(move |error| match error.code {
            Code::DataLoss => compression.refute(digest, error),
            _ => error,
        });
        Ok(pieces.boxed())
    }
}

impl Grpc {
    fn cas(&self) -> ContentAddressableStorageClient<Lane> {
        ContentAddressableStorageClient::new(self.calls.clone())
            .max_decoding_message_size(MAX_RECEIVED)
    }

    fn byte_stream(&self) -> ByteStreamClient<Lane> {
        ByteStreamClient::new(self.bulk.clone()).max_decoding_message_size(MAX_RECEIVED)
    }
}

/// An empty instance name takes its slash along.
fn resource_name(instance: &str, rest: &str) -> String {
    if instance.is_empty() { rest.to_owned() } else { format!("{instance}/{rest}") }
}

/// Cuts pieces into messages with offsets, the last one marked as such; where the size is not known,
/// another one without contents comes last, unless a piece could not be had. Counts the bytes of the
/// contents that were `sent`.
fn write_messages(
    resource: String,
    size: Option<u64>,
    pieces: BoxStream<'static, Result<Bytes>>,
    failed: oneshot::Sender<Error>,
    sent: Arc<AtomicU64>,
) -> Messages {
    let mut resource = Some(resource);
    let mut offset = 0;
    let last = size.is_none().then(|| Ok(Bytes::new()));
    let messages = pieces
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
            sent.store(offset, Ordering::Relaxed);
            WriteRequest {
                resource_name: resource.take().unwrap_or_default(),
                write_offset: i64::try_from(write_offset).unwrap_or(i64::MAX),
                finish_write: size.map_or(piece.is_empty(), |size| offset == size),
                data: piece.into(),
            }
        })
        .boxed();
    Messages(messages)
}

/// A stream with a name: the compiler cannot see that a boxed one without is `Send` across an await.
struct Messages(BoxStream<'static, WriteRequest>);

impl Stream for Messages {
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
fn check_committed(committed: i64, whole: [u64; 2]) -> Result<()> {
    if committed == -1 || u64::try_from(committed).is_ok_and(|bytes| whole.contains(&bytes)) {
        return Ok(());
    }
    Err(Error::new(Code::Unavailable, format!("took {committed} of {} bytes", whole[0])))
}

fn check(status: Option<&rpc::Status>) -> Result<()> {
    match status {
        Some(status) if status.code != 0 => {
            Err(Error::new(tonic::Code::from(status.code).into(), status.message.clone()))
        }
        _ => Ok(()),
    }
}

fn verified(digest: Digest, contents: Bytes) -> Result<Bytes> {
    if Digest::of(&contents) == digest {
        return Ok(contents);
    }
    tracing::error!(%digest, "the backend answered other bytes than asked for");
    Err(Error::new(Code::DataLoss, format!("other bytes than {digest}")))
}

/// Batches answer in any order, and may leave some out.
fn in_order<T>(
    digests: impl Iterator<Item = Digest>,
    told: impl Fn(&Digest) -> Option<Result<T>>,
) -> Vec<Result<T>> {
    digests
        .map(|digest| {
            told(&digest).unwrap_or_else(|| {
                Err(Error::new(Code::Internal, format!("no answer for {digest}")))
            })
        })
        .collect()
}
