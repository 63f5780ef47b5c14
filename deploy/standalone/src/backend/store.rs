//! The files of a backend: blobs and results on disk, bounded, verified, one process at a time.
//!
//! A file comes to be by a rename from `tmp/` and goes by one, under the lock of the index, so what
//! the index says and what a reader finds agree, after a kill too. A file's access time is its last
//! use; its modification time is the same for all, so that no command can depend on it.
//!
//! Everything here blocks; services call it from blocking threads.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use goma_common::{Code, Digest, Error, Result};
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_OMIT};
use tokio_util::sync::CancellationToken;

use super::blob_writer::BlobWriter;
use super::config::OpenError;
use super::index::{Index, Key, Kind};
use super::layout;

/// A use is told to the disk when the last one it knows is older; all are when the store closes.
const SAVE_AFTER: Duration = Duration::from_secs(300);

/// The files of a backend.
pub(super) struct Store {
    dir: PathBuf,
    index: Mutex<Index>,
    /// Read while a file is open that will be executed, written while a process is started: a child
    /// that inherits such a file for a moment would make its execution fail as "text file busy".
    pub(super) exec_gate: RwLock<()>,
    temp: AtomicU64,
    /// Held as long as we live; the system gives it up however we die.
    lock: File,
    /// Cancelled when the directory is free again.
    pub(super) closed: CancellationToken,
}

impl Store {
    /// Takes `dir`, clears what a killed predecessor left, and learns what is there.
    pub(super) fn open(dir: &Path, max_bytes: u64) -> Result<Arc<Self>, OpenError> {
        let (dir, lock) = layout::take(dir)?;
        let mut index = Index::new(max_bytes);
        layout::load(&dir, &mut index)?;
        let store = Arc::new(Self {
            index: Mutex::new(index),
            exec_gate: RwLock::new(()),
            temp: AtomicU64::new(0),
            lock,
            closed: CancellationToken::new(),
            dir,
        });
        let empty = Key { kind: Kind::Blob, digest: Digest::EMPTY };
        let stored = store.put(Digest::EMPTY, b"");
        stored.map_err(|error| layout::unusable(&store.dir, &error))?;
        // It costs nothing and every CAS has it: held for good.
        store.pin(&empty);
        store.shrink();
        Ok(store)
    }

    /// Evicts down to the bound, which may be lower than it was before the start.
    fn shrink(&self) {
        // Nothing is held yet, so there is no bound that cannot be met.
        let _ = self.reserve(0);
    }

    /// A name in `runs/` that nobody else has, for a command to run in.
    pub(super) fn run_path(&self) -> PathBuf {
        self.dir.join("runs").join(self.temp.fetch_add(1, Ordering::Relaxed).to_string())
    }

    /// A name in `tmp/` that nobody else has.
    pub(super) fn temp_path(&self) -> PathBuf {
        self.dir.join("tmp").join(self.temp.fetch_add(1, Ordering::Relaxed).to_string())
    }

    /// Where the file of this key is or would be.
    pub(super) fn path(&self, key: &Key) -> PathBuf {
        layout::path(&self.dir, key)
    }

    /// Counts a use of each and tells which are not there.
    pub(super) fn touch(&self, keys: impl IntoIterator<Item = Key>) -> Vec<Key> {
        let (mut missing, mut stale) = (Vec::new(), Vec::new());
        {
            let mut index = self.index();
            for key in keys {
                match index.touch(&key, now()) {
                    None => missing.push(key),
                    Some(age) if u128::from(age) > SAVE_AFTER.as_nanos() => stale.push(key),
                    Some(_) => {}
                }
            }
        }
        self.save(&stale);
        missing
    }

    /// Which of these blobs are not there; those that are count as used.
    pub(super) fn missing(&self, digests: &[Digest]) -> Vec<Digest> {
        let keys = digests.iter().map(|&digest| Key { kind: Kind::Blob, digest });
        self.touch(keys).into_iter().map(|key| key.digest).collect()
    }

    /// Keeps a file from eviction; false if it is not there. Pair it with [`unpin`](Self::unpin).
    pub(super) fn pin(&self, key: &Key) -> bool {
        self.index().pin(key, now())
    }

    /// Gives files back to eviction.
    pub(super) fn unpin(&self, keys: &[Key]) {
        let mut index = self.index();
        keys.iter().for_each(|key| index.unpin(key));
    }

    /// Opens a file for reading; once open, eviction cannot take it away.
    pub(super) fn open_file(&self, key: &Key) -> Result<File> {
        let not_found = || Error::new(Code::NotFound, format!("no such blob: {}", key.digest));
        if !self.touch([*key]).is_empty() {
            return Err(not_found());
        }
        match File::open(self.path(key)) {
            Ok(file) => Ok(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut index = self.index();
                // Evicted since we asked; or somebody deleted it behind our back: believe the disk.
                if !self.path(key).exists() {
                    index.remove(key);
                }
                Err(not_found())
            }
            Err(error) => Err(io_error("read a blob", &error)),
        }
    }

