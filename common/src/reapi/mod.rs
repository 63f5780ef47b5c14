//! The Remote Execution API backend, as the rest of the code sees it: three narrow traits.
//!
//! [`grpc`] implements them over a channel; decorators wrap them. Nothing outside this folder
//! speaks REAPI.

mod account;
mod budget;
mod call;
mod channel;
mod circuit;
mod compression;
mod credentials;
mod equals;
mod execution;
mod grpc;
mod guard;
mod hedged;
mod invocation;
mod lane;
pub mod limits;
mod remote_config;
mod retry;
mod roots;
mod service_account;
mod token_file;
mod transfer;
mod upload;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use goma_proto::reapi::ActionResult;

use crate::deadline::Deadline;
use crate::digest::Digest;
use crate::entry::View;
use crate::error::Result;

pub use account::{Account, is_other_account, with_account};
pub use channel::{connect, lane, reach};
pub use credentials::{Credentials, TokenSource};
pub use execution::Execution;
pub use invocation::{Invocation, is_for, with_invocation};
pub use lane::Lane;
pub use limits::Limits;
pub use remote_config::{Address, CONNECTION_LIFE, RemoteConfig, STREAMS, Tls};
pub(crate) use roots::system as system_roots;
pub use service_account::{Grant, SCOPE, ServiceAccount};
pub use token_file::TokenFile;
pub use transfer::{fetch_all, fetch_each, fetch_start, fetch_view, restarting};
pub use upload::Upload;

/// The content-addressable storage of a backend.
#[async_trait]
pub trait Cas: Send + Sync {
    /// Which of these blobs are not there. Never asked about the empty blob.
    ///
    /// # Errors
    /// When the backend could not say.
    async fn find_missing(&self, digests: &[Digest], deadline: Deadline) -> Result<Vec<Digest>>;

    /// Uploads small blobs in one call; the answers are in order, one a blob. The caller keeps the
    /// sum within [`Limits::batch_bytes`].
    ///
    /// # Errors
    /// When the call as a whole failed; the single blobs fail inside the answer.
    async fn upload_batch(
        &self,
        blobs: &[(Digest, Bytes)],
        deadline: Deadline,
    ) -> Result<Vec<Result<()>>>;

    /// Uploads one blob of any size as a stream of pieces. Called again with the same upload it may go
    /// on where that broke.
    ///
    /// # Errors
    /// When the backend did not take it whole, or a piece could not be had.
    async fn upload_stream(&self, upload: &Upload, deadline: Deadline) -> Result<()>;

    /// Downloads small blobs in one call, each verified; the answers are in order, one a digest.
    ///
    /// # Errors
    /// When the call as a whole failed; the single blobs fail inside the answer.
    async fn download_batch(
        &self,
        digests: &[Digest],
        deadline: Deadline,
    ) -> Result<Vec<Result<Bytes>>>;

    /// Downloads part of a blob as a stream. Pieces are not verified: whoever reads a whole blob
    /// hashes it, and fails at the end when it is not what was asked for.
    ///
    /// # Errors
    /// When the backend refuses at once; later failures are in the stream.
    async fn download_stream(
        &self,
        view: View,
        deadline: Deadline,
    ) -> Result<BoxStream<'static, Result<Bytes>>>;
}

/// The action cache of a backend. There is no way to write to it: results are the workers' to tell.
#[async_trait]
pub trait ActionCache: Send + Sync {
    /// The cached result of an action, with stdout, stderr and the named outputs inlined where the
    /// backend is able to.
    ///
    /// # Errors
    /// When the backend could not say; a miss is `None`.
    async fn get(
        &self,
        action: Digest,
        inline_outputs: &[String],
        deadline: Deadline,
    ) -> Result<Option<ActionResult>>;
}

/// An action that was run, or found in the cache by the backend.
#[derive(Clone, Debug)]
pub struct Executed {
    /// What it left.
    pub result: ActionResult,
    /// Whether the backend answered from its cache.
    pub cached: bool,
}

/// The workers of a backend.
#[async_trait]
pub trait Executor: Send + Sync {
    /// Runs an action to its end, through broken streams.
    ///
    /// # Errors
    /// `MissingBlobs` when its inputs are gone, with the digests if the backend named them; others
    /// as the backend said, in its own words.
    async fn execute(&self, execution: &Execution, deadline: Deadline) -> Result<Executed>;

    /// Lets the backend give up an execution that nobody waits for any more. One that it has not
    /// named, does not know or cannot give up is left alone.
    ///
    /// # Errors
    /// When the backend could not be told.
    async fn cancel(&self, execution: &Execution, deadline: Deadline) -> Result<()> {
        let _ = (execution, deadline);
        Ok(())
    }
}

/// How the backend is, for a readiness probe.
#[async_trait]
pub trait Health: Send + Sync {
    /// Asks for its capabilities.
    ///
    /// # Errors
    /// In the backend's words, when it cannot serve us.
    async fn check(&self, deadline: Deadline) -> Result<()>;
}

/// A backend: cheap to clone, shared by all requests.
#[derive(Clone)]
pub struct Backend {
    /// Contents.
    pub cas: Arc<dyn Cas>,
    /// Results.
    pub action_cache: Arc<dyn ActionCache>,
    /// Workers.
    pub executor: Arc<dyn Executor>,
    /// Probe.
    pub health: Arc<dyn Health>,
    /// Sizes that its messages must keep to.
    pub limits: Arc<Limits>,
}
