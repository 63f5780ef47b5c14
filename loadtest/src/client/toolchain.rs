//! Follows the symlinks from the name of a compiler to the file behind it.

use std::path::{Path, PathBuf};

use goma_common::Digest;
use goma_proto::api::ToolchainSpec;

use crate::error::{Error, Result};

/// Most links that are followed, as in the kernel.
const MAX_LINKS: usize = 40;

/// A chain of symlinks and its end, each spelled as reached: directories are not resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Links {
    /// Each link and what it holds.
    pub(crate) links: Vec<(String, String)>,
    /// The file at the end.
    pub(crate) real: String,
}

/// Follows `path`, relative to `cwd`.
pub(crate) fn follow(cwd: &Path, path: &str) -> Result<Links> {
    let mut links = Vec::new();
    let mut real = path.to_owned();
    while let Ok(target) = std::fs::read_link(cwd.join(&real)) {
        if links.len() == MAX_LINKS {
            let loops = std::io::Error::other("too many symbolic links");
            return Err(Error::file(PathBuf::from(path), loops));
        }
        let target = target.to_string_lossy().into_owned();
        let next = match real.rsplit_once('/') {
            Some((dir, _)) if !target.starts_with('/') => format!("{dir}/{target}"),
            _ => target.clone(),
        };
        links.push((real, target));
        real = next;
    }
    Ok(Links { links, real })
}

impl Links {
    /// As a request names them: the links, then the file.
    pub(crate) fn specs(&self, real: &Digest) -> Vec<ToolchainSpec> {
        let links = self.links.iter().map(|(path, target)| ToolchainSpec {
            path: Some(path.clone()),
            symlink_path: Some(target.clone()),
            ..Default::default()
        });
        let file = ToolchainSpec {
            path: Some(self.real.clone()),
            hash: Some(real.hex()),
            size: i64::try_from(real.size).ok(),
            is_executable: Some(true),
            symlink_path: None,
        };
        links.chain([file]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_spelled_as_they_are_reached() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir_all(at("lib/bin")).expect("created");
        std::fs::create_dir(at("bin")).expect("created");
        std::fs::write(at("lib/bin/clang"), "").expect("written");
        std::os::unix::fs::symlink("clang", at("lib/bin/clang++")).expect("linked");
        std::os::unix::fs::symlink("../lib/bin/clang++", at("bin/c++")).expect("linked");
        let links = follow(dir.path(), "bin/c++").expect("followed");
        assert_eq!(links.real, "bin/../lib/bin/clang");
        let pairs: Vec<_> = links.links.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        assert_eq!(pairs, [("bin/c++", "../lib/bin/clang++"), ("bin/../lib/bin/clang++", "clang")]);
        assert_eq!(links.specs(&Digest::EMPTY).len(), 3);
    }

    #[test]
    fn a_loop_is_refused() {
        let dir = tempfile::tempdir().expect("temporary directory");
        std::os::unix::fs::symlink("a", dir.path().join("a")).expect("linked");
        assert!(follow(dir.path(), "a").is_err());
    }
}
