//! One thread that starts all processes.
//!
//! A sandbox dies with the *thread* that started it, so that must be one which lives as long as we do.
//! And while it starts a process nobody may have a file open that is to be executed.

use std::io;
use std::sync::{Arc, PoisonError};

use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use super::store::Store;

/// A handle to the thread, which ends after the last of them.
#[derive(Clone)]
pub(super) struct Spawner {
    requests: mpsc::Sender<Request>,
}

struct Request {
    command: Command,
    answer: oneshot::Sender<io::Result<Child>>,
}

impl Spawner {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system has none left.
    pub(super) fn start(store: &Arc<Store>) -> io::Result<Self> {
        let (requests, mut incoming) = mpsc::channel::<Request>(1);
        let (store, runtime) = (Arc::downgrade(store), Handle::current());
        std::thread::Builder::new().name("spawner".to_owned()).spawn(move || {
            let _runtime = runtime.enter();
            while let Some(Request { mut command, answer }) = incoming.blocking_recv() {
                let Some(store) = store.upgrade() else { break };
                let gate = store.exec_gate.write().unwrap_or_else(PoisonError::into_inner);
                let child = command.spawn();
                drop(gate);
                // Nobody waits any more: dropping the child kills it.
                let _ = answer.send(child);
            }
        })?;
        Ok(Self { requests })
    }

    /// Starts a process.
    ///
    /// # Errors
    /// Those of the system, among them that there is no such program.
    pub(super) async fn spawn(&self, command: Command) -> io::Result<Child> {
        let ended = || io::Error::other("the thread that starts processes has ended");
        let (answer, child) = oneshot::channel();
        self.requests.send(Request { command, answer }).await.map_err(|_| ended())?;
        child.await.map_err(|_| ended())?
    }
}
