//! Logs of a process, for people on a terminal.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Logs to standard error at `filter`, in the syntax of `RUST_LOG` ("info", "goma_gateway=debug").
///
/// # Errors
/// When the filter cannot be read, or logging was set up before.
pub fn init(filter: &str) -> Result<(), String> {
    let filter =
        EnvFilter::try_new(filter).map_err(|error| format!("--log {filter:?}: {error}"))?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .try_init()
        .map_err(|error| error.to_string())
}
