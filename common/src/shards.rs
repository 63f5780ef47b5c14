//! The seam between gateways and shards.
//!
//! Two implementations: the ring of gRPC clients, and the shard in the same process that
//! `remoteexec_proxy` uses.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::deadline::Deadline;
use crate::digest::Digest;
use crate::entry::FileEntry;
use crate::error::Result;
use crate::file_key::FileKey;
use crate::shard_status::ShardStatus;
use crate::tenant::Tenant;
use crate::turn::Turn;

/// A blob that must be in the CAS before an action runs or a mapping is told.
#[derive(Clone, Debug)]
pub struct Blob {
    /// Its name, computed by us from the contents, never taken from a request.
    pub digest: Digest,
    /// Its bytes, if the caller has them.
    pub contents: Option<Bytes>,
}

/// Whether a presence entry may answer for the CAS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trust {
    /// The ordinary case: what was seen there lately is taken to be there.
    Presence,
    /// Recovery: the backend said that something is gone, so ask it and believe nothing else.
    Nothing,
}

/// On whose behalf blobs are uploaded: a hash of whatever tells users apart. One who brings ten
/// thousand new files does not delay another's first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Source(pub u64);

/// What implementers owe:
///
/// - Equal questions may come from several gateways at once; each unique blob is uploaded once.
/// - *Unknown* and *cannot tell now* differ: the first is an answer, the second an error. An
///   implementer waits for its mappings within the deadline before it gives the second.
/// - A mapping is told only when its bytes were hashed by us and are in the CAS.
/// - Presence is written only after the CAS confirmed that very blob.
#[async_trait]
pub trait Shards: Send + Sync {
    /// What these keys stand for, in order. A manifest whose pieces are all known is assembled
    /// first; one of whose pieces is gone is unknown.
    ///
    /// # Errors
    /// When the mappings cannot be read within the deadline.
    async fn resolve(&self, keys: &[FileKey], deadline: Deadline)
    -> Result<Vec<Option<FileEntry>>>;

    /// Remembers files. The caller has made their contents present with [`Shards::ensure`].
    ///
    /// # Errors
    /// When they cannot be remembered durably within the deadline.
    async fn record(&self, files: Vec<(FileKey, FileEntry)>, deadline: Deadline) -> Result<()>;

    /// Makes blobs present in the CAS and answers those that it lacks and nobody here holds.
    ///
    /// # Errors
    /// When the CAS cannot be asked or refuses an upload.
    async fn ensure(
        &self,
        blobs: Vec<Blob>,
        trust: Trust,
        source: Source,
        deadline: Deadline,
    ) -> Result<Vec<Digest>>;

    /// Contents that are still held outside of the CAS, for when that has lost them. Nothing is
    /// asked of the CAS. `None` where nobody holds them; verified.
    ///
    /// # Errors
    /// When the owner cannot be asked within the deadline.
    async fn load(&self, digest: Digest, deadline: Deadline) -> Result<Option<Bytes>>;

    /// Whether the caller is to run this action, or how it ended for whoever ran it meanwhile.
    /// Runs that may be answered from the backend's cache and those that may not are not joined.
    ///
    /// Never fails: where the owner of the action is away everybody runs it, which is right too.
    async fn join(&self, action: Digest, skip_cache_lookup: bool, deadline: Deadline) -> Turn;

    /// Drops what was believed about blobs that the CAS was seen to lack.
    ///
    /// # Errors
    /// When the owners cannot be told within the deadline.
    async fn forget(&self, digests: &[Digest], deadline: Deadline) -> Result<()>;

    /// How each of them is, for whoever looks. One that does not tell in time is told of as such.
    async fn status(&self, deadline: Deadline) -> Vec<ShardStatus> {
        let _ = deadline;
        Vec::new()
    }

    /// 32 bits of the hash of the ring that they are on, which all gateways must have in common; `None`
    /// where there is no ring.
    fn ring_version(&self) -> Option<u64> {
        None
    }

    /// The same shards as this tenant sees them: with file keys, presence and running actions of its
    /// own. Contents are those of all, and are reached by nothing else.
    fn of_tenant(self: Arc<Self>, tenant: Tenant) -> Arc<dyn Shards>;
}
