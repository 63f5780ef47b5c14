//! Contents on a disk: a file each, named by its digest, the least used gone first.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use goma_common::Digest;
use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, Lifecycle, Weighter};
use tokio::sync::mpsc;
#[cfg(test)]
use tokio::sync::oneshot;

/// Contents that may wait to be written; more are not kept, which is no loss but of a repair.
const QUEUE: usize = 256;
/// What a file takes at least on most file systems.
const BLOCK: u64 = 4096;

/// A directory of contents. A clone is the same one.
#[derive(Clone)]
pub(crate) struct Disk {
    dir: Arc<PathBuf>,
    index: Arc<Cache<Digest, (), ByBlocks, DefaultHashBuilder, Remove>>,
    writes: mpsc::Sender<Write>,
}

enum Write {
    Keep(Digest, Bytes),
    #[cfg(test)]
    Flush(oneshot::Sender<()>),
}

impl Disk {
    /// Takes over what is in the directory, up to so many bytes. The directory is ours alone.
    ///
    /// # Errors
    /// When the directory cannot be made or read.
    pub(crate) fn open(dir: PathBuf, max_bytes: u64) -> io::Result<Self> {
        fs::create_dir_all(&dir)?;
        let dir = Arc::new(dir);
        let entries = usize::try_from(max_bytes / BLOCK).unwrap_or(usize::MAX).clamp(16, 1 << 20);
        let remove = Remove { dir: dir.clone() };
        let index =
            Cache::with(entries, max_bytes, ByBlocks, DefaultHashBuilder::default(), remove);
        for file in fs::read_dir(&*dir)? {
            let file = file?;
            match parse(&file.file_name().to_string_lossy()) {
                Some(digest) => index.insert(digest, ()),
                // Half a file of a process that was killed.
                None => fs::remove_file(file.path())?,
            }
        }
        let (writes, mut queue) = mpsc::channel(QUEUE);
        let this = Self { dir, index: Arc::new(index), writes };
        let (dir, index) = (this.dir.clone(), this.index.clone());
        // Ends when the last handle is dropped.
        std::thread::Builder::new().name("contents".to_owned()).spawn(move || {
            while let Some(write) = queue.blocking_recv() {
                match write {
                    Write::Keep(digest, contents) => {
                        if let Err(error) = keep(&dir, &index, digest, &contents) {
                            tracing::warn!(%error, dir = %dir.display(), "contents were not kept");
                        }
                    }
                    #[cfg(test)]
                    Write::Flush(done) => drop(done.send(())),
                }
            }
        })?;
        Ok(this)
    }

    /// Writes contents down in the background.
    pub(crate) fn keep(&self, digest: Digest, contents: Bytes) {
        if self.index.get(&digest).is_none() {
            // A full queue means a slow disk.
            let _ = self.writes.try_send(Write::Keep(digest, contents));
        }
    }

    /// The contents, verified.
    pub(crate) async fn get(&self, digest: Digest) -> Option<Bytes> {
        self.index.get(&digest)?;
        let path = self.path(&digest);
        let read = tokio::task::spawn_blocking(move || {
            let contents = fs::read(path).ok()?;
            (Digest::of(&contents) == digest).then(|| Bytes::from(contents))
        });
        let contents = read.await.ok().flatten();
        if contents.is_none() {
            self.index.remove(&digest);
        }
        contents
    }

    /// Where the contents are, if they are.
    pub(crate) fn path(&self, digest: &Digest) -> PathBuf {
        self.dir.join(name(digest))
    }

    /// Waits until all that was to be kept is.
    #[cfg(test)]
    pub(crate) async fn written(&self) {
        let (done, written) = oneshot::channel();
        self.writes.send(Write::Flush(done)).await.expect("the writer lives");
        written.await.expect("the writer answers");
    }
}

type Index = Cache<Digest, (), ByBlocks, DefaultHashBuilder, Remove>;

fn keep(dir: &Path, index: &Index, digest: Digest, contents: &[u8]) -> io::Result<()> {
    let path = dir.join(name(&digest));
    let half = path.with_extension("part");
    fs::write(&half, contents)?;
    fs::rename(&half, &path)?;
    index.insert(digest, ());
    Ok(())
}

fn name(digest: &Digest) -> String {
    format!("{}-{}", digest.hex(), digest.size)
}

fn parse(name: &str) -> Option<Digest> {
    let (hash, size) = name.split_once('-')?;
    Digest::parse(hash, size.parse().ok()?).ok()
}

#[derive(Clone)]
struct ByBlocks;

impl Weighter<Digest, ()> for ByBlocks {
    fn weight(&self, digest: &Digest, (): &()) -> u64 {
        digest.size.next_multiple_of(BLOCK)
    }
}

/// A file that has fallen out of the index goes.
#[derive(Clone)]
struct Remove {
    dir: Arc<PathBuf>,
}

impl Lifecycle<Digest, ()> for Remove {
    type RequestState = ();

    fn on_evict(&self, (): &mut (), digest: Digest, (): ()) {
        // One that is gone already is what was wanted.
        let _ = fs::remove_file(self.dir.join(name(&digest)));
    }
}
