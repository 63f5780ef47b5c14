//! A directory that a command left behind, as a Tree.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use goma_common::{Code, Digest, Error, Result};
use goma_proto::reapi::{self, Directory};
use prost::Message as _;
use rustix::fs::FileType;

use super::beneath::{self, Opened};
use super::collect;
use super::store::Store;

const MAX_DEPTH: usize = 200;

/// Where it is now.
pub(super) struct Stored {
    pub(super) tree: Digest,
    /// Its Directory, if the client wants to have those too.
    pub(super) root: Option<Digest>,
}

/// Stores all that is in `dir`.
pub(super) fn store(store: &Arc<Store>, dir: &Opened, with_directories: bool) -> Result<Stored> {
    let (children, seen) = (Vec::new(), HashSet::new());
    let mut walk = Walk { store, with_directories, children, seen };
    let directory = walk.directory(dir, 0)?;
    let root = with_directories.then(|| walk.put(&directory)).transpose()?;
    let tree = reapi::Tree { root: Some(directory), children: walk.children };
    Ok(Stored { tree: collect::put(store, &tree.encode_to_vec())?, root })
}

/// A walk through the directories of one output.
struct Walk<'a> {
    store: &'a Arc<Store>,
    with_directories: bool,
    children: Vec<Directory>,
    seen: HashSet<Digest>,
}

impl Walk<'_> {
    fn directory(&mut self, dir: &Opened, depth: usize) -> Result<Directory> {
        if depth > MAX_DEPTH {
            return Err(Error::new(Code::InvalidArgument, "an output directory is too deep"));
        }
        let mut directory = Directory::default();
        for name in beneath::names(dir)? {
            self.entry(dir, name, depth, &mut directory)?;
        }
        Ok(directory)
    }

    fn entry(
        &mut self,
        dir: &Opened,
        name: String,
        depth: usize,
        directory: &mut Directory,
    ) -> Result<()> {
        let path = Path::new(&name);
        let Some(found) = beneath::look(dir, path)? else { return Ok(()) };
        match found.file_type() {
            FileType::RegularFile => {
                let Some(file) = beneath::open(dir, path)? else { return Ok(()) };
                let is_executable = file.is_executable();
                let digest = Some(collect::store_file(self.store, file)?.into());
                let node = reapi::FileNode { name, digest, is_executable, node_properties: None };
                directory.files.push(node);
            }
            FileType::Directory => {
                let Some(child) = beneath::open(dir, path)? else { return Ok(()) };
                let child = self.directory(&child, depth + 1)?;
                let digest = match self.with_directories {
                    true => self.put(&child)?,
                    false => Digest::of(&child.encode_to_vec()),
                };
                if self.seen.insert(digest) {
                    self.children.push(child);
                }
                let digest = Some(digest.into());
                directory.directories.push(reapi::DirectoryNode { name, digest });
            }
            FileType::Symlink => {
                let target = beneath::read_link(&found)?;
                let node = reapi::SymlinkNode { name, target, node_properties: None };
                directory.symlinks.push(node);
            }
            // Sockets and devices have no contents.
            _ => {}
        }
        Ok(())
    }

    fn put(&self, directory: &Directory) -> Result<Digest> {
        collect::put(self.store, &directory.encode_to_vec())
    }
}
