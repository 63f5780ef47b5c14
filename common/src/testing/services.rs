//! Capabilities, CAS, action cache and ByteStream of a scripted server, over its backend in memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::stream::{self, BoxStream, Empty, StreamExt, TryStreamExt};
use goma_proto::bytestream::{
    QueryWriteStatusRequest, QueryWriteStatusResponse, ReadRequest, ReadResponse, WriteRequest,
    WriteResponse, byte_stream_server,
};
use goma_proto::reapi::compressor::Value as Compressor;
use goma_proto::reapi::{
    self, ActionResult, ServerCapabilities, action_cache_server, batch_read_blobs_response,
    batch_update_blobs_response, capabilities_server, content_addressable_storage_server,
    digest_function,
};
use goma_proto::rpc;
use tonic::{Request, Response, Status, Streaming};

use super::ScriptedBackend;
use super::quirks::Quirks;
use super::server::deadline;
use super::writes::Writes;
use crate::digest::Digest;
use crate::entry::View;
use crate::error::Error;
use crate::reapi::{ActionCache, Cas, Upload};

type Answer<T> = Result<Response<T>, Status>;

/// The services; a clone is the same ones.
#[derive(Clone)]
pub struct Services {
    pub(super) backend: ScriptedBackend,
    capabilities: Arc<Mutex<ServerCapabilities>>,
    zstd: Arc<Mutex<Zstd>>,
    /// Writes by stream, those that go as zstd left out.
    pub writes: Writes,
    /// What it does that other servers do not.
    pub quirks: Quirks,
}

/// What went as zstd.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bytes {
    /// By us, in bytes on the wire.
    pub taken: usize,
    /// From us.
    pub given: usize,
    /// Streams to us whose end was said to be one.
    pub finished: usize,
}

#[derive(Default)]
struct Zstd {
    bytes: Bytes,
    /// Blobs that are given as zstd of so many zeros.
    inflated: HashMap<Digest, usize>,
    /// Streams are told to have been taken so far.
    committed: Option<i64>,
}

impl Services {
    pub(super) fn new(backend: ScriptedBackend) -> Self {
        let sha256 = vec![i32::from(digest_function::Value::Sha256)];
        let capabilities = ServerCapabilities {
            cache_capabilities: Some(reapi::CacheCapabilities {
                digest_functions: sha256.clone(),
                ..Default::default()
            }),
            execution_capabilities: Some(reapi::ExecutionCapabilities {
                exec_enabled: true,
                digest_functions: sha256,
                ..Default::default()
            }),
            ..Default::default()
        };
        Self {
            backend,
            capabilities: Arc::new(Mutex::new(capabilities)),
            zstd: Arc::default(),
            writes: Writes::default(),
            quirks: Quirks::default(),
        }
    }

    /// Changes what it says of itself.
    pub fn tell(&self, change: impl FnOnce(&mut ServerCapabilities)) {
        change(&mut self.capabilities.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// What went as zstd so far.
    #[must_use]
    pub fn compressed_bytes(&self) -> Bytes {
        self.zstd().bytes
    }

    /// Gives so many zeros for this blob, whenever zstd is wanted.
    pub fn inflate(&self, digest: Digest, zeros: usize) {
        self.zstd().inflated.insert(digest, zeros);
    }

    /// From now on tells of each stream that so many bytes of it were taken.
    pub fn commit(&self, bytes: i64) {
        self.zstd().committed = Some(bytes);
    }

    fn zstd(&self) -> MutexGuard<'_, Zstd> {
        self.zstd.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn compress(&self, digest: Digest, contents: &[u8]) -> Vec<u8> {
        let mut zstd = self.zstd();
        let data = match zstd.inflated.get(&digest) {
            Some(zeros) => ::zstd::bulk::compress(&vec![0; *zeros], 1),
            None => ::zstd::bulk::compress(contents, 1),
        };
        let data = data.expect("it compresses");
        zstd.bytes.given += data.len();
        data
    }

    fn decompress(&self, digest: Digest, data: &[u8]) -> Result<Vec<u8>, Status> {
        self.zstd().bytes.taken += data.len();
        let size = usize::try_from(digest.size).unwrap_or(usize::MAX);
        let contents = ::zstd::bulk::decompress(data, size);
        contents.map_err(|error| Status::invalid_argument(format!("zstd: {error}")))
    }
}

#[tonic::async_trait]
impl capabilities_server::Capabilities for Services {
    async fn get_capabilities(
        &self,
        _: Request<reapi::GetCapabilitiesRequest>,
    ) -> Answer<ServerCapabilities> {
        let told = self.capabilities.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Response::new(told.clone()))
    }
}

#[tonic::async_trait]
impl action_cache_server::ActionCache for Services {
    async fn get_action_result(
        &self,
        request: Request<reapi::GetActionResultRequest>,
    ) -> Answer<ActionResult> {
        let action = digest(request.into_inner().action_digest.as_ref())?;
        let found = self.backend.get(action, &[], deadline()).await?;
        found.map(Response::new).ok_or_else(|| Status::not_found("no result"))
    }

