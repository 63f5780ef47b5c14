//! What the workers have under their system directories.
//!
//! A distribution's compiler and headers are not sent to a worker: they would hide its own
//! libraries. Instead they are compared, so that what is compiled is the client's bytes.
//! [`Probed`] asks the workers by an action; `remoteexec_proxy` looks at its own disk.

mod probe;
mod probed;

use async_trait::async_trait;
use goma_common::{Deadline, Digest, FileKey, Result};

pub use probed::Probed;

/// SHA-256 of a file's contents.
pub type Sha256 = [u8; 32];

/// The properties by which a scheduler chooses a worker, sorted by name.
pub type Properties = Vec<(String, String)>;

/// The system files of the workers of a platform.
#[async_trait]
pub trait WorkerFiles: Send + Sync {
    /// The hash of each file, symlinks followed; `None` where there is no such file.
    ///
    /// # Errors
    /// `Unimplemented` when such workers can never be looked at; others when it failed now.
    async fn hashes(
        &self,
        platform: &Properties,
        paths: &[String],
        deadline: Deadline,
    ) -> Result<Vec<Option<Sha256>>>;

    /// The contents behind keys that need not be asked of a client, because the file of that name
    /// is at hand here and was hashed by us. `None` for all others.
    async fn known(&self, files: &[(String, FileKey)]) -> Vec<Option<Digest>> {
        vec![None; files.len()]
    }

    /// Where the workers have a compiler that is registered under this hash, for clients that name
    /// theirs by hash alone.
    fn registered_compiler(&self, name: &str, hash: &Sha256) -> Option<String> {
        let _ = (name, hash);
        None
    }
}