    /// The whole of a small file.
    pub(super) fn read(&self, key: &Key) -> Result<Vec<u8>> {
        let mut file = self.open_file(key)?;
        let mut contents = Vec::new();
        file.read_to_end(&mut contents).map_err(|error| io_error("read a blob", &error))?;
        Ok(contents)
    }

    /// The whole of a blob that must fit into `limit` bytes.
    pub(super) fn read_blob(&self, digest: Digest, limit: u64) -> Result<Vec<u8>> {
        if digest.size > limit {
            let message = format!("blob {digest} exceeds {limit} bytes");
            return Err(Error::new(Code::InvalidArgument, message));
        }
        self.read(&Key { kind: Kind::Blob, digest })
    }

    /// Stores a blob whose contents are at hand.
    pub(super) fn put(self: &Arc<Self>, digest: Digest, contents: &[u8]) -> Result<()> {
        let found = Digest::of(contents);
        if found != digest {
            let message = format!("contents are {found}, not {digest}");
            return Err(Error::new(Code::InvalidArgument, message));
        }
        self.put_known(digest, contents)
    }

    /// Stores a blob that the caller has just hashed.
    pub(super) fn put_known(self: &Arc<Self>, digest: Digest, contents: &[u8]) -> Result<()> {
        let key = Key { kind: Kind::Blob, digest };
        if self.touch([key]).is_empty() {
            return Ok(());
        }
        self.put_unverified(key, contents)
    }

    /// Stores what is not named by its own hash.
    pub(super) fn put_unverified(self: &Arc<Self>, key: Key, contents: &[u8]) -> Result<()> {
        let mut writer = BlobWriter::begin(self, key.kind, contents.len() as u64)?;
        writer.write_unhashed(contents)?;
        writer.publish(key)
    }

    /// Removes a file that turned out to be worthless.
    pub(super) fn forget(&self, key: &Key) {
        let gone = {
            let mut index = self.index();
            index.remove(key);
            self.discard_locked(key)
        };
        gone.into_iter().for_each(|path| remove(&path));
    }

    /// Makes room for a file that is about to be written.
    pub(super) fn reserve(&self, size: u64) -> Result<()> {
        let gone = {
            let mut index = self.index();
            let evicted = index.reserve(size).map_err(|_| {
                let message = format!("no room for {size} bytes: all the rest is in use");
                Error::new(Code::ResourceExhausted, message)
            })?;
            evicted.iter().filter_map(|key| self.discard_locked(key)).collect::<Vec<_>>()
        };
        gone.iter().for_each(|path| remove(path));
        Ok(())
    }

    pub(super) fn release(&self, size: u64) {
        self.index().release(size);
    }

    /// Lets a complete file appear under its name, unless it is there already. It takes the room
    /// that was `reserved` for it.
    pub(super) fn publish(&self, key: Key, reserved: u64, temp: &Path) -> io::Result<()> {
        let mut index = self.index();
        if key.kind == Kind::Result || !index.contains(&key) {
            layout::rename(temp, &self.path(&key))?;
            index.insert(key, reserved, now());
        }
        index.release(reserved);
        Ok(())
    }

    /// Takes a file's name away while the index is locked; deleting it may take longer and comes after.
    fn discard_locked(&self, key: &Key) -> Option<PathBuf> {
        let gone = self.temp_path();
        fs::rename(self.path(key), &gone).ok().map(|()| gone)
    }

    fn save(&self, keys: &[Key]) {
        for key in keys {
            let Some(used) = self.index().save(key) else { continue };
            let times = Timestamps {
                last_access: Timespec {
                    tv_sec: (used / 1_000_000_000).cast_signed(),
                    tv_nsec: (used % 1_000_000_000).cast_signed(),
                },
                last_modification: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
            };
            // Only the order of eviction after a restart depends on it.
            let _ = rustix::fs::utimensat(CWD, self.path(key), &times, AtFlags::empty());
        }
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let unsaved = self.index().unsaved();
        self.save(&unsaved);
        // A child that has not yet become another program holds a copy of the file: closing ours
        // would not be enough for the moment.
        let _ = self.lock.unlock();
        self.closed.cancel();
    }
}

/// A failure of the disk, in our words.
pub(super) fn io_error(what: &str, error: &io::Error) -> Error {
    let code = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Code::ResourceExhausted,
        _ => Code::Internal,
    };
    Error::new(code, format!("{what}: {error}"))
}

fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path) {
        tracing::warn!(%error, path = %path.display(), "cannot delete an evicted file");
    }
}

/// Nanoseconds since 1970, the unit of a file's access time.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
