//! The server that is asked: through the clients of the product, and by calls of our own where those
//! would hide what it does.

use std::time::Duration;

use bytes::Bytes;
use goma_common::reapi::{self, Backend, Lane, RemoteConfig};
use goma_common::{Code, Deadline, Digest, Error, Result};
use goma_proto::bytestream::byte_stream_client::ByteStreamClient;
use goma_proto::reapi::action_cache_client::ActionCacheClient;
use goma_proto::reapi::capabilities_client::CapabilitiesClient;
use goma_proto::reapi::content_addressable_storage_client::ContentAddressableStorageClient;
use goma_proto::reapi::execution_client::ExecutionClient;
use goma_proto::reapi::{GetCapabilitiesRequest, ServerCapabilities, digest_function};

/// Larger than gRPC's own bound on messages.
const MAX_RECEIVED: usize = 16 << 20;

/// The server.
pub(super) struct Visited {
    /// As the product uses it, each call once.
    pub(super) backend: Backend,
    pub(super) instance: String,
    pub(super) properties: Vec<(String, String)>,
    patience: Duration,
    lane: Lane,
}

impl Visited {
    pub(super) fn new(
        config: &RemoteConfig,
        properties: Vec<(String, String)>,
        patience: Duration,
    ) -> Result<Self> {
        let once = RemoteConfig { tries: 1, ..config.clone() };
        Ok(Self {
            backend: reapi::connect(&once)?,
            instance: config.instance.clone(),
            properties,
            patience,
            lane: reapi::lane(config)?,
        })
    }

    pub(super) async fn capabilities(&self) -> Result<ServerCapabilities> {
        let request = GetCapabilitiesRequest { instance_name: self.instance.clone() };
        let mut client = CapabilitiesClient::new(self.lane.clone());
        let told = async { Ok(client.get_capabilities(request).await?.into_inner()) };
        self.deadline().bound("GetCapabilities", told).await
    }

    pub(super) fn deadline(&self) -> Deadline {
        Deadline::after(self.patience)
    }

    pub(super) fn cas(&self) -> ContentAddressableStorageClient<Lane> {
        ContentAddressableStorageClient::new(self.lane.clone())
            .max_decoding_message_size(MAX_RECEIVED)
    }

    pub(super) fn byte_stream(&self) -> ByteStreamClient<Lane> {
        ByteStreamClient::new(self.lane.clone()).max_decoding_message_size(MAX_RECEIVED)
    }

    pub(super) fn action_cache(&self) -> ActionCacheClient<Lane> {
        ActionCacheClient::new(self.lane.clone()).max_decoding_message_size(MAX_RECEIVED)
    }

    pub(super) fn execution(&self) -> ExecutionClient<Lane> {
        ExecutionClient::new(self.lane.clone()).max_decoding_message_size(MAX_RECEIVED)
    }

    /// The instance's part of a resource name.
    pub(super) fn resource(&self, rest: &str) -> String {
        match self.instance.as_str() {
            "" => rest.to_owned(),
            instance => format!("{instance}/{rest}"),
        }
    }

    /// Uploads small blobs in one batch.
    pub(super) async fn upload(&self, blobs: &[(Digest, Bytes)]) -> Result<()> {
        let taken = self.backend.cas.upload_batch(blobs, self.deadline()).await?;
        taken.into_iter().collect()
    }

    /// Whether the server says that it has a blob.
    pub(super) async fn has(&self, digest: Digest) -> Result<bool> {
        Ok(self.backend.cas.find_missing(&[digest], self.deadline()).await?.is_empty())
    }
}

/// Contents that no server has seen before.
pub(super) fn fresh(size: usize) -> (Digest, Bytes) {
    let contents: Bytes = std::iter::repeat_with(|| fastrand::u8(..)).take(size).collect();
    (Digest::of(&contents), contents)
}

/// The function of all our digests.
pub(super) fn sha256() -> i32 {
    digest_function::Value::Sha256.into()
}

/// Something that a server did not do.
pub(super) fn not(what: impl Into<String>) -> Error {
    Error::new(Code::Internal, what)
}

/// Holds, or these words.
pub(super) fn ensure(holds: bool, words: impl Into<String>) -> Result<()> {
    if holds { Ok(()) } else { Err(not(words)) }
}
