//! All shards as one: each question goes to the owners of what it is about.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::{FutureExt, join_all};
use goma_common::shard_status::ShardStatus;
use goma_common::shards::{Blob, Shards, Source, Trust};
use goma_common::turn::{Lease, Turn};
use goma_common::{Deadline, Digest, FileEntry, FileKey, Result, Tenant};
use tokio::sync::watch;

use super::membership::Membership;
use super::owners::{Owners, is_away, unless_gone};
use super::split::Item;
use super::view::View;

/// A shard that is not told of lost blobs finds out by itself: it is not worth a longer wait.
const FORGET: Duration = Duration::from_millis(1500);

/// The shards of a ring. Every wait ends at the deadline of the question.
pub struct Routed {
    owners: Owners,
    tenant: Tenant,
    /// Who watches the members, if nobody else keeps it.
    membership: Option<Arc<Membership>>,
}

impl Routed {
    /// Over the ring as it is published.
    #[must_use]
    pub fn new(view: watch::Receiver<Arc<View>>) -> Self {
        Self { owners: Owners::new(view), tenant: Tenant::default(), membership: None }
    }

    /// The same, which keeps its members watched.
    #[must_use]
    pub fn keeping(self, membership: Membership) -> Self {
        Self { membership: Some(Arc::new(membership)), ..self }
    }

    /// A member as the tenant sees it.
    fn seen(&self, shard: Arc<dyn Shards>) -> Arc<dyn Shards> {
        match self.tenant.is_common() {
            true => shard,
            false => shard.of_tenant(self.tenant),
        }
    }

    /// Copies of the pieces of manifests that are to be assembled, for the owners of the manifests:
    /// shards that keep facts in memory alone do not know of each other's.
    async fn pieces(
        &self,
        files: &[(FileKey, FileEntry)],
        deadline: Deadline,
    ) -> Result<Vec<(FileKey, (FileKey, FileEntry))>> {
        let wanted: Vec<(FileKey, FileKey)> = files
            .iter()
            .filter_map(|(manifest, entry)| match entry {
                FileEntry::Manifest { chunks, whole: None, .. } => Some((manifest, chunks)),
                _ => None,
            })
            .flat_map(|(manifest, chunks)| chunks.iter().map(|chunk| (*manifest, *chunk)))
            .collect();
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let mut known: HashMap<FileKey, FileEntry> = files.iter().cloned().collect();
        let asked: HashSet<FileKey> = wanted.iter().map(|(_, chunk)| *chunk).collect();
        let asked: Vec<FileKey> =
            asked.into_iter().filter(|chunk| !known.contains_key(chunk)).collect();
        let told = self.resolve(&asked, deadline).await?;
        known.extend(asked.into_iter().zip(told).filter_map(|(key, entry)| Some((key, entry?))));
        let copy = |(manifest, chunk)| Some((manifest, (chunk, known.get(&chunk)?.clone())));
        Ok(wanted.into_iter().filter_map(copy).collect())
    }
}

#[async_trait]
impl Shards for Routed {
    async fn resolve(
        &self,
        keys: &[FileKey],
        deadline: Deadline,
    ) -> Result<Vec<Option<FileEntry>>> {
        let items = Item::each(keys.iter().map(|key| (key.0, *key)));
        let parts = self
            .owners
            .ask(items, deadline, &move |shard, keys: Vec<FileKey>| {
                async move { self.seen(shard).resolve(&keys, deadline).await }.boxed()
            })
            .await?;
        let mut entries = vec![None; keys.len()];
        for (places, answer) in parts {
            for (at, entry) in places.into_iter().zip(answer) {
                entries[at] = entry;
            }
        }
        Ok(entries)
    }

    async fn record(&self, files: Vec<(FileKey, FileEntry)>, deadline: Deadline) -> Result<()> {
        // First, so that a manifest comes after its pieces.
        let pieces = self.pieces(&files, deadline).await?;
        let pieces = pieces.into_iter().map(|(manifest, piece)| (manifest.0, piece));
        let files = files.into_iter().map(|file| (file.0.0, file));
        let items = Item::each(pieces.chain(files));
        let recorded = self
            .owners
            .ask(items, deadline, &move |shard, files| {
                async move { self.seen(shard).record(files, deadline).await }.boxed()
            })
            .await;
        recorded.map(|_| ())
    }

    async fn ensure(
        &self,
        blobs: Vec<Blob>,
        trust: Trust,
        source: Source,
        deadline: Deadline,
    ) -> Result<Vec<Digest>> {
        let mut digests: Vec<Digest> = blobs.iter().map(|blob| blob.digest).collect();
        let items = Item::each(blobs.into_iter().map(|blob| (blob.digest.hash, blob)));
        let parts = self
            .owners
            .ask(items, deadline, &move |shard, blobs| {
                async move { self.seen(shard).ensure(blobs, trust, source, deadline).await }.boxed()
            })
            .await?;
        let missing: HashSet<Digest> = parts.into_iter().flat_map(|(_, missing)| missing).collect();
        digests.retain(|digest| missing.contains(digest));
        Ok(digests)
    }

    async fn load(&self, digest: Digest, deadline: Deadline) -> Result<Option<Bytes>> {
        let Some(up) = self.owners.of(&digest.hash) else { return Ok(None) };
        match unless_gone(&up, deadline, up.shard.load(digest, deadline)).await {
            Err(error) if is_away(&error) => {
                tracing::debug!(%error, %digest, "nobody to load it from");
                Ok(None)
            }
            loaded => loaded,
        }
    }

    async fn join(&self, action: Digest, skip_cache_lookup: bool, deadline: Deadline) -> Turn {
        let alone = || Turn::Run(Lease::alone());
        let Some(up) = self.owners.of(&action.hash) else { return alone() };
        let shard = self.seen(up.shard.clone());
        tokio::select! {
            () = up.gone.cancelled() => alone(),
            turn = shard.join(action, skip_cache_lookup, deadline) => turn,
        }
    }

    async fn forget(&self, digests: &[Digest], deadline: Deadline) -> Result<()> {
        let deadline = deadline.at_most(FORGET);
        let items = Item::each(digests.iter().map(|digest| (digest.hash, *digest)));
        let told = self
            .owners
            .ask(items, deadline, &move |shard, digests: Vec<_>| {
                async move { self.seen(shard).forget(&digests, deadline).await }.boxed()
            })
            .await;
        if let Err(error) = told {
            tracing::debug!(%error, "an owner was not told of lost blobs");
        }
        Ok(())
    }

    async fn status(&self, deadline: Deadline) -> Vec<ShardStatus> {
        let view = self.owners.now();
        let told = view.up().iter().map(|up| up.shard.status(deadline));
        let mut told: Vec<ShardStatus> = join_all(told).await.concat();
        told.extend(view.out().iter().map(|(name, why)| ShardStatus {
            name: name.clone(),
            why: Some(why.clone()),
            ..ShardStatus::default()
        }));
        told
    }

    fn ring_version(&self) -> Option<u64> {
        Some(self.owners.now().ring().hash() & u64::from(u32::MAX))
    }

    fn of_tenant(self: Arc<Self>, tenant: Tenant) -> Arc<dyn Shards> {
        let (owners, membership) = (self.owners.clone(), self.membership.clone());
        Arc::new(Self { owners, tenant, membership })
    }
}

#[cfg(test)]
mod tests;
