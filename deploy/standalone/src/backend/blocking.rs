//! Work on files, away from the threads that serve connections.

use goma_common::{Code, Error, Result};

/// Runs `work` where it may block. A panic in it fails this one request.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Error::new(Code::Internal, format!("work on files: {error}"))),
    }
}
