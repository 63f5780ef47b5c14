//! One shard, as the process that it is in sees it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use goma_common::reapi::Backend;
use goma_common::shard_status::ShardStatus;
use goma_common::shards::{Blob, Shards, Source, Trust};
use goma_common::turn::Turn;
use goma_common::{Code, Deadline, Digest, Error, FileEntry, FileKey, Result, Tenant};

use crate::contents::{Contents, Disk};
use crate::facts::Facts;
use crate::files::Files;
use crate::joins::Joins;
use crate::presence::Presence;
use crate::upkeep::Upkeep;
use crate::upload::Uploads;

/// How much a shard keeps.
#[derive(Clone, Debug)]
pub struct ShardConfig {
    /// File keys and presence entries in memory, each.
    pub memory_entries: usize,
    /// How long the CAS is taken to hold a blob after it said so; well under its retention.
    pub presence_life: Duration,
    /// Contents on their way to the CAS at once, in bytes.
    pub max_upload_bytes: u64,
    /// Contents that passed through, in memory, in bytes; 0 is none.
    pub contents_memory: u64,
    /// Contents on disk: where, and how many bytes.
    pub contents_disk: Option<(PathBuf, u64)>,
}

/// All parts of a shard, over one backend and one store of facts, as one tenant sees them.
pub struct LocalShard {
    parts: Arc<Parts>,
    tenant: Tenant,
}

struct Parts {
    files: Arc<Files>,
    uploads: Uploads,
    presence: Arc<Presence>,
    contents: Arc<Contents>,
    joins: Joins,
    facts: Arc<dyn Facts>,
    #[expect(dead_code, reason = "held for its end: dropping it ends the tasks")]
    upkeep: Upkeep,
}

impl LocalShard {
    /// Starts its tasks on the current runtime.
    ///
    /// # Errors
    /// Naming the directory of the contents, when it cannot be used.
    pub fn start(config: ShardConfig, facts: Arc<dyn Facts>, backend: Backend) -> Result<Self> {
        let entries = config.memory_entries;
        let presence = Arc::new(Presence::new(entries, config.presence_life, facts.clone()));
        let disk = match config.contents_disk {
            Some((dir, bytes)) => Some(Disk::open(dir.clone(), bytes).map_err(|error| {
                Error::new(Code::Internal, format!("contents in {}: {error}", dir.display()))
            })?),
            None => None,
        };
        let contents = Arc::new(Contents::new(config.contents_memory, disk));
        let files = Arc::new(Files::new(entries, facts.clone(), presence.clone(), backend.clone()));
        let parts = Parts {
            upkeep: Upkeep::start(presence.clone(), files.clone(), facts.clone(), backend.clone()),
            uploads: Uploads::new(
                backend,
                presence.clone(),
                contents.clone(),
                config.max_upload_bytes,
            ),
            files,
            presence,
            contents,
            joins: Joins::default(),
            facts,
        };
        Ok(Self { parts: Arc::new(parts), tenant: Tenant::default() })
    }

    /// Believes nothing of what the CAS was seen to hold before now.
    ///
    /// # Errors
    /// When the store of facts cannot be told.
    pub async fn bump_epoch(&self) -> Result<u64> {
        self.parts.presence.bump_epoch().await
    }
}

#[async_trait]
impl Shards for LocalShard {
    async fn resolve(
        &self,
        keys: &[FileKey],
        deadline: Deadline,
    ) -> Result<Vec<Option<FileEntry>>> {
        self.parts.files.resolve(keys, self.tenant, deadline).await
    }

    async fn record(&self, files: Vec<(FileKey, FileEntry)>, deadline: Deadline) -> Result<()> {
        self.parts.files.record(files, self.tenant, deadline).await
    }

    async fn ensure(
        &self,
        blobs: Vec<Blob>,
        trust: Trust,
        source: Source,
        deadline: Deadline,
    ) -> Result<Vec<Digest>> {
        self.parts.uploads.ensure(blobs, trust, source, self.tenant, deadline).await
    }

    async fn load(&self, digest: Digest, _deadline: Deadline) -> Result<Option<Bytes>> {
        Ok(self.parts.contents.get(digest).await)
    }

    async fn join(&self, action: Digest, skip_cache_lookup: bool, deadline: Deadline) -> Turn {
        let action = self.tenant.digest(action);
        self.parts.joins.join((action, skip_cache_lookup), deadline).await
    }

    async fn forget(&self, digests: &[Digest], _deadline: Deadline) -> Result<()> {
        self.parts.presence.forget(self.tenant, digests).await;
        Ok(())
    }

    async fn status(&self, _deadline: Deadline) -> Vec<ShardStatus> {
        let presence = &self.parts.presence;
        vec![ShardStatus {
            name: "in this process".to_owned(),
            up: true,
            why: None,
            weight: 1,
            facts: self.parts.facts.kind().to_owned(),
            facts_trouble: self.parts.facts.trouble(),
            uptime: presence.counts().uptime(),
            breaker_open: presence.is_off(),
            counts: presence.counts().sums(),
        }]
    }

    fn of_tenant(self: Arc<Self>, tenant: Tenant) -> Arc<dyn Shards> {
        Arc::new(Self { parts: self.parts.clone(), tenant })
    }
}
