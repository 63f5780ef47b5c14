//! A REAPI server that passes every call on to the backend as it is, and counts.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::BoxStream;
use goma_common::cancel_only::{Cancel, CancelOnly};
use goma_proto::bytestream::byte_stream_client::ByteStreamClient;
use goma_proto::bytestream::byte_stream_server::{ByteStream, ByteStreamServer};
use goma_proto::bytestream::{
    QueryWriteStatusRequest, QueryWriteStatusResponse, ReadRequest, ReadResponse, WriteRequest,
    WriteResponse,
};
use goma_proto::longrunning::operations_client::OperationsClient;
use goma_proto::longrunning::operations_server::OperationsServer;
use goma_proto::longrunning::{CancelOperationRequest, Operation, operation};
use goma_proto::reapi::action_cache_client::ActionCacheClient;
use goma_proto::reapi::action_cache_server::{ActionCache, ActionCacheServer};
use goma_proto::reapi::capabilities_client::CapabilitiesClient;
use goma_proto::reapi::capabilities_server::{Capabilities, CapabilitiesServer};
use goma_proto::reapi::content_addressable_storage_client::ContentAddressableStorageClient;
use goma_proto::reapi::content_addressable_storage_server as cas;
use goma_proto::reapi::execution_client::ExecutionClient;
use goma_proto::reapi::execution_server::{Execution, ExecutionServer};
use goma_proto::reapi::{self, ActionResult, ServerCapabilities};
use prost::Message as _;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::task::AbortOnDropHandle;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Response, Status, Streaming};

use super::counts::{Counters, Counts};
use crate::error::{Error, Result};

/// A backend that is up accepts within this.
const CONNECT: Duration = Duration::from_secs(3);

/// A running proxy. Dropping it ends it.
#[derive(Debug)]
pub(super) struct CountingProxy {
    counters: Arc<Counters>,
    _task: AbortOnDropHandle<()>,
}

impl CountingProxy {
    /// Serves at `address` what `backend`, `host:port` without TLS, answers.
    ///
    /// # Errors
    /// When the address is not free, or the backend's cannot be understood.
    pub(super) async fn start(address: SocketAddr, backend: &str) -> Result<Self> {
        let channel = connect(backend)?;
        let counters = Arc::new(Counters::default());
        let calls = Calls { channel, counters: Arc::clone(&counters) };
        let bound = TcpListener::bind(address).await;
        let listener = bound.map_err(|error| Error::member("counting proxy", error))?;
        let incoming = TcpListenerStream::new(listener).map(|stream| {
            // Small answers must not wait for acknowledgements.
            stream.inspect(|stream| drop(stream.set_nodelay(true)))
        });
        let limit = usize::MAX;
        let cas = cas::ContentAddressableStorageServer::new(calls.clone());
        let server = Server::builder()
            .initial_stream_window_size(4 << 20)
            .initial_connection_window_size(16 << 20)
            .add_service(CapabilitiesServer::new(calls.clone()))
            .add_service(cas.max_decoding_message_size(limit))
            .add_service(ByteStreamServer::new(calls.clone()).max_decoding_message_size(limit))
            .add_service(ActionCacheServer::new(calls.clone()).max_decoding_message_size(limit))
            .add_service(ExecutionServer::new(calls.clone()).max_decoding_message_size(limit))
            .add_service(OperationsServer::new(CancelOnly(calls)))
            .serve_with_incoming(incoming);
        let task = tokio::spawn(async move {
            if let Err(error) = server.await {
                tracing::warn!(%error, "the counting proxy ended");
            }
        });
        Ok(Self { counters, _task: AbortOnDropHandle::new(task) })
    }

    pub(super) fn counts(&self) -> Counts {
        self.counters.read()
    }
}

