//! The end of a process: the first signal drains, the second aborts.

use tokio_util::sync::CancellationToken;

/// Told to everything that serves: finish what you have, take nothing new.
#[derive(Clone, Debug, Default)]
pub struct Drain(CancellationToken);

impl Drain {
    /// Not draining yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins it. Doing so twice is harmless.
    pub fn begin(&self) {
        self.0.cancel();
    }

    /// Whether it has begun.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Waits until it begins.
    pub async fn begun(&self) {
        self.0.cancelled().await;
    }
}

/// Begins the drain at the first SIGTERM or SIGINT and leaves at the second with the shell's code
/// for an interrupted program.
///
/// # Errors
/// When the handlers cannot be installed.
pub fn on_signals(drain: Drain) -> std::io::Result<tokio::task::JoinHandle<()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(tokio::spawn(async move {
        for first in [true, false] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if first {
                tracing::info!("draining: finishing what is under way; a second signal aborts");
                drain.begin();
            }
        }
        tracing::warn!("aborted by a second signal");
        std::process::exit(130);
    }))
}
