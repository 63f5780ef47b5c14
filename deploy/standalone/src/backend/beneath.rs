//! Opening what a command left behind, without ever leaving the directory it was left in.
//!
//! The kernel follows links for us only as long as they stay below the root.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;

use goma_common::{Error, Result};
use rustix::fs::{CWD, Dir, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use super::store::io_error;

/// A file, directory or link, and what it is.
pub(super) struct Opened {
    fd: OwnedFd,
    stat: Stat,
}

impl Opened {
    pub(super) fn file_type(&self) -> FileType {
        FileType::from_raw_mode(self.stat.st_mode)
    }

    pub(super) fn size(&self) -> u64 {
        self.stat.st_size.max(0).cast_unsigned()
    }

    pub(super) fn is_executable(&self) -> bool {
        self.stat.st_mode & 0o100 != 0
    }

    pub(super) fn into_file(self) -> File {
        self.fd.into()
    }
}

/// The root itself, which is a path of ours.
pub(super) fn open_root(path: &Path) -> Result<Opened> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    opened(rustix::fs::openat(CWD, path, flags, Mode::empty()).map_err(failed)?)
}

/// What is at `path` below `dir`, not followed if it is a link; `None` if there is nothing.
pub(super) fn look(dir: &Opened, path: &Path) -> Result<Option<Opened>> {
    open_with(dir, path, OFlags::PATH)
}

/// The same for reading.
pub(super) fn open(dir: &Opened, path: &Path) -> Result<Option<Opened>> {
    // It may have become a pipe since it was looked at, on which an open would hang.
    open_with(dir, path, OFlags::RDONLY | OFlags::NONBLOCK)
}

fn open_with(dir: &Opened, path: &Path, flags: OFlags) -> Result<Option<Opened>> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    match rustix::fs::openat2(&dir.fd, path, flags, Mode::empty(), resolve) {
        Ok(fd) => opened(fd).map(Some),
        // There is no such thing, or only outside.
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV) => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

/// Where a link leads.
pub(super) fn read_link(link: &Opened) -> Result<String> {
    let target = rustix::fs::readlinkat(&link.fd, "", Vec::new()).map_err(failed)?;
    target.into_string().map_err(|_| failed(Errno::ILSEQ))
}

/// The names in a directory, sorted.
pub(super) fn names(dir: &Opened) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(&dir.fd).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name().to_owned();
        if name.as_bytes() != b"." && name.as_bytes() != b".." {
            names.push(name.into_string().map_err(|_| failed(Errno::ILSEQ))?);
        }
    }
    names.sort();
    Ok(names)
}

fn opened(fd: OwnedFd) -> Result<Opened> {
    let stat = rustix::fs::fstat(&fd).map_err(failed)?;
    Ok(Opened { fd, stat })
}

fn failed(error: Errno) -> Error {
    io_error("read an output", &error.into())
}
