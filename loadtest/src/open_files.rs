//! Lets this process open as many files as it is allowed to: each request under way is a connection.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit to the hard one. Where that fails, requests that find no file say so.
pub(crate) fn raise_limit() {
    let limits = getrlimit(Resource::Nofile);
    if limits.current != limits.maximum {
        // A refusal changes nothing.
        setrlimit(Resource::Nofile, Rlimit { current: limits.maximum, ..limits }).ok();
    }
}
