//! FindMissingBlobs, BatchUpdateBlobs, BatchReadBlobs and ByteStream.

use std::collections::HashMap;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use goma_proto::bytestream::ReadRequest;
use goma_proto::bytestream::byte_stream_client::ByteStreamClient;
use goma_proto::reapi::compressor::Value as Compressor;
use goma_proto::reapi::content_addressable_storage_client::ContentAddressableStorageClient;
use goma_proto::reapi::{
    BatchReadBlobsRequest, BatchUpdateBlobsRequest, FindMissingBlobsRequest,
    batch_update_blobs_request, digest_function,
};
use goma_proto::rpc;

use super::{Grpc, MAX_RECEIVED, timed};
use crate::deadline::Deadline;
use crate::digest::Digest;
use crate::entry::View;
use crate::error::{Code, Error, Result};
use crate::reapi::lane::Lane;
use crate::reapi::{Cas, Upload, compression};

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

    async fn upload_stream(&self, upload: &Upload, deadline: Deadline) -> Result<()> {
        self.write(upload, deadline).await
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

    pub(super) fn byte_stream(&self) -> ByteStreamClient<Lane> {
        ByteStreamClient::new(self.bulk.clone()).max_decoding_message_size(MAX_RECEIVED)
    }
}

/// An empty instance name takes its slash along.
pub(super) fn resource_name(instance: &str, rest: &str) -> String {
    if instance.is_empty() { rest.to_owned() } else { format!("{instance}/{rest}") }
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
