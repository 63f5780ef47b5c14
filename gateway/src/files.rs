//! The gateway's side of file contents: stored through the shards, with a small cache of keys.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use goma_common::shards::{Blob, Shards, Source, Trust};
use goma_common::{Code, Deadline, Digest, Error, FileEntry, FileKey, Result, View};
use quick_cache::sync::Cache;

use crate::file_blob::VerifiedBlob;
use crate::metrics;
use crate::place::Place;

/// Keys and contents of files, for Exec, StoreFile and LookupFile alike.
pub struct Files {
    shards: Arc<dyn Shards>,
    /// Mappings are always true, so this needs no expiry.
    keys: Arc<Cache<FileKey, FileEntry>>,
    /// Large outputs whose pieces the shards were told of.
    views: Arc<Cache<Digest, Arc<[FileKey]>>>,
    /// Contents that were not what their keys said.
    mismatches: Arc<AtomicU64>,
    /// Where outputs are, and where clients will ask for them, if that is not the same.
    brought: Option<(Place, Place)>,
}

/// Large outputs are few.
const VIEWS: usize = 1000;

impl Files {
    /// Over these shards, with at most so many keys in memory.
    #[must_use]
    pub fn new(shards: Arc<dyn Shards>, cache_entries: usize) -> Self {
        let (keys, views) = (Arc::new(Cache::new(cache_entries)), Arc::new(Cache::new(VIEWS)));
        Self { shards, keys, views, mismatches: Arc::default(), brought: None }
    }

    /// The same files, for compiles whose outputs are elsewhere.
    pub(crate) fn brought_from(&self, elsewhere: Place, home: Place) -> Self {
        Self {
            shards: self.shards.clone(),
            keys: self.keys.clone(),
            views: self.views.clone(),
            mismatches: self.mismatches.clone(),
            brought: Some((elsewhere, home)),
        }
    }

    /// Says and counts that contents were not what they had to be; the request's span says whose.
    pub(crate) fn mismatch(&self, why: &str) {
        let total = self.mismatches.fetch_add(1, Ordering::Relaxed) + 1;
        tracing::warn!(why, total, "refused contents");
        metrics::mismatch();
    }

    /// Has an output where clients ask for it.
    ///
    /// # Errors
    /// `NotFound` when it is gone, or as the backends said.
    pub(crate) async fn bring(&self, digest: Digest, deadline: Deadline) -> Result<()> {
        let Some((elsewhere, home)) = &self.brought else { return Ok(()) };
        let (wanted, source) = (Blob { digest, contents: None }, Source::default());
        let missing = home.shards.ensure(vec![wanted], Trust::Presence, source, deadline).await?;
        match home.bring(&missing, elsewhere, source, deadline).await?.is_empty() {
            true => Ok(()),
            false => Err(Error::new(Code::NotFound, format!("output {digest} is gone"))),
        }
    }

    /// What the keys stand for; `None` where nobody knows.
    ///
    /// # Errors
    /// When the shards cannot be asked within the deadline.
    pub async fn resolve(
        &self,
        keys: &[FileKey],
        deadline: Deadline,
    ) -> Result<Vec<Option<FileEntry>>> {
        let mut entries: Vec<_> = keys.iter().map(|key| self.keys.get(key)).collect();
        let unknown: Vec<usize> = (0..keys.len()).filter(|&at| entries[at].is_none()).collect();
        metrics::keys("gateway", keys.len() - unknown.len());
        if unknown.is_empty() {
            return Ok(entries);
        }
        let asked: Vec<FileKey> = unknown.iter().map(|&at| keys[at]).collect();
        let mut known = 0;
        for (at, entry) in unknown.into_iter().zip(self.shards.resolve(&asked, deadline).await?) {
            self.remember(keys[at], entry.as_ref());
            known += usize::from(entry.is_some());
            entries[at] = entry;
        }
        metrics::keys("shard", known);
        metrics::keys("unknown", asked.len() - known);
        Ok(entries)
    }

    /// Puts contents into the CAS, then tells the shards what the keys stand for.
    pub(crate) async fn store(
        &self,
        blobs: Vec<VerifiedBlob>,
        source: Source,
        deadline: Deadline,
    ) -> Result<()> {
        // Whoever finds that a piece is gone, when a file is put together, is not always the shard that believes in it:
        // a client that sends it again is believed more.
        for (trust, is_piece) in [(Trust::Presence, false), (Trust::Nothing, true)] {
            let contents = blobs
                .iter()
                .filter(|blob| matches!(blob.entry, FileEntry::Chunk { .. }) == is_piece)
                .filter_map(|blob| blob.contents.clone());
            let contents: Vec<Blob> = contents
                .map(|(digest, contents)| Blob { digest, contents: Some(contents) })
                .collect();
            if !contents.is_empty() {
                self.shards.ensure(contents, trust, source, deadline).await?;
            }
        }
        self.record(blobs.into_iter().map(|blob| (blob.key, blob.entry)).collect(), deadline).await
    }

    /// Tells the shards what keys stand for, known here or not: they may have forgotten, and another
    /// gateway asks them. Their contents are in the CAS.
    ///
    /// # Errors
    /// When the shards cannot be told within the deadline.
    pub async fn record(&self, files: Vec<(FileKey, FileEntry)>, deadline: Deadline) -> Result<()> {
        if files.is_empty() {
            return Ok(());
        }
        for (key, _) in &files {
            // A manifest that is sent again may mean that its file was lost.
            self.keys.remove(key);
        }
        self.shards.record(files.clone(), deadline).await?;
        files.iter().for_each(|(key, entry)| self.remember(*key, Some(entry)));
        Ok(())
    }

    /// Part of a blob that the CAS has lost, where a shard still holds it.
    pub(crate) async fn load(&self, view: View, deadline: Deadline) -> Result<Option<Bytes>> {
        let whole = self.shards.load(view.digest, deadline).await?;
        let start = usize::try_from(view.offset).unwrap_or(usize::MAX);
        let end = start.saturating_add(usize::try_from(view.length).unwrap_or(usize::MAX));
        Ok(whole.filter(|whole| end <= whole.len()).map(|whole| whole.slice(start..end)))
    }

    /// The pieces of a large output, if they were recorded from here.
    pub(crate) fn view(&self, digest: Digest) -> Option<Arc<[FileKey]>> {
        self.views.get(&digest)
    }

    /// The shards know the pieces of this output.
    pub(crate) fn remember_view(&self, digest: Digest, chunks: Arc<[FileKey]>) {
        self.views.insert(digest, chunks);
    }

    /// A manifest is worth keeping only once it is a file.
    fn remember(&self, key: FileKey, entry: Option<&FileEntry>) {
        match entry {
            Some(FileEntry::Manifest { whole: None, .. }) | None => {}
            Some(entry) => self.keys.insert(key, entry.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use goma_common::testing::ScriptedBackend;

    use super::*;

    #[tokio::test]
    async fn shards_that_have_forgotten_are_told_again() {
        let shards = ScriptedBackend::default();
        let files = Files::new(Arc::new(shards.clone()), 10);
        let key = FileKey::of_file(b"a");
        let entry = FileEntry::File(Digest::of(b"a"));
        for _ in 0..2 {
            let deadline = Deadline::after(Duration::from_secs(1));
            files.record(vec![(key, entry.clone())], deadline).await.expect("told");
        }
        assert_eq!(shards.calls().recorded, [key, key]);
    }
}
