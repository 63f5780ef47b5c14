//! Where small facts outlive a process: file keys and presence.
//!
//! Implementations: [`Embedded`] in a file of this machine, [`Memory`] for tests and for those who
//! want nothing kept.

mod embedded;
mod encoding;
mod memory;

use async_trait::async_trait;
use goma_common::{Digest, FileEntry, FileKey, Result};

pub use embedded::Embedded;
pub use memory::Memory;

/// What implementers owe: one round trip a call whatever the number of keys; answers in the order
/// of the question; what was put is seen by every later question to the same store.
///
/// Mappings and presence differ when the store is away: a mapping that cannot be read is an error,
/// since "unknown" makes users send their files again, and presence reads as unknown.
#[async_trait]
pub trait Facts: Send + Sync {
    /// What these keys stand for.
    ///
    /// # Errors
    /// When the store cannot say.
    async fn mappings(&self, keys: &[FileKey]) -> Result<Vec<Option<FileEntry>>>;

    /// Remembers what keys stand for.
    ///
    /// # Errors
    /// When the store cannot take them.
    async fn put_mappings(&self, mappings: Vec<(FileKey, FileEntry)>) -> Result<()>;

    /// Which of these blobs the CAS was seen to hold lately.
    async fn present(&self, digests: &[Digest]) -> Vec<bool>;

    /// Remembers blobs that the CAS has just been seen to hold.
    async fn put_present(&self, digests: Vec<Digest>);

    /// Drops blobs that the CAS was seen to lack.
    async fn drop_present(&self, digests: Vec<Digest>);

    /// Writes down all that was put, as far as that is not done yet.
    async fn flush(&self);
}
