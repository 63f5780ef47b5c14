//! The calls of one shard over its link.

use std::collections::HashMap;
use std::error::Error as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::stream::{self, StreamExt, TryStreamExt};
use goma_common::shard_status::ShardStatus;
use goma_common::shard_wire::{self, TENANT};
use goma_common::shards::{Blob, Shards, Source, Trust};
use goma_common::turn::{Lease, Turn};
use goma_common::{Code, Deadline, Digest, Error, FileEntry, FileKey, Result, Tenant};
use goma_proto::shard as proto;
use goma_proto::shard::shard_client::ShardClient;
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;
use tonic::{Request, Status, TimeoutExpired};

use super::doubt::Doubt;
use super::link::Link;
use super::rpc::Rpc;
use super::{join, messages};

/// Tells a shard which ring its caller sees, so that it can tell that gateways disagree.
const RING: &str = "goma-ring";
/// Messages of one question under way at once; one is the rule.
const MESSAGES: usize = 4;
/// Large blobs of one request under way at once.
const UPLOADS: usize = 3;
/// The longest answer that is taken: entries are longer than the keys that they are asked by.
const MAX_ANSWER: usize = 64 << 20;

/// One shard. Fails with `Unavailable` when the connection does, and has its member looked at.
#[derive(Clone)]
pub(super) struct RemoteShard {
    name: String,
    link: Link,
    /// Hash of the ring as it is by now.
    ring: Arc<AtomicU64>,
    doubt: Doubt,
    tenant: Tenant,
}

impl RemoteShard {
    pub(super) fn new(link: Link, ring: Arc<AtomicU64>, doubt: Doubt) -> Self {
        Self { name: link.described.name.clone(), link, ring, doubt, tenant: Tenant::default() }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn address(&self) -> &str {
        &self.link.address
    }

    fn calls(&self) -> ShardClient<Channel> {
        ShardClient::new(self.link.calls.clone()).max_decoding_message_size(MAX_ANSWER)
    }

    fn bulk(&self) -> ShardClient<Channel> {
        ShardClient::new(self.link.bulk.clone())
    }

    pub(super) fn request<T>(&self, message: T, deadline: Deadline) -> Request<T> {
        let mut request = Request::new(message);
        request.set_timeout(deadline.remaining());
        let ring = format!("{:016x}", self.ring.load(Ordering::Relaxed));
        if let Ok(ring) = MetadataValue::try_from(ring) {
            request.metadata_mut().insert(RING, ring);
        }
        if !self.tenant.is_common()
            && let Ok(tenant) = MetadataValue::try_from(format!("{:016x}", self.tenant.0))
        {
            request.metadata_mut().insert(TENANT, tenant);
        }
        request
    }

    /// A status with a cause below it is the connection's, one without is the shard's own word.
    pub(super) fn failed(&self, status: Status, deadline: Deadline) -> Error {
        let timed_out = status.source().is_some_and(<dyn std::error::Error>::is::<TimeoutExpired>);
        if timed_out || deadline.is_past() {
            return Error::new(Code::DeadlineExceeded, "out of time");
        }
        if status.source().is_some() {
            self.doubt.raise();
        }
        status.into()
    }

    async fn ensure_message(
        &self,
        blob: Vec<proto::Blob>,
        trust: Trust,
        source: Source,
        deadline: Deadline,
    ) -> Result<Vec<Digest>> {
        let bypass_presence = trust == Trust::Nothing;
        let message = proto::EnsureRequest { blob, bypass_presence, source: source.0 };
        let mut client = self.calls();
        let rpc = Rpc::begin(self, "Ensure", deadline);
        let call = client.ensure(rpc.request(message));
        let answer = rpc.answer(call).await?;
        answer.missing.iter().map(Digest::try_from).collect()
    }

    async fn upload(
        &self,
        digest: Digest,
        contents: Bytes,
        trust: Trust,
        source: Source,
        deadline: Deadline,
    ) -> Result<()> {
        let head = proto::UploadRequest {
            digest: Some(digest.into()),
            bypass_presence: trust == Trust::Nothing,
            source: source.0,
            data: Bytes::new(),
        };
        let messages = stream::iter(messages::upload(head, contents));
        let mut client = self.bulk();
        let rpc = Rpc::begin(self, "Upload", deadline);
        let call = client.upload(rpc.request(messages));
        rpc.answer(call).await.map(|proto::UploadResponse {}| ())
    }

    async fn turn(
        &self,
        action: Digest,
        skip_cache_lookup: bool,
        deadline: Deadline,
    ) -> Result<Turn> {
        let head =
            proto::JoinRequest { action: Some(action.into()), skip_cache_lookup, outcome: None };
        let (messages, second) = join::messages(head);
        let mut client = self.calls();
        let rpc = Rpc::begin(self, "Join", deadline);
        let call = client.join(rpc.request(messages));
        let answers = rpc.answer(call).await?;
        let turn = join::turn(answers, second);
        deadline.bound("a turn", turn).await
    }
}

#[async_trait]
impl Shards for RemoteShard {
    async fn resolve(
        &self,
        keys: &[FileKey],
        deadline: Deadline,
    ) -> Result<Vec<Option<FileEntry>>> {
        let mut entries = Vec::with_capacity(keys.len());
        for message in messages::resolve(keys) {
            let asked = message.key.len();
            let mut client = self.calls();
            let rpc = Rpc::begin(self, "Resolve", deadline);
            let call = client.resolve(rpc.request(message));
            let answer = rpc.answer(call).await?.resolution;
            if answer.len() != asked {
                let why = format!("shard {}: {asked} keys, {} answers", self.name, answer.len());
                return Err(Error::new(Code::DataLoss, why));
            }
            for resolution in answer {
                entries.push(resolution.entry.as_ref().map(FileEntry::try_from).transpose()?);
            }
        }
        Ok(entries)
    }

