//! The ContentAddressableStorage service: many small blobs at a time.

use std::pin::Pin;
use std::sync::Arc;

use futures::Stream;
use futures::stream::Empty;
use goma_common::{Code, Digest, Error};
use goma_proto::reapi::{self, batch_read_blobs_response, batch_update_blobs_response};
use goma_proto::reapi::{compressor, content_addressable_storage_server};
use goma_proto::rpc;
use tonic::{Request, Response, Status, Streaming};

use super::blocking::blocking;
use super::capabilities::MAX_BATCH;
use super::get_tree::TreeWalk;
use super::rpc_status::{self, rpc_status};
use super::store::Store;

/// Directories in one message of GetTree.
const TREE_PAGE: usize = 1000;

/// The service.
pub(super) struct Cas {
    pub(super) store: Arc<Store>,
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl content_addressable_storage_server::ContentAddressableStorage for Cas {
    async fn find_missing_blobs(
        &self,
        request: Request<reapi::FindMissingBlobsRequest>,
    ) -> Answer<reapi::FindMissingBlobsResponse> {
        let digests = request.into_inner().blob_digests;
        let digests = digests.iter().map(Digest::try_from).collect::<Result<Vec<_>, _>>()?;
        let store = Arc::clone(&self.store);
        let missing = blocking(move || Ok(store.missing(&digests))).await?;
        let missing_blob_digests = missing.into_iter().map(Into::into).collect();
        Ok(Response::new(reapi::FindMissingBlobsResponse { missing_blob_digests }))
    }

    async fn batch_update_blobs(
        &self,
        request: Request<reapi::BatchUpdateBlobsRequest>,
    ) -> Answer<reapi::BatchUpdateBlobsResponse> {
        let requests = request.into_inner().requests;
        check_batch(requests.iter().map(|request| request.data.len() as u64))?;
        let store = Arc::clone(&self.store);
        let responses = blocking(move || {
            let update = |request: reapi::batch_update_blobs_request::Request| {
                let status = match update_one(&store, &request) {
                    Ok(()) => rpc::Status::default(),
                    Err(error) => rpc_status(&error),
                };
                batch_update_blobs_response::Response {
                    digest: request.digest,
                    status: Some(status),
                }
            };
            Ok(requests.into_iter().map(update).collect())
        });
        Ok(Response::new(reapi::BatchUpdateBlobsResponse { responses: responses.await? }))
    }

    async fn batch_read_blobs(
        &self,
        request: Request<reapi::BatchReadBlobsRequest>,
    ) -> Answer<reapi::BatchReadBlobsResponse> {
        let digests = request.into_inner().digests;
        let parsed = digests.iter().map(Digest::try_from).collect::<Result<Vec<_>, _>>()?;
        check_batch(parsed.iter().map(|digest| digest.size))?;
        let store = Arc::clone(&self.store);
        let responses = blocking(move || {
            let read = |digest: Digest| {
                let (data, status) = match store.read_blob(digest, MAX_BATCH) {
                    Ok(data) => (data, rpc::Status::default()),
                    Err(error) => (Vec::new(), rpc_status(&error)),
                };
                let (digest, status) = (Some(digest.into()), Some(status));
                batch_read_blobs_response::Response { digest, data, status, compressor: 0 }
            };
            Ok(parsed.into_iter().map(read).collect())
        });
        Ok(Response::new(reapi::BatchReadBlobsResponse { responses: responses.await? }))
    }

    type GetTreeStream = Pin<Box<dyn Stream<Item = Result<reapi::GetTreeResponse, Status>> + Send>>;

    async fn get_tree(
        &self,
        request: Request<reapi::GetTreeRequest>,
    ) -> Answer<Self::GetTreeStream> {
        let request = request.into_inner();
        if !request.page_token.is_empty() {
            // All pages come in one stream, so no token was ever handed out.
            return Err(Status::invalid_argument("unknown page token"));
        }
        let root = rpc_status::digest(request.root_digest.as_ref(), "root")?;
        let page = match usize::try_from(request.page_size) {
            Ok(size) if (1..TREE_PAGE).contains(&size) => size,
            _ => TREE_PAGE,
        };
        let store = Arc::clone(&self.store);
        blocking(move || store.read_blob(root, MAX_BATCH)).await?;
        Ok(Response::new(Box::pin(TreeWalk::new(&self.store, root).pages(page))))
    }

    async fn split_blob(
        &self,
        _request: Request<reapi::SplitBlobRequest>,
    ) -> Answer<reapi::SplitBlobResponse> {
        Err(Status::unimplemented("blobs are not split here"))
    }

    async fn splice_blob(
        &self,
        _request: Request<reapi::SpliceBlobRequest>,
    ) -> Answer<reapi::SpliceBlobResponse> {
        Err(Status::unimplemented("blobs are not spliced here"))
    }

    type GetChunkMappingStream = Empty<Result<reapi::GetChunkMappingResponse, Status>>;

    async fn get_chunk_mapping(
        &self,
        _request: Request<reapi::GetChunkMappingRequest>,
    ) -> Answer<Self::GetChunkMappingStream> {
        Err(Status::unimplemented("blobs are not split here"))
    }

    async fn register_chunk_mapping(
        &self,
        _request: Request<Streaming<reapi::RegisterChunkMappingRequest>>,
    ) -> Answer<reapi::RegisterChunkMappingResponse> {
        Err(Status::unimplemented("blobs are not spliced here"))
    }
}

fn check_batch(sizes: impl Iterator<Item = u64>) -> Result<(), Status> {
    let total = sizes.fold(0, u64::saturating_add);
    if total > MAX_BATCH {
        let message = format!("a batch of {total} bytes exceeds {MAX_BATCH}");
        return Err(Status::invalid_argument(message));
    }
    Ok(())
}

fn update_one(
    store: &Arc<Store>,
    request: &reapi::batch_update_blobs_request::Request,
) -> Result<(), Error> {
    if request.compressor != compressor::Value::Identity as i32 {
        return Err(Error::new(Code::InvalidArgument, "compressed blobs are not understood"));
    }
    let digest = rpc_status::digest(request.digest.as_ref(), "blob")?;
    store.put(digest, &request.data)
}
