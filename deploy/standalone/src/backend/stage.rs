//! An input tree made real: directories, links to blobs where they cannot be written, copies elsewhere.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};

use goma_common::{Code, Digest, Error, Result};

use super::blob_writer::{self, BlobWriter};
use super::index::{Key, Kind};
use super::input_tree::{self, Dir};
use super::pins::Pins;
use super::rpc_status;
use super::store::{Store, io_error};

/// Whether this file system can share blocks between files; found out at the first copy.
static REFLINKS: AtomicBool = AtomicBool::new(true);

/// Makes the tree at `path`, which must not exist. The caller holds all blobs of it in `pins`.
pub(super) fn stage(store: &Arc<Store>, pins: &mut Pins, tree: &Dir, path: &Path) -> Result<()> {
    Stage { store, pins }.dir(tree, path, false)
}

struct Stage<'a> {
    store: &'a Arc<Store>,
    pins: &'a mut Pins,
}

impl Stage<'_> {
    fn dir(&mut self, dir: &Dir, path: &Path, linked: bool) -> Result<()> {
        let linked = linked || dir.linked;
        let failed = |error: io::Error| io_error("stage inputs", &error);
        fs::create_dir(path).map_err(failed)?;
        for file in &dir.files {
            let path = path.join(&file.name);
            if !(linked && self.link(file, &path)?) {
                self.copy(file, &path)?;
            }
        }
        for link in &dir.symlinks {
            symlink(&link.target, path.join(&link.name)).map_err(failed)?;
        }
        for (name, child) in &dir.dirs {
            self.dir(child, &path.join(name), linked)?;
        }
        Ok(())
    }

    /// False where a copy has to do, as when a blob has all the links that a file can have.
    fn link(&mut self, file: &input_tree::File, path: &Path) -> Result<bool> {
        let kind = if file.is_executable { Kind::Program } else { Kind::Blob };
        let key = Key { kind, digest: file.digest };
        if kind == Kind::Program && !self.pins.add(key) {
            self.make_program(file.digest)?;
            if !self.pins.add(key) {
                return Ok(false);
            }
        }
        match fs::hard_link(self.store.path(&key), path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(self.lost(&key)),
            Err(_) => Ok(false),
        }
    }

    /// An executable twin of a blob.
    fn make_program(&self, digest: Digest) -> Result<()> {
        let mut source = self.open(digest)?;
        let _open_for_writing = self.store.exec_gate.read().unwrap_or_else(PoisonError::into_inner);
        let mut writer = BlobWriter::begin(self.store, Kind::Program, digest.size)?;
        blob_writer::copy(&mut source, &mut writer)?;
        writer.finish(digest)
    }

    fn copy(&self, file: &input_tree::File, path: &Path) -> Result<()> {
        let failed = |error: io::Error| io_error("stage inputs", &error);
        let mut source = self.open(file.digest)?;
        let (mode, gate) = match file.is_executable {
            true => (0o755, Some(self.store.exec_gate.read())),
            false => (0o644, None),
        };
        let mut target = OpenOptions::new();
        let target = target.write(true).create_new(true).mode(mode).open(path);
        let mut target = target.map_err(failed)?;
        if !reflink(&source, &target) {
            io::copy(&mut source, &mut target).map_err(failed)?;
        }
        target.set_times(blob_writer::times()).map_err(failed)?;
        drop(target);
        drop(gate);
        Ok(())
    }

    fn open(&self, digest: Digest) -> Result<File> {
        let key = Key { kind: Kind::Blob, digest };
        self.store.open_file(&key).map_err(|error| match error.code {
            Code::NotFound => self.lost(&key),
            _ => error,
        })
    }

    /// Pinned and yet not there: somebody else deletes files of ours.
    fn lost(&self, key: &Key) -> Error {
        self.store.forget(key);
        rpc_status::missing(vec![key.digest])
    }
}

fn reflink(source: &File, target: &File) -> bool {
    if !REFLINKS.load(Ordering::Relaxed) {
        return false;
    }
    let shared = rustix::fs::ioctl_ficlone(target, source).is_ok();
    if !shared {
        REFLINKS.store(false, Ordering::Relaxed);
    }
    shared
}
