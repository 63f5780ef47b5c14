//! What an embedded backend is told at its start, and why it may refuse to.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Whether commands run in a sandbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SandboxMode {
    /// Where the machine allows it.
    #[default]
    Auto,
    /// Or the backend does not start.
    Require,
    /// Never: commands see, and may write, whatever this user may.
    Off,
}

/// The settings of a backend.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where blobs, results and the directories of running commands live; one backend at a time.
    pub data_dir: PathBuf,
    /// Bound of what blobs and results take on disk; the least recently used go first.
    pub max_bytes: u64,
    /// How many commands run at once; the others queue.
    pub jobs: usize,
    /// How many actions may be queued or running; more are refused at once.
    pub max_operations: usize,
    /// Whether commands run in a sandbox.
    pub sandbox: SandboxMode,
    /// Directories of this machine that commands may read in the sandbox, besides the system's.
    pub host_dirs: Vec<PathBuf>,
    /// How long an action may run that names no timeout.
    pub default_timeout: Duration,
}

/// Why a backend did not start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The data directory cannot be used.
    #[error("data directory {path}: {source}")]
    DataDir {
        /// The file or directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Another backend has it.
    #[error("data directory {0} is in use by another backend")]
    Locked(PathBuf),
    /// A sandbox is required and this machine has none.
    #[error("no sandbox on this machine: {0}")]
    Sandbox(String),
}

impl Config {
    /// The defaults, for this directory: 10 GiB, one command a core, a sandbox if there is one.
    #[must_use]
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            max_bytes: 10 << 30,
            jobs: std::thread::available_parallelism().map_or(1, usize::from),
            max_operations: 10_000,
            sandbox: SandboxMode::Auto,
            host_dirs: Vec::new(),
            default_timeout: Duration::from_secs(900),
        }
    }
}

impl OpenError {
    /// For `map_err` on what was done to `path`.
    pub(super) fn at(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| Self::DataDir { path: path.to_owned(), source }
    }
}
