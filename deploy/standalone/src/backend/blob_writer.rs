//! A file on its way into the store: invisible until complete and found to be what it claims.

use std::fs::{self, File, FileTimes, OpenOptions};
use std::io::{ErrorKind, Read, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use goma_common::digest::Hasher;
use goma_common::{Code, Digest, Error, Result};

use super::index::{Key, Kind};
use super::store::{Store, io_error};

/// The modification time of all inputs of all commands: 2000-01-01.
const MODIFIED: Duration = Duration::from_secs(946_684_800);

/// Writes to a temporary file, within room set aside for it; dropping it before the end leaves no trace.
pub(super) struct BlobWriter {
    store: Arc<Store>,
    file: File,
    temp: PathBuf,
    hasher: Hasher,
    kind: Kind,
    reserved: u64,
    written: u64,
}

impl BlobWriter {
    /// Sets room aside for `size` bytes, which must then be the size exactly.
    pub(super) fn begin(store: &Arc<Store>, kind: Kind, size: u64) -> Result<Self> {
        store.reserve(size)?;
        let temp = store.temp_path();
        let mode = if kind == Kind::Program { 0o555 } else { 0o444 };
        let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&temp);
        let file = file.map_err(|error| {
            store.release(size);
            io_error("create a blob", &error)
        })?;
        let (store, hasher) = (Arc::clone(store), Hasher::default());
        Ok(Self { store, file, temp, hasher, kind, reserved: size, written: 0 })
    }

    /// Takes the next piece.
    pub(super) fn write(&mut self, piece: &[u8]) -> Result<()> {
        self.write_unhashed(piece)?;
        self.hasher.update(piece);
        Ok(())
    }

    /// Takes the next piece of what is known to be right, or not named by its hash.
    pub(super) fn write_unhashed(&mut self, piece: &[u8]) -> Result<()> {
        self.written += piece.len() as u64;
        if self.written > self.reserved {
            let message = format!("more than the {} bytes announced", self.reserved);
            return Err(Error::new(Code::InvalidArgument, message));
        }
        self.file.write_all(piece).map_err(|error| io_error("write a blob", &error))
    }

    /// Lets the blob appear, if it is this one.
    pub(super) fn finish(mut self, expected: Digest) -> Result<()> {
        let digest = std::mem::take(&mut self.hasher).finish();
        if digest != expected {
            let message = format!("contents are {digest}, not {expected}");
            return Err(Error::new(Code::InvalidArgument, message));
        }
        let key = Key { kind: self.kind, digest };
        self.publish(key)
    }

    /// Lets the blob appear, whichever it is.
    pub(super) fn finish_any(mut self) -> Result<Digest> {
        let digest = std::mem::take(&mut self.hasher).finish();
        let key = Key { kind: self.kind, digest };
        self.publish(key).map(|()| digest)
    }

    /// Lets the file appear under this key; its contents are the caller's word.
    pub(super) fn publish(mut self, key: Key) -> Result<()> {
        if self.written != self.reserved {
            let message = format!("{} bytes instead of {}", self.written, self.reserved);
            return Err(Error::new(Code::InvalidArgument, message));
        }
        let published = self.file.set_times(times());
        let published = published.and_then(|()| self.store.publish(key, self.reserved, &self.temp));
        published.map_err(|error| io_error("publish a blob", &error))?;
        self.reserved = 0;
        Ok(())
    }
}

/// The times of every file that a command may see: used now, and modified at the same time as all.
pub(super) fn times() -> FileTimes {
    FileTimes::new().set_accessed(SystemTime::now()).set_modified(UNIX_EPOCH + MODIFIED)
}

/// Copies all of `source`, a piece at a time, and hashes it on the way.
pub(super) fn copy(source: &mut impl Read, writer: &mut BlobWriter) -> Result<()> {
    let mut piece = vec![0; 256 << 10];
    loop {
        match source.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(read) => writer.write(&piece[..read])?,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(io_error("copy a blob", &error)),
        }
    }
}

impl Drop for BlobWriter {
    fn drop(&mut self) {
        // After its rename there is nothing of that name.
        let _ = fs::remove_file(&self.temp);
        self.store.release(self.reserved);
    }
}
