//! The directory of one running command: its input root and its `/tmp`, gone when it is done.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::scratch;

/// A directory under `runs/` that is deleted when dropped, which blocks.
#[derive(Debug)]
pub(super) struct RunDir {
    path: PathBuf,
}

impl RunDir {
    /// Makes it, with a `/tmp`; the input root is for the caller to make.
    ///
    /// # Errors
    /// Those of the system.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        fs::create_dir(path)?;
        let run = Self { path: path.to_owned() };
        fs::create_dir(run.tmp())?;
        Ok(run)
    }

    /// The input root.
    pub(super) fn root(&self) -> PathBuf {
        self.path.join("root")
    }

    /// What the command sees as `/tmp`: on disk, so that no command can fill the memory.
    pub(super) fn tmp(&self) -> PathBuf {
        self.path.join("tmp")
    }
}

impl Drop for RunDir {
    #[expect(clippy::disallowed_methods, reason = "dropped on a thread for blocking work")]
    fn drop(&mut self) {
        // A killed sandbox may take a moment to die, and write meanwhile.
        for attempt in 1.. {
            match scratch::remove_tree(&self.path) {
                Ok(()) => return,
                Err(_) if attempt < 10 => {
                    std::thread::sleep(std::time::Duration::from_millis(attempt * 10));
                }
                Err(error) => {
                    tracing::warn!(%error, path = %self.path.display(), "cannot delete a run");
                    return;
                }
            }
        }
    }
}