    async fn update_action_result(
        &self,
        _: Request<reapi::UpdateActionResultRequest>,
    ) -> Answer<ActionResult> {
        Err(Status::permission_denied("results are the workers' to tell"))
    }
}

#[tonic::async_trait]
impl content_addressable_storage_server::ContentAddressableStorage for Services {
    async fn find_missing_blobs(
        &self,
        request: Request<reapi::FindMissingBlobsRequest>,
    ) -> Answer<reapi::FindMissingBlobsResponse> {
        let request = request.into_inner();
        self.quirks.instance(&request.instance_name);
        let asked = request.blob_digests;
        let asked: Vec<Digest> =
            asked.iter().map(|told| digest(Some(told))).collect::<Result<_, _>>()?;
        let missing = self.backend.find_missing(&asked, deadline()).await?;
        let missing_blob_digests = missing.into_iter().map(Into::into).collect();
        Ok(Response::new(reapi::FindMissingBlobsResponse { missing_blob_digests }))
    }

    async fn batch_update_blobs(
        &self,
        request: Request<reapi::BatchUpdateBlobsRequest>,
    ) -> Answer<reapi::BatchUpdateBlobsResponse> {
        let mut blobs = Vec::new();
        for blob in request.into_inner().requests {
            let (digest, compressor) = (digest(blob.digest.as_ref())?, blob.compressor());
            let data = match compressor {
                Compressor::Zstd => self.decompress(digest, &blob.data)?,
                _ => blob.data,
            };
            blobs.push((digest, data.into()));
        }
        let taken = self.backend.upload_batch(&blobs, deadline()).await?;
        let responses = blobs.iter().zip(taken).map(|((digest, _), taken)| {
            let digest = Some((*digest).into());
            batch_update_blobs_response::Response { digest, status: Some(status(taken.err())) }
        });
        Ok(Response::new(reapi::BatchUpdateBlobsResponse { responses: responses.collect() }))
    }

    async fn batch_read_blobs(
        &self,
        request: Request<reapi::BatchReadBlobsRequest>,
    ) -> Answer<reapi::BatchReadBlobsResponse> {
        let request = request.into_inner();
        let zstd = request.acceptable_compressors.contains(&Compressor::Zstd.into());
        let asked: Vec<Digest> =
            request.digests.iter().map(|told| digest(Some(told))).collect::<Result<_, _>>()?;
        let read = self.backend.download_batch(&asked, deadline()).await?;
        let responses = asked.into_iter().zip(read).map(|(digest, read)| {
            let read = self.quirks.forged(digest).map_or(read, Ok);
            let (data, error) = match read {
                Ok(data) if zstd => (self.compress(digest, &data), None),
                Ok(data) => (data.into(), None),
                Err(error) => (Vec::new(), Some(error)),
            };
            let compressor = if zstd { Compressor::Zstd } else { Compressor::Identity };
            batch_read_blobs_response::Response {
                digest: Some(digest.into()),
                data,
                status: Some(status(error)),
                compressor: compressor.into(),
            }
        });
        Ok(Response::new(reapi::BatchReadBlobsResponse { responses: responses.collect() }))
    }

    type GetTreeStream = Empty<Result<reapi::GetTreeResponse, Status>>;

    async fn get_tree(&self, _: Request<reapi::GetTreeRequest>) -> Answer<Self::GetTreeStream> {
        Err(Status::unimplemented("no trees"))
    }

    async fn split_blob(
        &self,
        _: Request<reapi::SplitBlobRequest>,
    ) -> Answer<reapi::SplitBlobResponse> {
        Err(Status::unimplemented("no splitting"))
    }

    async fn splice_blob(
        &self,
        _: Request<reapi::SpliceBlobRequest>,
    ) -> Answer<reapi::SpliceBlobResponse> {
        Err(Status::unimplemented("no splicing"))
    }