/// A channel to a backend that may be away.
pub(super) fn connect(backend: &str) -> Result<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{backend}"));
    let endpoint = endpoint
        .map_err(|error| Error::Config { flag: "--backend", reason: error.to_string() })?
        .tcp_nodelay(true)
        .connect_timeout(CONNECT)
        .initial_stream_window_size(4 << 20)
        .initial_connection_window_size(16 << 20);
    Ok(endpoint.connect_lazy())
}

/// The services. Whatever comes, metadata and deadlines too, goes on unchanged.
#[derive(Clone)]
struct Calls {
    channel: Channel,
    counters: Arc<Counters>,
}

impl Calls {
    fn cas(&self) -> ContentAddressableStorageClient<Channel> {
        ContentAddressableStorageClient::new(self.channel.clone())
            .max_decoding_message_size(usize::MAX)
    }

    fn bytes(&self) -> ByteStreamClient<Channel> {
        ByteStreamClient::new(self.channel.clone()).max_decoding_message_size(usize::MAX)
    }

    fn results(&self) -> ActionCacheClient<Channel> {
        ActionCacheClient::new(self.channel.clone()).max_decoding_message_size(usize::MAX)
    }

    fn executions(&self) -> ExecutionClient<Channel> {
        ExecutionClient::new(self.channel.clone()).max_decoding_message_size(usize::MAX)
    }
}

/// The answer to a call.
type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl Capabilities for Calls {
    async fn get_capabilities(
        &self,
        request: Request<reapi::GetCapabilitiesRequest>,
    ) -> Answer<ServerCapabilities> {
        CapabilitiesClient::new(self.channel.clone()).get_capabilities(request).await
    }
}

#[tonic::async_trait]
impl cas::ContentAddressableStorage for Calls {
    type GetTreeStream = Streaming<reapi::GetTreeResponse>;
    type GetChunkMappingStream = Streaming<reapi::GetChunkMappingResponse>;

    async fn find_missing_blobs(
        &self,
        request: Request<reapi::FindMissingBlobsRequest>,
    ) -> Answer<reapi::FindMissingBlobsResponse> {
        self.counters.called("FindMissingBlobs", request.get_ref().blob_digests.len(), 0);
        self.cas().find_missing_blobs(request).await
    }

    async fn batch_update_blobs(
        &self,
        request: Request<reapi::BatchUpdateBlobsRequest>,
    ) -> Answer<reapi::BatchUpdateBlobsResponse> {
        let blobs = &request.get_ref().requests;
        let bytes = blobs.iter().map(|blob| blob.data.len()).sum();
        self.counters.called("BatchUpdateBlobs", blobs.len(), bytes);
        for blob in blobs {
            self.counters.uploaded(blob.digest.as_ref());
        }
        self.cas().batch_update_blobs(request).await
    }

    async fn batch_read_blobs(
        &self,
        request: Request<reapi::BatchReadBlobsRequest>,
    ) -> Answer<reapi::BatchReadBlobsResponse> {
        self.counters.called("BatchReadBlobs", request.get_ref().digests.len(), 0);
        self.cas().batch_read_blobs(request).await
    }

    async fn get_tree(
        &self,
        request: Request<reapi::GetTreeRequest>,
    ) -> Answer<Self::GetTreeStream> {
        self.cas().get_tree(request).await
    }

    async fn split_blob(
        &self,
        request: Request<reapi::SplitBlobRequest>,
    ) -> Answer<reapi::SplitBlobResponse> {
        self.cas().split_blob(request).await
    }

    async fn get_chunk_mapping(
        &self,
        request: Request<reapi::GetChunkMappingRequest>,
    ) -> Answer<Self::GetChunkMappingStream> {
        self.cas().get_chunk_mapping(request).await
    }

    async fn splice_blob(
        &self,
        request: Request<reapi::SpliceBlobRequest>,
    ) -> Answer<reapi::SpliceBlobResponse> {
        self.cas().splice_blob(request).await
    }

