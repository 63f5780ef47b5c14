//! A backend in a temporary directory, and the calls that most tests make of it.

use std::path::PathBuf;

use goma_common::Digest;
use goma_common::drain::Drain;
use goma_proto::bytestream::byte_stream_client::ByteStreamClient;
use goma_proto::bytestream::{ReadRequest, WriteRequest};
use goma_proto::reapi::action_cache_client::ActionCacheClient;
use goma_proto::reapi::capabilities_client::CapabilitiesClient;
use goma_proto::reapi::content_addressable_storage_client::ContentAddressableStorageClient;
use goma_proto::reapi::execution_client::ExecutionClient;
use goma_proto::reapi::{self, ActionResult, batch_update_blobs_request};
use goma_standalone::backend::{Backend, Config, SandboxMode};
use hyper_util::rt::TokioIo;
use tempfile::TempDir;
use tokio::io::DuplexStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

pub(crate) struct Farm {
    pub(crate) channel: Channel,
    backend: Backend,
    drain: Drain,
    server: JoinHandle<std::io::Result<()>>,
    dir: TempDir,
}

impl Farm {
    /// With whatever sandbox the machine has.
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// Without a sandbox.
    pub(crate) async fn bare() -> Self {
        Self::with(|config| config.sandbox = SandboxMode::Off).await
    }

    /// With a sandbox, or `None` on a machine that has none.
    pub(crate) async fn sandboxed() -> Option<Self> {
        let farm = Self::start().await;
        if let Err(why) = farm.backend.sandboxed() {
            eprintln!("skipped: {why}");
            return None;
        }
        Some(farm)
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        Self::open(TempDir::new().expect("a temporary directory"), change).await
    }

    async fn open(dir: TempDir, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::new(dir.path().join("data"));
        config.jobs = 2;
        change(&mut config);
        let backend = Backend::open(config).await.expect("a backend");
        let (connections, incoming) = mpsc::channel::<std::io::Result<DuplexStream>>(1);
        let incoming = tokio_stream::wrappers::ReceiverStream::new(incoming);
        let drain = Drain::new();
        let server = {
            let (backend, drain) = (backend.clone(), drain.clone());
            tokio::spawn(async move { backend.serve(incoming, drain).await })
        };
        let connect = tower::service_fn(move |_| {
            let connections = connections.clone();
            async move {
                let (ours, theirs) = tokio::io::duplex(1 << 20);
                let sent = connections.send(Ok(theirs)).await;
                sent.map_err(|_| std::io::Error::other("the server is gone"))?;
                Ok::<_, std::io::Error>(TokioIo::new(ours))
            }
        });
        let endpoint = Endpoint::from_static("http://backend");
        let channel = endpoint.connect_with_connector(connect).await.expect("a connection");
        Self { channel, backend, drain, server, dir }
    }

    /// Ends it as SIGTERM would, and starts another in the same directory.
    pub(crate) async fn restart(self, change: impl FnOnce(&mut Config)) -> Self {
        let Self { channel, backend, drain, server, dir } = self;
        drop(channel);
        drain.begin();
        server.await.expect("no panic").expect("a clean end");
        backend.close().await;
        Self::open(dir, change).await
    }

    /// As SIGTERM would.
    pub(crate) fn begin_drain(&self) {
        self.drain.begin();
    }

    /// Waits until it serves no more.
    pub(crate) async fn ended(self) {
        self.server.await.expect("no panic").expect("a clean end");
    }

    pub(crate) fn backend(&self) -> &Backend {
        &self.backend
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub(crate) fn cas(&self) -> ContentAddressableStorageClient<Channel> {
        ContentAddressableStorageClient::new(self.channel.clone())
    }

    pub(crate) fn bytes(&self) -> ByteStreamClient<Channel> {
        ByteStreamClient::new(self.channel.clone())
    }

    pub(crate) fn results(&self) -> ActionCacheClient<Channel> {
        ActionCacheClient::new(self.channel.clone())
    }

    pub(crate) fn execution(&self) -> ExecutionClient<Channel> {
        ExecutionClient::new(self.channel.clone())
    }

    pub(crate) async fn capabilities(&self) -> reapi::ServerCapabilities {
        let mut client = CapabilitiesClient::new(self.channel.clone());
        let request = reapi::GetCapabilitiesRequest { instance_name: "any/name".to_owned() };
        client.get_capabilities(request).await.expect("capabilities").into_inner()
    }

    /// Uploads what is said to be `digest`, and tells the status of that blob.
    pub(crate) async fn put_as(&self, digest: Digest, data: &[u8]) -> Code {
        let request = batch_update_blobs_request::Request {
            digest: Some(digest.into()),
            data: data.to_vec(),
            compressor: 0,
        };
        let requests = vec![request];
        let request = reapi::BatchUpdateBlobsRequest { requests, ..Default::default() };
        let answer = self.cas().batch_update_blobs(request).await.expect("a batch").into_inner();
        let status = answer.responses[0].status.clone().expect("a status");
        Code::from_i32(status.code)
    }

    pub(crate) async fn put(&self, data: &[u8]) -> Digest {
        let digest = Digest::of(data);
        assert_eq!(self.put_as(digest, data).await, Code::Ok);
        digest
    }

    pub(crate) async fn missing(&self, digests: &[Digest]) -> Vec<Digest> {
        let blob_digests = digests.iter().map(|&digest| digest.into()).collect();
        let request = reapi::FindMissingBlobsRequest { blob_digests, ..Default::default() };
        let answer = self.cas().find_missing_blobs(request).await.expect("an answer");
        let missing = &answer.into_inner().missing_blob_digests;
        missing.iter().map(|digest| Digest::try_from(digest).expect("a digest")).collect()
    }

    /// Reads over ByteStream.
    pub(crate) async fn read(
        &self,
        digest: Digest,
        read_offset: i64,
        read_limit: i64,
    ) -> Result<Vec<u8>, Status> {
        let resource_name = format!("blobs/{digest}");
        let request = ReadRequest { resource_name, read_offset, read_limit };
        let mut pieces = self.bytes().read(request).await?.into_inner();
        let mut data = Vec::new();
        while let Some(piece) = pieces.message().await? {
            data.extend(piece.data);
        }
        Ok(data)
    }

    pub(crate) async fn get(&self, digest: Digest) -> Vec<u8> {
        self.read(digest, 0, 0).await.expect("a blob")
    }

    /// Writes over ByteStream in pieces of this size; `prefix` is the instance with its slash.
    pub(crate) async fn write(
        &self,
        prefix: &str,
        digest: Digest,
        data: &[u8],
        piece: usize,
    ) -> Result<i64, Status> {
        let resource_name = format!("{prefix}uploads/some-uuid/blobs/{digest}");
        let mut requests = Vec::new();
        for (number, piece_data) in data.chunks(piece).enumerate() {
            let write_offset = number * piece;
            requests.push(WriteRequest {
                resource_name: if number == 0 { resource_name.clone() } else { String::new() },
                write_offset: i64::try_from(write_offset).expect("small"),
                finish_write: write_offset + piece_data.len() == data.len(),
                data: piece_data.to_vec(),
            });
        }
        let answer = self.bytes().write(tokio_stream::iter(requests)).await?;
        Ok(answer.into_inner().committed_size)
    }

    pub(crate) async fn cached(&self, action: Digest) -> Result<ActionResult, Status> {
        let request = reapi::GetActionResultRequest {
            action_digest: Some(action.into()),
            ..Default::default()
        };
        Ok(self.results().get_action_result(request).await?.into_inner())
    }
}
