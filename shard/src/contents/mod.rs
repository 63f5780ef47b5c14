//! What passed through this shard lately: contents with which it repairs a CAS that has lost them.
//!
//! Bounded, and nothing relies on it: without it clients are asked to send their files again.
//! Memory first; what falls out of it goes to [`disk`], where there is one.

mod disk;

use bytes::Bytes;
use goma_common::Digest;
use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, Lifecycle, Weighter};

pub(crate) use disk::Disk;

/// What an entry takes beside its contents, in bytes.
const OVERHEAD: u64 = 128;
/// Larger blobs than a hundredth of the tier would push out too much else.
const LARGEST_SHARE: u64 = 100;
/// The usual contents: a header or a source.
const USUAL_SIZE: u64 = 16 << 10;

/// The contents tier of one shard.
pub(crate) struct Contents {
    memory: Cache<Digest, Bytes, BySize, DefaultHashBuilder, Spill>,
    max_bytes: u64,
    disk: Option<Disk>,
}

impl Contents {
    /// At most so many bytes in memory; 0 keeps nothing there.
    pub(crate) fn new(max_bytes: u64, disk: Option<Disk>) -> Self {
        let entries = usize::try_from(max_bytes / USUAL_SIZE).unwrap_or(0).max(16);
        let spill = Spill { disk: disk.clone() };
        let memory = Cache::with(entries, max_bytes, BySize, DefaultHashBuilder::default(), spill);
        Self { memory, max_bytes, disk }
    }

    /// Remembers contents that the caller has hashed, or that came from one who has.
    pub(crate) fn keep(&self, digest: Digest, contents: &Bytes) {
        if contents.len() as u64 > self.max_bytes / LARGEST_SHARE {
            if let Some(disk) = &self.disk {
                disk.keep(digest, contents.clone());
            }
            return;
        }
        if self.memory.get(&digest).is_none() {
            // A slice of a request's body would keep the whole body in memory.
            self.memory.insert(digest, Bytes::copy_from_slice(contents));
        }
    }

    /// The contents, if they are still here; what comes from the disk is verified.
    pub(crate) async fn get(&self, digest: Digest) -> Option<Bytes> {
        match (self.memory.get(&digest), &self.disk) {
            (Some(contents), _) => Some(contents),
            (None, Some(disk)) => disk.get(digest).await,
            (None, None) => None,
        }
    }
}

#[derive(Clone)]
struct BySize;

impl Weighter<Digest, Bytes> for BySize {
    fn weight(&self, _: &Digest, contents: &Bytes) -> u64 {
        contents.len() as u64 + OVERHEAD
    }
}

/// What memory has no room for goes to the disk.
#[derive(Clone)]
struct Spill {
    disk: Option<Disk>,
}

impl Lifecycle<Digest, Bytes> for Spill {
    type RequestState = ();

    fn on_evict(&self, (): &mut (), digest: Digest, contents: Bytes) {
        if let Some(disk) = &self.disk {
            disk.keep(digest, contents);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(n: usize) -> (Digest, Bytes) {
        let contents = Bytes::from(format!("{n:01000}"));
        (Digest::of(&contents), contents)
    }

    #[tokio::test]
    async fn memory_is_bounded_by_bytes() {
        let contents = Contents::new(1 << 20, None);
        let blobs: Vec<_> = (0..10_000).map(blob).collect();
        blobs.iter().for_each(|(digest, blob)| contents.keep(*digest, blob));
        let mut kept = 0;
        for (digest, blob) in &blobs {
            if let Some(found) = contents.get(*digest).await {
                assert_eq!(found, blob);
                kept += 1;
            }
        }
        assert!((100..=1048).contains(&kept), "{kept}");
    }

    #[tokio::test]
    async fn what_memory_has_no_room_for_is_on_the_disk() {
        let dir = tempfile::tempdir().expect("a directory");
        let disk = Disk::open(dir.path().to_owned(), 1 << 30).expect("opens");
        let contents = Contents::new(100 << 10, Some(disk.clone()));
        let blobs: Vec<_> = (0..1000).map(blob).collect();
        for (digest, blob) in &blobs {
            contents.keep(*digest, blob);
            // A slow disk would lose some, and may.
            disk.written().await;
        }
        for (digest, blob) in &blobs {
            assert_eq!(contents.get(*digest).await.as_ref(), Some(blob));
        }
        // A new process finds what was on the disk, and believes nothing that was damaged.
        let on_disk = |(digest, _): &&(Digest, Bytes)| disk.path(digest).exists();
        let (digest, contents) = blobs.iter().find(on_disk).expect("memory is smaller");
        let again = Disk::open(dir.path().to_owned(), 1 << 30).expect("opens");
        assert_eq!(again.get(*digest).await.as_ref(), Some(contents));
        std::fs::write(again.path(digest), "damaged").expect("writes");
        assert_eq!(again.get(*digest).await, None);
    }

    #[tokio::test]
    async fn the_disk_is_bounded_too() {
        let dir = tempfile::tempdir().expect("a directory");
        let disk = Disk::open(dir.path().to_owned(), 100 << 10).expect("opens");
        for (digest, blob) in (0..1000).map(blob) {
            disk.keep(digest, blob);
            disk.written().await;
        }
        let files = std::fs::read_dir(dir.path()).expect("a directory").count();
        assert!((12..=25).contains(&files), "{files} files of a block each");
    }
}
