//! What a process that has asked nothing yet does before its first call.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::join_all;
use goma_common::reapi::{Address, Backend, RemoteConfig, connect, fetch_all};
use goma_common::{Deadline, Digest};
use goma_proto::reapi::action_cache_server::{ActionCache, ActionCacheServer};
use goma_proto::reapi::capabilities_server::{Capabilities, CapabilitiesServer};
use goma_proto::reapi::{
    ActionResult, CacheCapabilities, GetActionResultRequest, GetCapabilitiesRequest,
    ServerCapabilities, UpdateActionResultRequest,
};
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

const LIMIT: u64 = 10_000;

/// A backend that knows little but its limits.
#[derive(Clone, Default)]
struct Small {
    told: Arc<AtomicUsize>,
}

#[tonic::async_trait]
impl Capabilities for Small {
    async fn get_capabilities(
        &self,
        _: Request<GetCapabilitiesRequest>,
    ) -> Result<Response<ServerCapabilities>, Status> {
        self.told.fetch_add(1, Ordering::SeqCst);
        Ok(Response::new(ServerCapabilities {
            cache_capabilities: Some(CacheCapabilities {
                max_batch_total_size_bytes: LIMIT.cast_signed(),
                ..Default::default()
            }),
            ..Default::default()
        }))
    }
}

#[tonic::async_trait]
impl ActionCache for Small {
    async fn get_action_result(
        &self,
        _: Request<GetActionResultRequest>,
    ) -> Result<Response<ActionResult>, Status> {
        Err(Status::not_found("no results"))
    }

    async fn update_action_result(
        &self,
        _: Request<UpdateActionResultRequest>,
    ) -> Result<Response<ActionResult>, Status> {
        Err(Status::permission_denied("no results"))
    }
}

fn started() -> (Small, Backend) {
    let (connections, accepted) = mpsc::channel(8);
    let small = Small::default();
    let server = Server::builder()
        .add_service(CapabilitiesServer::new(small.clone()))
        .add_service(ActionCacheServer::new(small.clone()));
    let incoming = ReceiverStream::new(accepted).map(Ok::<_, io::Error>);
    tokio::spawn(server.serve_with_incoming(incoming));
    let address = Address::InProcess(connections);
    let config = RemoteConfig { tries: 1, ..RemoteConfig::plain(address, "") };
    (small, connect(&config).expect("an address"))
}

fn deadline() -> Deadline {
    Deadline::after(Duration::from_secs(30))
}

#[tokio::test]
async fn connecting_asks_nothing() {
    let (small, backend) = started();
    tokio::task::yield_now().await;
    assert_eq!(small.told.load(Ordering::SeqCst), 0);
    assert_ne!(backend.limits.batch_bytes(), LIMIT);
}

#[tokio::test]
async fn the_limits_are_known_after_the_first_calls_and_asked_for_once() {
    let (small, backend) = started();
    let calls = (0..10).map(|_| backend.action_cache.get(Digest::of(b"x"), &[], deadline()));
    for call in join_all(calls).await {
        assert!(call.expect("a miss").is_none());
    }
    assert_eq!(backend.limits.batch_bytes(), LIMIT);
    assert_eq!(small.told.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_download_that_is_the_first_call_keeps_to_the_limits() {
    let (_, backend) = started();
    // Too large for this backend's batches, though not for gRPC's.
    let large = Digest { size: 2 * LIMIT, ..Digest::of(b"x") };
    let error = fetch_all(&backend, &[large], deadline()).await.expect_err("it has no contents");
    assert!(error.message.contains("ByteStream.Read"), "{error}");
}
