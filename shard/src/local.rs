//! The shard that is in the same process as its gateway.

use std::sync::Arc;

use async_trait::async_trait;
use goma_common::reapi::Backend;
use goma_common::shards::{Blob, Shards, Trust};
use goma_common::{Deadline, Digest, FileEntry, FileKey, Result};

use crate::facts::Facts;
use crate::files::Files;
use crate::presence::Presence;
use crate::upload::Uploads;

/// How much a shard keeps in memory.
#[derive(Clone, Copy, Debug)]
pub struct ShardConfig {
    /// File keys and presence entries, each.
    pub memory_entries: usize,
}

/// All parts of a shard, over one backend and one store of facts.
pub struct LocalShard {
    files: Files,
    uploads: Uploads,
    presence: Arc<Presence>,
}

impl LocalShard {
    /// Starts its upload task on the current runtime.
    #[must_use]
    pub fn start(config: ShardConfig, facts: Arc<dyn Facts>, backend: Backend) -> Self {
        let entries = config.memory_entries;
        let presence = Arc::new(Presence::new(entries, facts.clone()));
        Self {
            files: Files::new(entries, facts, presence.clone(), backend.clone()),
            uploads: Uploads::new(backend, presence.clone()),
            presence,
        }
    }
}

#[async_trait]
impl Shards for LocalShard {
    async fn resolve(
        &self,
        keys: &[FileKey],
        deadline: Deadline,
    ) -> Result<Vec<Option<FileEntry>>> {
        self.files.resolve(keys, deadline).await
    }

    async fn record(&self, files: Vec<(FileKey, FileEntry)>, deadline: Deadline) -> Result<()> {
        self.files.record(files, deadline).await
    }

    async fn ensure(
        &self,
        blobs: Vec<Blob>,
        trust: Trust,
        deadline: Deadline,
    ) -> Result<Vec<Digest>> {
        self.uploads.ensure(blobs, trust, deadline).await
    }

    async fn forget(&self, digests: &[Digest], _deadline: Deadline) -> Result<()> {
        self.presence.forget(digests).await;
        Ok(())
    }
}
