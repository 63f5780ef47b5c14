//! The limit of open files: a server needs one for each connection, and shells give few.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Programs that close all files that they may have open, as some do when they start, take their time
/// over many more than these.
const ENOUGH: u64 = 65_536;

/// Raises this process's soft limit as far as its hard limit allows, and no further than is useful.
pub(crate) fn raise() {
    let mut limits = getrlimit(Resource::Nofile);
    let possible = limits.maximum.map_or(ENOUGH, |maximum| maximum.min(ENOUGH));
    if limits.current.is_some_and(|current| current < possible) {
        limits.current = Some(possible);
        if let Err(error) = setrlimit(Resource::Nofile, limits) {
            tracing::warn!(%error, "the limit of open files cannot be raised");
        }
    }
}
