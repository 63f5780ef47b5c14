//! Where small facts outlive a process: file keys and presence.
//!
//! Implementations: [`Redis`] for clusters, shared by all shards; [`Embedded`] in a file of this
//! machine; [`Memory`] for tests and for those who want nothing kept.

mod embedded;
pub(crate) mod encoding;
mod memory;
mod redis;

use std::time::Duration;

use async_trait::async_trait;
use goma_common::{Digest, FileEntry, FileKey, Result};

pub use embedded::Embedded;
pub use memory::Memory;
pub use redis::{Redis, RedisConfig};

/// What implementers owe: one round trip a call whatever the number of keys; answers in the order
/// of the question; what was put is seen by every later question to the same store.
///
/// Mappings and presence differ when the store is away: a mapping is waited for, since "unknown"
/// makes users send their files again, and presence reads as unknown within milliseconds.
#[async_trait]
pub trait Facts: Send + Sync {
    /// What these keys stand for. Waits for a store that is away for as long as the caller does.
    ///
    /// # Errors
    /// When the store will not say, however long it is waited for.
    async fn mappings(&self, keys: &[FileKey]) -> Result<Vec<Option<FileEntry>>>;

    /// Remembers what keys stand for. Waits as [`Facts::mappings`] does.
    ///
    /// # Errors
    /// When the store will not take them.
    async fn put_mappings(&self, mappings: Vec<(FileKey, FileEntry)>) -> Result<()>;

    /// How long ago the CAS was seen to hold each of these blobs, in this epoch; `None` where that
    /// is not known.
    async fn present(&self, digests: &[Digest]) -> Vec<Option<Duration>>;

    /// Remembers blobs that the CAS has just been seen to hold.
    async fn put_present(&self, digests: Vec<Digest>);

    /// Drops blobs that the CAS was seen to lack. When it is done no question finds them.
    async fn drop_present(&self, digests: Vec<Digest>);

    /// The epoch: presence of another than this one is not believed.
    ///
    /// # Errors
    /// When the store cannot say now.
    async fn epoch(&self) -> Result<u64>;

    /// Begins another epoch, for all who share the store.
    ///
    /// # Errors
    /// When the store cannot take it now.
    async fn bump_epoch(&self) -> Result<u64>;

    /// Whether the store was emptied since it was last asked: what memory holds is to be put again.
    async fn was_emptied(&self) -> bool;

    /// What kind of store it is, as a word.
    fn kind(&self) -> &'static str {
        "memory"
    }

    /// Why the store cannot be asked at the moment, as far as that is known.
    fn trouble(&self) -> Option<String> {
        None
    }

    /// Writes down all that was put, as far as that is not done yet.
    async fn flush(&self);
}
