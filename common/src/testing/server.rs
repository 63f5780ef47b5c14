//! A Remote Execution server on a real port, scripted: it holds what its backend in memory holds, and
//! does wrong what it is told to.

use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use goma_proto::bytestream::byte_stream_server::ByteStreamServer;
use goma_proto::longrunning::operations_server::OperationsServer;
use goma_proto::reapi::action_cache_server::ActionCacheServer;
use goma_proto::reapi::capabilities_server::CapabilitiesServer;
use goma_proto::reapi::content_addressable_storage_server::ContentAddressableStorageServer;
use goma_proto::reapi::execution_server::ExecutionServer;
use http::{Request, Response};
use tokio::net::{TcpListener, TcpSocket};
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tonic::body::Body;
use tonic::transport::ServerTlsConfig;
use tower::Service;

use super::ScriptedBackend;
use super::execution_service::Executions;
use super::faults::{Fault, Faults};
use super::services::Services;
use crate::cancel_only::CancelOnly;

/// The server; it ends when it is dropped.
pub struct Server {
    /// What it holds.
    pub backend: ScriptedBackend,
    /// What it does wrong.
    pub faults: Faults,
    /// How its executions go.
    pub executions: Executions,
    /// What it says of itself.
    pub services: Services,
    tls: Option<ServerTlsConfig>,
    address: SocketAddr,
    running: Option<Running>,
}

struct Running {
    connections: CancellationToken,
    task: AbortOnDropHandle<()>,
}

impl Server {
    /// One that runs, without TLS.
    ///
    /// # Panics
    /// When there is no port to be had.
    pub async fn start() -> Self {
        Self::with(None).await
    }

    /// One that runs, with this TLS.
    ///
    /// # Panics
    /// When there is no port to be had, or the certificate is none.
    pub async fn with(tls: Option<ServerTlsConfig>) -> Self {
        let backend = ScriptedBackend::default();
        let mut server = Self {
            services: Services::new(backend.clone()),
            executions: Executions::new(backend.clone()),
            backend,
            faults: Faults::default(),
            tls,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            running: None,
        };
        server.run().await;
        server
    }

    /// `host:port`, the same all its life. The name is one that a certificate may bear.
    #[must_use]
    pub fn address(&self) -> String {
        format!("localhost:{}", self.address.port())
    }

    /// Takes no connection any more, and cuts those it has.
    pub async fn kill(&mut self) {
        if let Some(running) = self.running.take() {
            running.connections.cancel();
            running.task.abort();
            // So that the port is free again.
            let _ = running.task.await;
        }
    }

    /// Runs again after [`kill`](Self::kill), on the same port.
    ///
    /// # Panics
    /// When somebody else has taken the port.
    pub async fn run(&mut self) {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_reuseaddr(true).expect("an option");
        socket.bind(self.address).expect("a port");
        let listener: TcpListener = socket.listen(1024).expect("a listener");
        self.address = listener.local_addr().expect("an address");
        let mut builder = tonic::transport::Server::builder();
        if let Some(tls) = &self.tls {
            builder = builder.tls_config(tls.clone()).expect("a certificate");
        }
        let faults = self.faults.clone();
        let connections = CancellationToken::new();
        let router = builder
            .layer(tower::layer::layer_fn(move |inner| Scripted { inner, faults: faults.clone() }))
            .add_service(CapabilitiesServer::new(self.services.clone()))
            .add_service(ActionCacheServer::new(self.services.clone()))
            .add_service(ContentAddressableStorageServer::new(self.services.clone()))
            .add_service(ByteStreamServer::new(self.services.clone()))
            .add_service(ExecutionServer::new(self.executions.clone()))
            .add_service(OperationsServer::new(CancelOnly(self.executions.clone())));
        let incoming = cut_by(TcpListenerStream::new(listener), connections.clone());
        let task = tokio::spawn(async move {
            router.serve_with_incoming(incoming).await.expect("serves");
        });
        self.running = Some(Running { connections, task: AbortOnDropHandle::new(task) });
    }
}

/// Connections that all end when the token is cancelled.
fn cut_by(
    listener: TcpListenerStream,
    token: CancellationToken,
) -> impl futures::Stream<Item = std::io::Result<super::cut::Cut>> {
    use futures::StreamExt;
    listener.map(move |accepted| {
        let stream = accepted?;
        stream.set_nodelay(true)?;
        Ok(super::cut::Cut::new(stream, token.clone()))
    })
}

/// A service whose calls meet their faults first.
#[derive(Clone)]
struct Scripted<S> {
    inner: S,
    faults: Faults,
}

impl<S> Service<Request<Body>> for Scripted<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<Body>, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let method = request.uri().path().rsplit('/').next().unwrap_or_default();
        let fault = self.faults.meet(method, request.headers());
        // The one that was polled is the one that is ready.
        let other = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, other);
        Box::pin(async move {
            match fault {
                Some(Fault::Fails(status)) => return Ok(status.into_http()),
                Some(Fault::IsSilent) => std::future::pending::<()>().await,
                Some(Fault::IsLate(by)) => tokio::time::sleep(by).await,
                None => {}
            }
            inner.call(request).await
        })
    }
}

/// A deadline for tests, which nothing should need.
#[must_use]
pub fn deadline() -> crate::Deadline {
    crate::Deadline::after(Duration::from_secs(60))
}
