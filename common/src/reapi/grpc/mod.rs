//! The three traits over a gRPC channel, one file each.

mod action_cache;
mod cas;
mod executor;
mod health;
mod missing;
mod write;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::Limits;
use super::compression::Compression;
use super::guard::Guard;
use super::lane::Lane;
use crate::deadline::Deadline;

/// A message that carries a batch of the size we ask for, and what a careless backend adds.
const MAX_RECEIVED: usize = 16 << 20;

/// The clients of one backend.
#[derive(Clone)]
pub(super) struct Grpc {
    /// Which backend this is, for people.
    pub(super) told: String,
    pub(super) instance: String,
    pub(super) calls: Lane,
    pub(super) bulk: Lane,
    pub(super) executions: Lane,
    /// Of executions.
    pub(super) scheduler: Arc<Guard>,
    pub(super) limits: Arc<Limits>,
    pub(super) compression: Arc<Compression>,
    /// Whether uploads that broke may be gone on with, as far as known.
    pub(super) resumes: Arc<AtomicBool>,
}

/// A request that tells the other side how long we wait.
fn timed<T>(message: T, deadline: Deadline) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.set_timeout(deadline.remaining());
    request
}
