//! Where a store keeps what: `blobs/`, `programs/`, `results/` in up to 256 directories each, `tmp/`, `runs/`.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use goma_common::Digest;

use super::config::OpenError;
use super::index::{Index, Key, Kind};
use super::scratch;

const KINDS: [Kind; 3] = [Kind::Blob, Kind::Program, Kind::Result];

/// Makes `dir` ours: locked, free of what a killed predecessor was writing, with all its directories.
pub(super) fn take(dir: &Path) -> Result<(PathBuf, File), OpenError> {
    make_dir(dir)?;
    let dir = dir.canonicalize().map_err(OpenError::at(dir))?;
    let lock = lock(&dir)?;
    for temporary in ["tmp", "runs"] {
        let path = dir.join(temporary);
        scratch::remove_tree(&path).map_err(OpenError::at(&path))?;
        make_dir(&path)?;
    }
    for kind in KINDS {
        make_dir(&dir.join(name(kind)))?;
    }
    Ok((dir, lock))
}

/// Puts every file of `dir` into `index`; what cannot be one of ours is deleted.
pub(super) fn load(dir: &Path, index: &mut Index) -> Result<(), OpenError> {
    for kind in KINDS {
        for shard in list(&dir.join(name(kind)))? {
            if shard.is_dir() {
                for file in list(&shard)? {
                    load_file(kind, &file, index)?;
                }
            }
        }
    }
    Ok(())
}

fn list(dir: &Path) -> Result<Vec<PathBuf>, OpenError> {
    let entries = fs::read_dir(dir).map_err(OpenError::at(dir))?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    paths.collect::<io::Result<_>>().map_err(OpenError::at(dir))
}

fn load_file(kind: Kind, path: &Path, index: &mut Index) -> Result<(), OpenError> {
    let metadata = fs::symlink_metadata(path).map_err(OpenError::at(path))?;
    let size = metadata.len();
    match path.file_name().and_then(|name| parse_name(name.to_str()?)) {
        // A power cut may leave a name with fewer bytes than were written.
        Some(digest) if metadata.is_file() && (kind == Kind::Result || digest.size == size) => {
            let used = metadata.atime() * 1_000_000_000 + metadata.atime_nsec();
            index.restore(Key { kind, digest }, size, used.max(0).cast_unsigned());
            Ok(())
        }
        _ => scratch::remove_tree(path).map_err(OpenError::at(path)),
    }
}

/// Where the file of this key is or would be.
pub(super) fn path(dir: &Path, key: &Key) -> PathBuf {
    let mut path = dir.join(name(key.kind));
    path.push(hex::encode(&key.digest.hash[..1]));
    path.push(format!("{}-{}", key.digest.hex(), key.digest.size));
    path
}

/// Lets a file appear at a [`path`], whose directory may be the first of its kind.
pub(super) fn rename(temp: &Path, path: &Path) -> io::Result<()> {
    match fs::rename(temp, path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let dir = path.parent().unwrap_or(path);
            DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
            fs::rename(temp, path)
        }
        result => result,
    }
}

fn parse_name(name: &str) -> Option<Digest> {
    let (hash, size) = name.split_once('-')?;
    Digest::parse(hash, size.parse().ok()?).ok()
}

fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Blob => "blobs",
        Kind::Program => "programs",
        Kind::Result => "results",
    }
}

/// Sources pass through here: nobody else on the machine is to read them.
fn make_dir(path: &Path) -> Result<(), OpenError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(OpenError::at(path))
}

fn lock(dir: &Path) -> Result<File, OpenError> {
    let path = dir.join("lock");
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(OpenError::at(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked(dir.to_owned())),
        Err(TryLockError::Error(error)) => Err(OpenError::at(&path)(error)),
    }
}

/// The failure of something that has no path of its own.
pub(super) fn unusable(dir: &Path, error: &goma_common::Error) -> OpenError {
    OpenError::at(dir)(io::Error::other(error.to_string()))
}
