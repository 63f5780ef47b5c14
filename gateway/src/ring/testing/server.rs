//! A scripted shard served over gRPC, on a runtime of its own so that it can be killed.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, Stream, StreamExt};
use goma_common::shards::{Blob, Shards, Source, Trust};
use goma_common::turn::Turn;
use goma_common::{Deadline, Digest, Error, FileEntry, shard_wire};
use goma_proto::shard as proto;
use goma_proto::shard::join_response;
use goma_proto::shard::shard_server::{Shard, ShardServer};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, Streaming};
use tonic_health::server::HealthReporter;

use super::Scripted;

/// Dropping it kills it: its connections break, and nobody listens any more.
pub(in super::super) struct Server {
    runtime: Option<Runtime>,
    health: HealthReporter,
    pub(in super::super) address: SocketAddr,
    pub(in super::super) shard: Arc<Scripted>,
    log: Arc<Log>,
}

/// What the wire showed.
#[derive(Default)]
struct Log {
    rings: Mutex<Vec<String>>,
    /// Contents in each Ensure message, in bytes.
    ensures: Mutex<Vec<usize>>,
    uploads: Mutex<Vec<Digest>>,
}

impl Server {
    /// On a free port, for backend `b`.
    pub(in super::super) fn start(name: &str) -> Self {
        Self::start_on(name, "b", SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    pub(in super::super) fn start_on(name: &str, backend: &str, address: SocketAddr) -> Self {
        let described =
            proto::DescribeResponse { name: name.to_owned(), weight: 3, backend: backend.into() };
        let (shard, log) = (Arc::<Scripted>::default(), Arc::<Log>::default());
        let service = Service { described, shard: shard.clone(), log: log.clone() };
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).enable_all().build().expect("a runtime");
        let (health, health_service) = tonic_health::server::health_reporter();
        let listener = std::net::TcpListener::bind(address).expect("a port");
        listener.set_nonblocking(true).expect("a socket");
        let address = listener.local_addr().expect("an address");
        let reporter = health.clone();
        runtime.spawn(async move {
            reporter.set_serving::<ShardServer<Service>>().await;
            let listener = TcpListener::from_std(listener).expect("a socket");
            let mut server = tonic::transport::Server::builder();
            let server = server.add_service(health_service).add_service(ShardServer::new(service));
            server.serve_with_incoming(TcpListenerStream::new(listener)).await
        });
        Self { runtime: Some(runtime), health, address, shard, log }
    }

    pub(in super::super) async fn set_draining(&self) {
        self.health.set_not_serving::<ShardServer<Service>>().await;
    }

    pub(in super::super) fn rings(&self) -> Vec<String> {
        self.log.rings.lock().expect("no panic").clone()
    }

    pub(in super::super) fn ensures(&self) -> Vec<usize> {
        self.log.ensures.lock().expect("no panic").clone()
    }

    pub(in super::super) fn uploads(&self) -> Vec<Digest> {
        self.log.uploads.lock().expect("no panic").clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // On a thread of its own: it waits until nobody listens, which a task must not.
            let ended = move || runtime.shutdown_timeout(Duration::from_secs(10));
            std::thread::spawn(ended).join().expect("it ends");
        }
    }
}

