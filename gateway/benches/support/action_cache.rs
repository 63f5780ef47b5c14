//! An action cache that has one result, behind a real gRPC server.

use std::io;
use std::sync::{Arc, OnceLock};

use goma_proto::reapi::action_cache_server::{ActionCache, ActionCacheServer};
use goma_proto::reapi::{ActionResult, GetActionResultRequest, UpdateActionResultRequest};
use tokio::io::DuplexStream;
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

/// The handle of a server that runs on the runtime it was started on.
#[derive(Clone, Default)]
pub(crate) struct Served {
    result: Arc<OnceLock<ActionResult>>,
}

impl Served {
    /// Starts a server; it takes its connections from the queue.
    pub(crate) fn start() -> (Self, mpsc::Sender<DuplexStream>) {
        let served = Self::default();
        let (connections, accepted) = mpsc::channel(8);
        let incoming = ReceiverStream::new(accepted).map(Ok::<_, io::Error>);
        let service = ActionCacheServer::new(served.clone());
        tokio::spawn(Server::builder().add_service(service).serve_with_incoming(incoming));
        (served, connections)
    }

    /// From now on this is the result of every action.
    pub(crate) fn cache(&self, result: ActionResult) {
        self.result.set(result).expect("set once");
    }
}

#[tonic::async_trait]
impl ActionCache for Served {
    async fn get_action_result(
        &self,
        _: Request<GetActionResultRequest>,
    ) -> Result<Response<ActionResult>, Status> {
        match self.result.get() {
            Some(result) => Ok(Response::new(result.clone())),
            None => Err(Status::not_found("not yet")),
        }
    }

    async fn update_action_result(
        &self,
        _: Request<UpdateActionResultRequest>,
    ) -> Result<Response<ActionResult>, Status> {
        Err(Status::permission_denied("results are the workers' to tell"))
    }
}