    type GetChunkMappingStream = Empty<Result<reapi::GetChunkMappingResponse, Status>>;

    async fn get_chunk_mapping(
        &self,
        _: Request<reapi::GetChunkMappingRequest>,
    ) -> Answer<Self::GetChunkMappingStream> {
        Err(Status::unimplemented("no chunks"))
    }

    async fn register_chunk_mapping(
        &self,
        _: Request<Streaming<reapi::RegisterChunkMappingRequest>>,
    ) -> Answer<reapi::RegisterChunkMappingResponse> {
        Err(Status::unimplemented("no chunks"))
    }
}

#[tonic::async_trait]
impl byte_stream_server::ByteStream for Services {
    type ReadStream = BoxStream<'static, Result<ReadResponse, Status>>;

    async fn read(&self, request: Request<ReadRequest>) -> Answer<Self::ReadStream> {
        let request = request.into_inner();
        let digest = named(&request.resource_name)?;
        self.quirks.resource(&request.resource_name);
        self.quirks.limit(request.read_limit)?;
        if let Some(forged) = self.quirks.forged(digest) {
            let forged = stream::iter([Ok(ReadResponse { data: forged.into() })]);
            return Ok(Response::new(forged.boxed()));
        }
        let offset = u64::try_from(request.read_offset).unwrap_or(0).min(digest.size);
        let length = match u64::try_from(request.read_limit) {
            Ok(limit) if limit > 0 => limit.min(digest.size - offset),
            _ => digest.size - offset,
        };
        let view = View { digest, offset, length };
        let pieces = self.backend.download_stream(view, deadline()).await?;
        if request.resource_name.contains("compressed-blobs/zstd/") {
            let contents = pieces.try_collect::<Vec<_>>().await?.concat();
            let data = self.compress(digest, &contents);
            let pieces: Vec<_> = data
                .chunks(64 << 10)
                .map(|data| Ok(ReadResponse { data: data.to_vec() }))
                .collect();
            return Ok(Response::new(stream::iter(pieces).boxed()));
        }
        let pieces = pieces.map_ok(|data| ReadResponse { data: data.into() });
        Ok(Response::new(pieces.map_err(Status::from).boxed()))
    }

    async fn write(&self, request: Request<Streaming<WriteRequest>>) -> Answer<WriteResponse> {
        let mut requests = request.into_inner();
        let first = requests.message().await?;
        let first = first.ok_or_else(|| Status::invalid_argument("an empty stream"))?;
        let digest = named(&first.resource_name)?;
        self.quirks.resource(&first.resource_name);
        let contents = if first.resource_name.contains("compressed-blobs/zstd/") {
            let mut data = first.data;
            while let Some(more) = requests.message().await? {
                self.zstd().bytes.finished += usize::from(more.finish_write);
                data.extend_from_slice(&more.data);
            }
            self.decompress(digest, &data)?
        } else {
            self.writes.take(first, requests).await?
        };
        let upload = Upload::of(digest, contents.into());
        self.backend.upload_stream(&upload, deadline()).await?;
        let committed_size = self.zstd().committed.unwrap_or(digest.size.cast_signed());
        Ok(Response::new(WriteResponse { committed_size }))
    }

    async fn query_write_status(
        &self,
        request: Request<QueryWriteStatusRequest>,
    ) -> Answer<QueryWriteStatusResponse> {
        self.writes.status(&request.into_inner().resource_name).map(Response::new)
    }
}

/// The digest that a message must have.
pub(super) fn digest(told: Option<&reapi::Digest>) -> Result<Digest, Status> {
    let told = told.ok_or_else(|| Status::invalid_argument("no digest"))?;
    Ok(Digest::try_from(told)?)
}

/// The blob of a resource, read or written: the last two parts of its name.
fn named(resource: &str) -> Result<Digest, Status> {
    let unknown = || Status::invalid_argument(format!("no blob: {resource:?}"));
    let (name, size) = resource.rsplit_once('/').ok_or_else(unknown)?;
    let (_, hash) = name.rsplit_once('/').ok_or_else(unknown)?;
    Ok(Digest::parse(hash, size.parse().map_err(|_| unknown())?)?)
}

fn status(error: Option<Error>) -> rpc::Status {
    error.map_or_else(rpc::Status::default, |error| rpc::Status {
        code: error.code.grpc() as i32,
        message: error.message,
        ..Default::default()
    })
}
