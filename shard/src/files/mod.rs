//! Which file key stands for which contents.
//!
//! Memory over the store of facts. A manifest becomes a file when its pieces are all there:
//! [`assemble`] makes it one.

mod assemble;
mod kept;

use std::sync::Arc;

use futures::future::join_all;
use goma_common::reapi::Backend;
use goma_common::{Deadline, Digest, Error, FileEntry, FileKey, Result, Tenant};
use quick_cache::sync::Cache;

use crate::counts::What;
use crate::facts::Facts;
use crate::presence::Presence;
use crate::single_flight::SingleFlight;
use assemble::{Manifest, assemble};
use kept::Kept;

/// Mappings that are written back at a time.
const WRITE_BACK: usize = 1000;

/// The file keys of one shard. Each tenant's are kept under keys of its own, and so are those of the
/// pieces that its manifests name.
pub(crate) struct Files {
    memory: Arc<Cache<FileKey, Kept>>,
    facts: Arc<dyn Facts>,
    presence: Arc<Presence>,
    backend: Backend,
    assemblies: SingleFlight<FileKey, Option<Digest>>,
}

impl Files {
    /// At most `entries` in memory.
    pub(crate) fn new(
        entries: usize,
        facts: Arc<dyn Facts>,
        presence: Arc<Presence>,
        backend: Backend,
    ) -> Self {
        let memory = Arc::new(Cache::new(entries));
        Self { memory, facts, presence, backend, assemblies: SingleFlight::default() }
    }

    /// See [`goma_common::shards::Shards::resolve`].
    pub(crate) async fn resolve(
        &self,
        keys: &[FileKey],
        tenant: Tenant,
        deadline: Deadline,
    ) -> Result<Vec<Option<FileEntry>>> {
        let mut entries = self.known(keys, tenant, deadline).await?;
        let assembled = keys.iter().zip(&mut entries).map(|(key, entry)| async move {
            if let Some(FileEntry::Manifest { size, chunks, whole: None }) = entry {
                let manifest = Manifest { size: *size, chunks: chunks.clone() };
                *entry = self.assembled(*key, manifest, tenant, deadline).await?;
            }
            Ok::<_, Error>(())
        });
        join_all(assembled).await.into_iter().collect::<Result<Vec<()>>>()?;
        let counts = self.presence.counts();
        counts.add(What::Keys, keys.len());
        counts.add(What::KnownKeys, entries.iter().flatten().count());
        Ok(entries)
    }

    /// See [`goma_common::shards::Shards::record`].
    pub(crate) async fn record(
        &self,
        mut files: Vec<(FileKey, FileEntry)>,
        tenant: Tenant,
        deadline: Deadline,
    ) -> Result<()> {
        for (key, entry) in &mut files {
            if let FileEntry::Manifest { whole: whole @ None, .. } = entry {
                *whole = self.still_whole(*key, tenant, deadline).await?;
            }
            *key = tenant.key(*key);
        }
        for (key, entry) in &files {
            self.memory.insert(*key, entry.clone().into());
        }
        deadline.bound("mappings", self.facts.put_mappings(files)).await
    }

    /// Puts all that memory holds into a store that was emptied.
    pub(crate) async fn write_back(&self) {
        let all: Vec<_> = self.memory.iter().map(|(key, kept)| (key, kept.into())).collect();
        tracing::warn!(
            mappings = all.len(),
            "the store was emptied: writing back what is in memory"
        );
        for some in all.chunks(WRITE_BACK) {
            if let Err(error) = self.facts.put_mappings(some.to_vec()).await {
                tracing::warn!(%error, "mappings were not written back");
                return;
            }
        }
    }

    /// What is remembered, without assembling anything.
    async fn known(
        &self,
        keys: &[FileKey],
        tenant: Tenant,
        deadline: Deadline,
    ) -> Result<Vec<Option<FileEntry>>> {
        let keys: Vec<FileKey> = keys.iter().map(|key| tenant.key(*key)).collect();
        let mut entries: Vec<_> =
            keys.iter().map(|key| self.memory.get(key).map(Into::into)).collect();
        let unknown: Vec<usize> = (0..keys.len()).filter(|&at| entries[at].is_none()).collect();
        if unknown.is_empty() {
            return Ok(entries);
        }
        let asked: Vec<FileKey> = unknown.iter().map(|&at| keys[at]).collect();
        let told = deadline.bound("mappings", self.facts.mappings(&asked)).await?;
        for (at, entry) in unknown.into_iter().zip(told) {
            if let Some(entry) = &entry {
                self.memory.insert(keys[at], entry.clone().into());
            }
            entries[at] = entry;
        }
        Ok(entries)
    }

    /// A client that sends a manifest again may do so because the file was lost: it is assembled
    /// anew unless the CAS is known to hold it.
    async fn still_whole(
        &self,
        key: FileKey,
        tenant: Tenant,
        deadline: Deadline,
    ) -> Result<Option<Digest>> {
        let known = self.known(&[key], tenant, deadline).await?.pop().flatten();
        let Some(digest) = known.and_then(|entry| entry.contents()) else { return Ok(None) };
        Ok(self.presence.check(tenant, &[digest]).await[0].then_some(digest))
    }

    /// The entry once it is a file; `None` while a piece is not there.
    async fn assembled(
        &self,
        key: FileKey,
        manifest: Manifest,
        tenant: Tenant,
        deadline: Deadline,
    ) -> Result<Option<FileEntry>> {
        let views = self.known(&manifest.chunks, tenant, deadline).await?;
        let Some(views) = manifest.views(&views) else { return Ok(None) };
        let key = tenant.key(key);
        let work = || assemble(self.backend.clone(), self.presence.clone(), tenant, views);
        let (flight, joined) = self.assemblies.join(key, work);
        let whole = deadline.bound("assembling a large file", flight).await?;
        let Some(whole) = whole else { return Ok(None) };
        let entry = FileEntry::Manifest {
            size: manifest.size,
            chunks: manifest.chunks,
            whole: Some(whole),
        };
        if !joined {
            self.memory.insert(key, entry.clone().into());
            deadline.bound("mappings", self.facts.put_mappings(vec![(key, entry.clone())])).await?;
        }
        Ok(Some(entry))
    }
}
