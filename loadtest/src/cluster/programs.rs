//! Finds the programs of a cluster: beside our own, where cargo puts them all, else on PATH.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Where Debian keeps servers, which ordinary users do not have on PATH.
const SBIN: &str = "/usr/sbin";

/// A program that a cluster runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Program {
    Gateway,
    Shard,
    Backend,
    Redis,
    Balancer,
}

impl Program {
    fn file_name(self) -> &'static str {
        match self {
            Self::Gateway => "goma-gateway",
            Self::Shard => "goma-shard",
            Self::Backend => "remoteexec_proxy",
            Self::Redis => "redis-server",
            Self::Balancer => "haproxy",
        }
    }

    fn how_to_get(self) -> &'static str {
        match self {
            Self::Gateway => "`cargo build -p goma-gateway` makes it",
            Self::Shard => "`cargo build -p goma-shard` makes it",
            Self::Backend => "`cargo build -p goma-standalone` makes it",
            Self::Redis => "install redis-server, or use --redis none",
            Self::Balancer => "install haproxy, or use --no-balancer",
        }
    }

    /// The program's file.
    ///
    /// # Errors
    /// Says how to get it where it is not found.
    pub(super) fn find(self) -> Result<PathBuf> {
        let own = std::env::current_exe().ok();
        let beside = own.as_deref().and_then(Path::parent);
        let path = std::env::var_os("PATH").unwrap_or_default();
        self.find_in(beside, &path).ok_or_else(|| {
            Error::member(self.file_name(), format!("not found; {}", self.how_to_get()))
        })
    }

    fn find_in(self, beside: Option<&Path>, path: &OsStr) -> Option<PathBuf> {
        // Test programs lie one directory below the programs that cargo made with them.
        let ours = beside.into_iter().flat_map(|dir| [Some(dir), dir.parent()]).flatten();
        let candidates = ours.map(Path::to_owned).chain(std::env::split_paths(path));
        let mut files = candidates.chain([SBIN.into()]).map(|dir| dir.join(self.file_name()));
        files.find(|file| file.is_file())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_beside_ours_goes_before_one_on_path() {
        let (beside, path) = (tempfile::tempdir().expect("a"), tempfile::tempdir().expect("b"));
        let deps = beside.path().join("deps");
        std::fs::create_dir(&deps).expect("made");
        let found = |dir: &Path| Program::Shard.find_in(Some(dir), path.path().as_os_str());
        assert_eq!(found(&deps), None);
        std::fs::write(path.path().join("goma-shard"), "").expect("written");
        assert_eq!(found(&deps), Some(path.path().join("goma-shard")));
        std::fs::write(beside.path().join("goma-shard"), "").expect("written");
        assert_eq!(found(&deps), Some(beside.path().join("goma-shard")));
        assert_eq!(found(beside.path()), Some(beside.path().join("goma-shard")));
    }

    #[test]
    fn a_missing_program_is_named_with_what_makes_it() {
        let nowhere = Program::Gateway.find_in(None, OsStr::new("/nonexistent"));
        assert_eq!(nowhere, None);
        assert!(Program::Gateway.how_to_get().contains("cargo build -p goma-gateway"));
    }
}
