//! What to compile.

use std::path::PathBuf;

use bytes::Bytes;
use goma_proto::api::exec_req::CachePolicy;

/// One run of a compiler, as `gomacc` would pass it on.
#[derive(Clone, Debug, Default)]
pub struct Compile {
    /// The compiler and its arguments, as typed.
    pub argv: Vec<String>,
    /// Absolute; `PWD` of the request.
    pub cwd: PathBuf,
    /// Environment; what matters to compilers is sent. `PATH` finds the compiler.
    pub env: Vec<(String, String)>,
    /// Claims that these files, as named in the request, hold other bytes than on disk. One that is
    /// not among the inputs becomes one.
    pub overrides: Vec<(PathBuf, Bytes)>,
    /// Files to send though the compile does not read them, as named in the request.
    pub extra_inputs: Vec<PathBuf>,
    /// Unset for the default.
    pub cache_policy: Option<CachePolicy>,
}

impl Compile {
    /// `argv` in `cwd` with this process's environment.
    #[must_use]
    pub fn new(cwd: impl Into<PathBuf>, argv: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            argv: argv.into_iter().map(Into::into).collect(),
            cwd: cwd.into(),
            env: std::env::vars().collect(),
            ..Self::default()
        }
    }

    pub(crate) fn env(&self, name: &str) -> Option<&str> {
        self.env.iter().rev().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}