    async fn record(&self, files: Vec<(FileKey, FileEntry)>, deadline: Deadline) -> Result<()> {
        for file in messages::record(&files) {
            let mut client = self.calls();
            let rpc = Rpc::begin(self, "Record", deadline);
            let call = client.record(rpc.request(proto::RecordRequest { file }));
            rpc.answer(call).await?;
        }
        Ok(())
    }

    async fn ensure(
        &self,
        blobs: Vec<Blob>,
        trust: Trust,
        source: Source,
        deadline: Deadline,
    ) -> Result<Vec<Digest>> {
        let packed = messages::ensure(blobs);
        let ask = |blob| self.ensure_message(blob, trust, source, deadline);
        let missing: Vec<Vec<Digest>> =
            stream::iter(packed.messages).map(ask).buffered(MESSAGES).try_collect().await?;
        let mut large: HashMap<Digest, Bytes> = packed.large.into_iter().collect();
        let (mut here, mut nowhere) = (Vec::new(), Vec::new());
        for digest in missing.concat() {
            match large.remove(&digest) {
                Some(contents) => here.push((digest, contents)),
                None => nowhere.push(digest),
            }
        }
        stream::iter(here)
            .map(|(digest, contents)| self.upload(digest, contents, trust, source, deadline))
            .buffered(UPLOADS)
            .try_collect::<()>()
            .await?;
        Ok(nowhere)
    }

    async fn load(&self, digest: Digest, deadline: Deadline) -> Result<Option<Bytes>> {
        let message = proto::LoadRequest { digest: Some(digest.into()) };
        let mut client = self.bulk();
        let rpc = Rpc::begin(self, "Load", deadline);
        let call = client.load(rpc.request(message));
        let mut answers = rpc.answer(call).await?;
        let read = async {
            let mut contents: Option<BytesMut> = None;
            while let Some(proto::LoadResponse { data }) =
                answers.message().await.map_err(|status| self.failed(status, deadline))?
            {
                let contents = contents.get_or_insert_default();
                contents.extend_from_slice(&data);
                if contents.len() as u64 > digest.size {
                    break;
                }
            }
            Ok(contents.map(BytesMut::freeze))
        };
        let read = deadline.bound("out of time", read).await;
        let read =
            read.map_err(|error| error.context(format_args!("shard {}: Load", self.name)))?;
        match read {
            Some(contents) if Digest::of(&contents) != digest => {
                let why = format!("shard {}: other bytes than {digest}", self.name);
                Err(Error::new(Code::DataLoss, why))
            }
            contents => Ok(contents),
        }
    }

    async fn join(&self, action: Digest, skip_cache_lookup: bool, deadline: Deadline) -> Turn {
        self.turn(action, skip_cache_lookup, deadline).await.unwrap_or_else(|error| {
            tracing::debug!(%error, %action, "no turn: it is run here");
            Turn::Run(Lease::alone())
        })
    }

    async fn forget(&self, digests: &[Digest], deadline: Deadline) -> Result<()> {
        for message in messages::forget(digests) {
            let mut client = self.calls();
            let rpc = Rpc::begin(self, "Forget", deadline);
            let call = client.forget(rpc.request(message));
            rpc.answer(call).await?;
        }
        Ok(())
    }

    async fn status(&self, deadline: Deadline) -> Vec<ShardStatus> {
        let (name, weight) = (self.name.clone(), self.link.described.weight);
        let mut client = self.calls();
        let rpc = Rpc::begin(self, "Status", deadline);
        let call = client.status(rpc.request(proto::StatusRequest {}));
        vec![match rpc.answer(call).await {
            Ok(status) => ShardStatus { name, weight, ..shard_wire::status(status) },
            Err(error) => ShardStatus {
                name,
                weight,
                up: true,
                why: Some(error.message),
                ..ShardStatus::default()
            },
        }]
    }

    fn of_tenant(self: Arc<Self>, tenant: Tenant) -> Arc<dyn Shards> {
        Arc::new(Self { tenant, ..Self::clone(&self) })
    }
}
