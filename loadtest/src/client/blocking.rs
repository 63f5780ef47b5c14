//! Work that reads files or runs compilers, off the threads that serve connections.

use crate::error::{Error, Result};

/// Runs `work` on a thread that may block.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|e| Error::File {
        path: "a thread for files".into(),
        source: std::io::Error::other(e),
    })?
}
