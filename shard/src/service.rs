//! A shard as a gRPC service: messages in, calls of [`Shards`], messages out.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::stream::{self, Stream, StreamExt};
use goma_common::deadline::read_timeout;
use goma_common::shard_wire;
use goma_common::shards::{Blob, Shards, Source, Trust};
use goma_common::turn::Turn;
use goma_common::{Code, Deadline, Digest, Error, FileEntry, Tenant};
use goma_proto::shard as proto;
use goma_proto::shard::join_response;
use goma_proto::shard::shard_server::Shard;
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, Streaming};

use crate::local::LocalShard;

/// For callers that do not say how long they wait.
const LONGEST: Duration = Duration::from_secs(600);
/// The largest blob that is taken whole, in bytes; larger files are sent in pieces by clients.
const MAX_BLOB: u64 = 1 << 30;
/// Bytes in one message of a stream.
const PIECE: usize = 256 << 10;
/// Room for contents that arrive is counted in these bytes.
const UNIT: u64 = 4096;

/// What the service says of itself, and what answers.
pub(crate) struct Service {
    described: proto::DescribeResponse,
    shard: Arc<LocalShard>,
    /// Room for large contents that arrive, before they are whole.
    arriving: Arc<Semaphore>,
    units: u32,
}

impl Service {
    /// At most so many bytes of large contents arrive at a time.
    pub(crate) fn new(
        described: proto::DescribeResponse,
        shard: Arc<LocalShard>,
        arriving: u64,
    ) -> Self {
        let units = u32::try_from(arriving / UNIT).unwrap_or(u32::MAX >> 4).clamp(1, u32::MAX >> 4);
        Self { described, shard, arriving: Arc::new(Semaphore::new(units as usize)), units }
    }