struct Service {
    described: proto::DescribeResponse,
    shard: Arc<Scripted>,
    log: Arc<Log>,
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

fn long() -> Deadline {
    Deadline::after(Duration::from_secs(600))
}

fn read<'a, T: TryFrom<&'a M, Error = Error>, M>(messages: &'a [M]) -> Result<Vec<T>, Status> {
    Ok(messages.iter().map(T::try_from).collect::<Result<_, Error>>()?)
}

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
        assert!(request.metadata().contains_key("grpc-timeout"), "every call has a deadline");
        let ring = request.metadata().get("goma-ring").expect("every call names its ring");
        let ring = ring.to_str().expect("text").to_owned();
        self.log.rings.lock().expect("no panic").push(ring);
        let keys = request.get_ref().key.iter().map(|key| shard_wire::file_key(key));
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        let entries = self.shard.resolve(&keys, long()).await?;
        let resolution =
            entries.iter().map(|entry| proto::Resolution { entry: entry.as_ref().map(Into::into) });
        Ok(Response::new(proto::ResolveResponse { resolution: resolution.collect() }))
    }

    async fn record(
        &self,
        request: Request<proto::RecordRequest>,
    ) -> Result<Response<proto::RecordResponse>, Status> {
        let files = request.get_ref().file.iter().map(|file| {
            let entry = FileEntry::try_from(&file.entry.clone().unwrap_or_default())?;
            Ok((shard_wire::file_key(&file.key)?, entry))
        });
        self.shard.record(files.collect::<Result<_, Error>>()?, long()).await?;
        Ok(Response::new(proto::RecordResponse {}))
    }

    async fn ensure(
        &self,
        request: Request<proto::EnsureRequest>,
    ) -> Result<Response<proto::EnsureResponse>, Status> {
        let blobs = request.into_inner().blob.into_iter().map(|blob| {
            let digest = shard_wire::digest(blob.digest.as_ref())?;
            Ok(Blob { digest, contents: blob.contents })
        });
        let blobs = blobs.collect::<Result<Vec<Blob>, Error>>()?;
        let contents = blobs.iter().filter_map(|blob| blob.contents.as_ref().map(Bytes::len));
        self.log.ensures.lock().expect("no panic").push(contents.sum());
        let missing = self.shard.ensure(blobs, Trust::Presence, Source(0), long()).await?;
        let missing = missing.into_iter().map(Into::into).collect();
        Ok(Response::new(proto::EnsureResponse { missing }))
    }

    async fn upload(
        &self,
        request: Request<Streaming<proto::UploadRequest>>,
    ) -> Result<Response<proto::UploadResponse>, Status> {
        let mut messages = request.into_inner();
        let head = messages.message().await?.expect("a head");
        let digest = shard_wire::digest(head.digest.as_ref())?;
        let mut contents = head.data.to_vec();
        while let Some(message) = messages.message().await? {
            contents.extend_from_slice(&message.data);
        }
        assert_eq!(Digest::of(&contents), digest);
        self.log.uploads.lock().expect("no panic").push(digest);
        let blob = Blob { digest, contents: Some(contents.into()) };
        self.shard.ensure(vec![blob], Trust::Presence, Source(head.source), long()).await?;
        Ok(Response::new(proto::UploadResponse {}))
    }

    async fn load(
        &self,
        request: Request<proto::LoadRequest>,
    ) -> Result<Response<Self::LoadStream>, Status> {
        let digest = shard_wire::digest(request.get_ref().digest.as_ref())?;
        let contents = self.shard.load(digest, long()).await?.unwrap_or_default();
        let pieces: Vec<_> = contents
            .chunks(100_000)
            .map(|piece| Ok(proto::LoadResponse { data: Bytes::copy_from_slice(piece) }))
            .collect();
        Ok(Response::new(stream::iter(pieces).boxed()))
    }

    async fn forget(
        &self,
        request: Request<proto::ForgetRequest>,
    ) -> Result<Response<proto::ForgetResponse>, Status> {
        self.shard.forget(&read::<Digest, _>(&request.get_ref().digest)?, long()).await?;
        Ok(Response::new(proto::ForgetResponse {}))
    }

    async fn join(
        &self,
        request: Request<Streaming<proto::JoinRequest>>,
    ) -> Result<Response<Self::JoinStream>, Status> {
        let mut messages = request.into_inner();
        let head = messages.message().await?.expect("a first message");
        let action = shard_wire::digest(head.action.as_ref())?;
        let shard = self.shard.clone();
        let (answers, stream) = tokio::sync::mpsc::channel(1);
        tokio::spawn(async move {
            let (turn, lease) = match shard.join(action, head.skip_cache_lookup, long()).await {
                Turn::Run(lease) => (join_response::Turn::Run(proto::Run {}), Some(lease)),
                Turn::Ran(outcome) => {
                    (join_response::Turn::Outcome(shard_wire::outcome_message(&outcome)), None)
                }
            };
            let answer = proto::JoinResponse { turn: Some(turn) };
            if answers.send(Ok(answer)).await.is_ok()
                && let Some(lease) = lease
                && let Ok(Some(second)) = messages.message().await
            {
                let outcome = shard_wire::outcome(second.outcome.expect("an outcome"));
                lease.end(&outcome.expect("it reads"));
            }
        });
        Ok(Response::new(tokio_stream::wrappers::ReceiverStream::new(stream).boxed()))
    }

    async fn bump_epoch(
        &self,
        _: Request<proto::BumpEpochRequest>,
    ) -> Result<Response<proto::BumpEpochResponse>, Status> {
        Err(Status::unimplemented("not asked by gateways"))
    }

    async fn status(
        &self,
        _: Request<proto::StatusRequest>,
    ) -> Result<Response<proto::StatusResponse>, Status> {
        Ok(Response::new(proto::StatusResponse::default()))
    }
}