    async fn register_chunk_mapping(
        &self,
        _request: Request<Streaming<reapi::RegisterChunkMappingRequest>>,
    ) -> Answer<reapi::RegisterChunkMappingResponse> {
        Err(Status::unimplemented("nobody here uses it"))
    }
}

#[tonic::async_trait]
impl ByteStream for Calls {
    type ReadStream = Streaming<ReadResponse>;

    async fn read(&self, request: Request<ReadRequest>) -> Answer<Self::ReadStream> {
        self.counters.called("Read", 1, 0);
        self.bytes().read(request).await
    }

    async fn write(&self, request: Request<Streaming<WriteRequest>>) -> Answer<WriteResponse> {
        let (metadata, extensions, pieces) = request.into_parts();
        let counters = Arc::clone(&self.counters);
        counters.called("Write", 1, 0);
        // One that breaks off is for the backend a write that is not whole.
        let whole = tokio_stream::StreamExt::map_while(pieces, Result::ok).map(move |piece| {
            counters.sent("Write", piece.data.len());
            if piece.write_offset == 0 && !piece.resource_name.is_empty() {
                counters.written(&piece.resource_name);
            }
            piece
        });
        self.bytes().write(Request::from_parts(metadata, extensions, whole)).await
    }

    async fn query_write_status(
        &self,
        request: Request<QueryWriteStatusRequest>,
    ) -> Answer<QueryWriteStatusResponse> {
        self.bytes().query_write_status(request).await
    }
}

#[tonic::async_trait]
impl ActionCache for Calls {
    async fn get_action_result(
        &self,
        request: Request<reapi::GetActionResultRequest>,
    ) -> Answer<ActionResult> {
        self.counters.called("GetActionResult", 1, 0);
        self.results().get_action_result(request).await
    }

    async fn update_action_result(
        &self,
        request: Request<reapi::UpdateActionResultRequest>,
    ) -> Answer<ActionResult> {
        self.results().update_action_result(request).await
    }
}

#[tonic::async_trait]
impl Execution for Calls {
    type ExecuteStream = BoxStream<'static, Result<Operation, Status>>;
    type WaitExecutionStream = BoxStream<'static, Result<Operation, Status>>;

    async fn execute(
        &self,
        request: Request<reapi::ExecuteRequest>,
    ) -> Answer<Self::ExecuteStream> {
        let action = request.get_ref().action_digest.clone();
        self.counters.called("Execute", 1, 0);
        self.counters.executed(action.as_ref());
        let answer = self.executions().execute(request).await?;
        let counters = Arc::clone(&self.counters);
        Ok(answer.map(|operations| {
            let counted = operations.map(move |operation| {
                operation.inspect(|operation| {
                    counters.operation(&operation.name, action.as_ref());
                    count_end(&counters, operation);
                })
            });
            counted.boxed()
        }))
    }

    async fn wait_execution(
        &self,
        request: Request<reapi::WaitExecutionRequest>,
    ) -> Answer<Self::WaitExecutionStream> {
        let answer = self.executions().wait_execution(request).await?;
        let counters = Arc::clone(&self.counters);
        Ok(answer.map(|operations| {
            let counted =
                operations.map(move |operation| operation.inspect(|one| count_end(&counters, one)));
            counted.boxed()
        }))
    }
}

#[tonic::async_trait]
impl Cancel for Calls {
    async fn cancel(&self, name: String) -> Result<(), Status> {
        self.counters.called("CancelOperation", 1, 0);
        let mut operations = OperationsClient::new(self.channel.clone());
        operations.cancel_operation(CancelOperationRequest { name }).await?;
        Ok(())
    }
}

/// Takes note of an operation that has ended, unless the backend knew its result already.
fn count_end(counters: &Counters, operation: &Operation) {
    let Some(operation::Result::Response(any)) = &operation.result else { return };
    let ended = reapi::ExecuteResponse::decode(any.value.as_slice());
    if ended.is_ok_and(|ended| ended.result.is_some() && !ended.cached_result) {
        counters.ran(&operation.name);
    }
}