    /// The shard as the tenant sees it that a call is about.
    fn shard_of(&self, metadata: &MetadataMap) -> Result<Arc<dyn Shards>, Status> {
        let Some(told) = metadata.get(shard_wire::TENANT) else { return Ok(self.shard.clone()) };
        let id = told.to_str().ok().and_then(|told| u64::from_str_radix(told, 16).ok());
        let tenant = id.map(Tenant).filter(|tenant| !tenant.is_common());
        let wrong = || Status::invalid_argument(format!("{}: no tenant", shard_wire::TENANT));
        Ok(self.shard.clone().of_tenant(tenant.ok_or_else(wrong)?))
    }
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl Shard for Service {
    type LoadStream = Answers<proto::LoadResponse>;
    type JoinStream = Answers<proto::JoinResponse>;

    async fn describe(
        &self,
        _: Request<proto::DescribeRequest>,
    ) -> Result<Response<proto::DescribeResponse>, Status> {
        Ok(Response::new(self.described.clone()))
    }

    async fn resolve(
        &self,
        request: Request<proto::ResolveRequest>,
    ) -> Result<Response<proto::ResolveResponse>, Status> {
        let deadline = deadline(request.metadata());
        let keys: Result<Vec<_>, _> =
            request.get_ref().key.iter().map(|key| shard_wire::file_key(key)).collect();
        let keys = keys.map_err(invalid)?;
        let entries = self.shard_of(request.metadata())?.resolve(&keys, deadline).await?;
        let resolution = entries
            .iter()
            .map(|entry| proto::Resolution { entry: entry.as_ref().map(Into::into) })
            .collect();
        Ok(Response::new(proto::ResolveResponse { resolution }))
    }

    async fn record(
        &self,
        request: Request<proto::RecordRequest>,
    ) -> Result<Response<proto::RecordResponse>, Status> {
        let deadline = deadline(request.metadata());
        let files: Result<Vec<_>, Error> = request
            .get_ref()
            .file
            .iter()
            .map(|file| {
                let entry = file.entry.clone().unwrap_or_default();
                Ok((shard_wire::file_key(&file.key)?, FileEntry::try_from(&entry)?))
            })
            .collect();
        self.shard_of(request.metadata())?.record(files.map_err(invalid)?, deadline).await?;
        Ok(Response::new(proto::RecordResponse {}))
    }

    async fn ensure(
        &self,
        request: Request<proto::EnsureRequest>,
    ) -> Result<Response<proto::EnsureResponse>, Status> {
        let deadline = deadline(request.metadata());
        let shard = self.shard_of(request.metadata())?;
        let request = request.into_inner();
        let blobs: Result<Vec<Blob>, Error> = request
            .blob
            .into_iter()
            .map(|blob| {
                let digest = shard_wire::digest(blob.digest.as_ref())?;
                Ok(Blob { digest, contents: blob.contents })
            })
            .collect();
        let (trust, source) = (trust(request.bypass_presence), Source(request.source));
        let blobs = blobs.map_err(invalid)?;
        let missing = shard.ensure(blobs, trust, source, deadline).await?;
        let missing = missing.into_iter().map(Into::into).collect();
        Ok(Response::new(proto::EnsureResponse { missing }))
    }

    async fn upload(
        &self,
        request: Request<Streaming<proto::UploadRequest>>,
    ) -> Result<Response<proto::UploadResponse>, Status> {
        let (deadline, shard) = (deadline(request.metadata()), self.shard_of(request.metadata())?);
        let mut messages = request.into_inner();
        let head = messages.message().await?.unwrap_or_default();
        let digest = shard_wire::digest(head.digest.as_ref()).map_err(invalid)?;
        if digest.size > MAX_BLOB {
            let why = format!("blob {digest}: {MAX_BLOB} bytes at most are taken whole");
            return Err(Status::invalid_argument(why));
        }
        let units = u32::try_from(digest.size.div_ceil(UNIT)).unwrap_or(u32::MAX);
        let room = self.arriving.acquire_many(units.clamp(1, self.units));
        let room = tokio::time::timeout(deadline.remaining(), room).await;
        let room =
            room.map_err(|_| Status::resource_exhausted("no room for another large blob"))?;
        let mut contents = BytesMut::from(&head.data[..]);
        while let Some(message) = messages.message().await? {
            contents.extend_from_slice(&message.data);
            if contents.len() as u64 > digest.size {
                break;
            }
        }
        // The gateway has hashed it; this is for what may have happened on the way.
        let contents = contents.freeze();
        let (digest, contents) = tokio::task::spawn_blocking(move || {
            (Digest::of(&contents) == digest).then_some((digest, contents))
        })
        .await
        .map_err(|error| Status::internal(error.to_string()))?
        .ok_or_else(|| Status::invalid_argument(format!("other bytes than {digest}")))?;
        let blob = Blob { digest, contents: Some(contents) };
        let (trust, source) = (trust(head.bypass_presence), Source(head.source));
        shard.ensure(vec![blob], trust, source, deadline).await?;
        drop(room);
        Ok(Response::new(proto::UploadResponse {}))
    }

    async fn load(
        &self,
        request: Request<proto::LoadRequest>,
    ) -> Result<Response<Self::LoadStream>, Status> {
        let deadline = deadline(request.metadata());
        let digest = shard_wire::digest(request.get_ref().digest.as_ref()).map_err(invalid)?;
        let contents = self.shard.load(digest, deadline).await?;
        let pieces = contents.map(pieces).into_iter().flatten();
        let messages = pieces.map(|data| Ok(proto::LoadResponse { data }));
        Ok(Response::new(stream::iter(messages).boxed()))
    }

    async fn forget(
        &self,
        request: Request<proto::ForgetRequest>,
    ) -> Result<Response<proto::ForgetResponse>, Status> {
        let deadline = deadline(request.metadata());
        let digests: Result<Vec<_>, _> =
            request.get_ref().digest.iter().map(Digest::try_from).collect();
        self.shard_of(request.metadata())?.forget(&digests.map_err(invalid)?, deadline).await?;
        Ok(Response::new(proto::ForgetResponse {}))
    }

    async fn join(
        &self,
        request: Request<Streaming<proto::JoinRequest>>,
    ) -> Result<Response<Self::JoinStream>, Status> {
        let (deadline, shard) = (deadline(request.metadata()), self.shard_of(request.metadata())?);
        let mut messages = request.into_inner();
        let head = messages.message().await?.unwrap_or_default();
        let action = shard_wire::digest(head.action.as_ref()).map_err(invalid)?;
        let (answers, stream) = mpsc::channel(1);
        let turn = async move { shard.join(action, head.skip_cache_lookup, deadline).await };
        // Ends when the caller has told how it ended, or is gone.
        tokio::spawn(take_turn(turn, messages, answers));
        Ok(Response::new(ReceiverStream::new(stream).boxed()))
    }

    async fn bump_epoch(
        &self,
        _: Request<proto::BumpEpochRequest>,
    ) -> Result<Response<proto::BumpEpochResponse>, Status> {
        let epoch = self.shard.bump_epoch().await?;
        tracing::warn!(epoch, "another epoch, asked for by hand");
        Ok(Response::new(proto::BumpEpochResponse { epoch }))
    }

    async fn status(
        &self,
        request: Request<proto::StatusRequest>,
    ) -> Result<Response<proto::StatusResponse>, Status> {
        let mut told = self.shard.status(deadline(request.metadata())).await;
        let told = told.pop().unwrap_or_default();
        Ok(Response::new(shard_wire::status_message(told)))
    }
}

/// Waits for a turn, and for the end of the run if it is the caller's. Whenever the caller goes, its
/// lease goes with this.
async fn take_turn(
    turn: impl Future<Output = Turn>,
    mut messages: Streaming<proto::JoinRequest>,
    answers: mpsc::Sender<Result<proto::JoinResponse, Status>>,
) {
    let turn = tokio::select! {
        turn = turn => turn,
        () = answers.closed() => return,
    };
    let (lease, turn) = match turn {
        Turn::Run(lease) => (Some(lease), join_response::Turn::Run(proto::Run {})),
        Turn::Ran(outcome) => {
            (None, join_response::Turn::Outcome(shard_wire::outcome_message(&outcome)))
        }
    };
    if answers.send(Ok(proto::JoinResponse { turn: Some(turn) })).await.is_err() {
        return;
    }
    let Some(lease) = lease else { return };
    let message = tokio::select! {
        message = messages.message() => message,
        () = answers.closed() => return,
    };
    let outcome = message.ok().flatten().and_then(|message| message.outcome);
    match outcome.map(shard_wire::outcome) {
        Some(Ok(outcome)) => lease.end(&outcome),
        Some(Err(error)) => tracing::warn!(%error, "a gateway told an outcome"),
        None => {}
    }
}

/// How long the caller waits, as gRPC tells it.
pub(crate) fn deadline(metadata: &MetadataMap) -> Deadline {
    let told = metadata.get("grpc-timeout").and_then(|value| value.to_str().ok());
    Deadline::after(told.and_then(read_timeout).map_or(LONGEST, |told| told.min(LONGEST)))
}

fn pieces(mut contents: Bytes) -> Vec<Bytes> {
    let mut pieces = Vec::with_capacity(contents.len().div_ceil(PIECE));
    while contents.len() > PIECE {
        pieces.push(contents.split_to(PIECE));
    }
    pieces.push(contents);
    pieces
}

fn trust(bypass_presence: bool) -> Trust {
    if bypass_presence { Trust::Nothing } else { Trust::Presence }
}

/// What cannot be read was written by another release, or is no call of ours.
fn invalid(error: Error) -> Status {
    Error { code: Code::InvalidArgument, ..error }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_are_sent_in_pieces() {
        let contents = Bytes::from(vec![7; 2 * PIECE + 1]);
        let sent = pieces(contents.clone());
        assert_eq!(sent.len(), 3);
        assert_eq!(sent.concat(), contents);
    }
}
