//! The backend as a whole: opened once, serving any number of streams of connections.

use std::io;
use std::sync::Arc;

use futures::Stream;
use goma_common::cancel_only::CancelOnly;
use goma_common::drain::Drain;
use goma_common::telemetry::ServedCalls;
use goma_proto::bytestream::byte_stream_server::ByteStreamServer;
use goma_proto::longrunning::operations_server::OperationsServer;
use goma_proto::reapi::action_cache_server::ActionCacheServer;
use goma_proto::reapi::capabilities_server::CapabilitiesServer;
use goma_proto::reapi::content_addressable_storage_server::ContentAddressableStorageServer;
use goma_proto::reapi::execution_server::ExecutionServer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::transport::Server;
use tonic::transport::server::{Connected, Router};
use tower::layer::util::{Identity, Stack};

use super::action_cache::ActionCache;
use super::bytestream_service::ByteStream;
use super::capabilities::{Capabilities, MAX_MESSAGE};
use super::cas_service::Cas;
use super::config::{Config, OpenError, SandboxMode};
use super::execution_service::Execution;
use super::executor::Executor;
use super::operations::Operations;
use super::sandbox::Sandbox;
use super::spawner::Spawner;
use super::store::Store;

/// Calls that a client may have given up before they were looked at; by default twenty end its connection, and with it
/// all other calls. A gateway whose clients leave while this machine stands still reaches that.
const RESET_STREAMS: usize = 10_000;

/// An REAPI v2 server for one machine. Clones are the same backend.
#[derive(Clone)]
pub struct Backend {
    store: Arc<Store>,
    executor: Arc<Executor>,
}

impl Backend {
    /// Takes the data directory and finds out what the machine can do.
    ///
    /// # Errors
    /// When the directory cannot be used or is in use, or a required sandbox does not work.
    pub async fn open(config: Config) -> Result<Self, OpenError> {
        let dir = config.data_dir.clone();
        let opened = tokio::task::spawn_blocking(move || {
            let store = Store::open(&config.data_dir, config.max_bytes)?;
            let sandbox = find_sandbox(&config, &store)?;
            Ok((store, sandbox, config))
        });
        let failed = |error| OpenError::DataDir { path: dir.clone(), source: error };
        let (store, sandbox, config) = opened.await.map_err(|error| failed(error.into()))??;
        let executor = Executor {
            store: Arc::clone(&store),
            operations: Operations::new(config.max_operations.max(1)),
            sandbox: sandbox.map(Arc::new),
            spawner: Spawner::start(&store).map_err(failed)?,
            jobs: Arc::new(Semaphore::new(config.jobs.clamp(1, Semaphore::MAX_PERMITS))),
            default_timeout: config.default_timeout,
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        };
        Ok(Self { store, executor: Arc::new(executor) })
    }

    /// Whether commands run in a sandbox.
    ///
    /// # Errors
    /// Why they do not, in words.
    pub fn sandboxed(&self) -> Result<(), &str> {
        self.executor.sandbox.as_ref().map(|_| ()).map_err(String::as_str)
    }

    /// Whether actions may name the place of their input root (`InputRootAbsolutePath`).
    #[must_use]
    pub fn supports_absolute_root(&self) -> bool {
        self.executor.sandbox.is_ok()
    }

    /// Serves these connections until they end, or until the drain begins and those that are open
    /// have had their answers.
    ///
    /// # Errors
    /// When the stream of connections fails.
    pub async fn serve<IO>(
        &self,
        incoming: impl Stream<Item = io::Result<IO>>,
        drain: Drain,
    ) -> io::Result<()>
    where
        IO: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
    {
        let drained = async move { drain.begun().await };
        let served = self.router().serve_with_incoming_shutdown(incoming, drained);
        served.await.map_err(io::Error::other)
    }

    /// Ends what still runs, and waits for that and for all connections; then another backend may
    /// open the directory. Clones keep it open until they are dropped.
    pub async fn close(self) {
        self.executor.tasks.close();
        self.executor.stop.cancel();
        self.executor.tasks.wait().await;
        let closed = self.store.closed.clone();
        drop(self);
        closed.cancelled().await;
    }

    fn router(&self) -> Router<Stack<ServedCalls, Identity>> {
        let store = || Arc::clone(&self.store);
        let cas = ContentAddressableStorageServer::new(Cas { store: store() });
        let bytes = ByteStreamServer::new(ByteStream { store: store() });
        let results = ActionCacheServer::new(ActionCache { store: store() });
        let executor = Arc::clone(&self.executor);
        let execution = Execution { executor };
        let operations = OperationsServer::new(CancelOnly(execution.clone()));
        let execution = ExecutionServer::new(execution);
        Server::builder()
            .initial_stream_window_size(1 << 20)
            .initial_connection_window_size(8 << 20)
            .max_concurrent_streams(1000)
            .http2_max_pending_accept_reset_streams(Some(RESET_STREAMS))
            .http2_keepalive_interval(Some(std::time::Duration::from_secs(30)))
            .layer(ServedCalls)
            .add_service(CapabilitiesServer::new(Capabilities))
            .add_service(cas.max_decoding_message_size(MAX_MESSAGE))
            .add_service(bytes.max_decoding_message_size(MAX_MESSAGE))
            .add_service(results.max_decoding_message_size(MAX_MESSAGE))
            .add_service(execution.max_decoding_message_size(MAX_MESSAGE))
            .add_service(operations)
    }
}

fn find_sandbox(config: &Config, store: &Store) -> Result<Result<Sandbox, String>, OpenError> {
    if config.sandbox == SandboxMode::Off {
        return Ok(Err("switched off".to_owned()));
    }
    let found = Sandbox::probe(&config.host_dirs, &store.run_path());
    match &found {
        Err(why) if config.sandbox == SandboxMode::Require => Err(OpenError::Sandbox(why.clone())),
        Err(why) => {
            tracing::warn!(%why, "commands run without a sandbox");
            Ok(found)
        }
        Ok(_) => Ok(found),
    }
}
