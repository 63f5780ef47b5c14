//! The input root of an action as a tree in memory, checked; and which parts of it may be written.
//!
//! Pure but for the directories it asks its caller for. [`stage`](super::stage) makes it real.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use goma_common::{Code, Digest, Error, Result};
use goma_proto::reapi::Directory;

use super::rel_path;
use super::rpc_status;

/// More would be no compile but an attack: a few small directories can name each other to billions.
const MAX_NODES: usize = 1_000_000;
const MAX_DEPTH: usize = 200;

/// A directory of the input root.
#[derive(Debug, Default)]
pub(super) struct Dir {
    pub(super) files: Vec<File>,
    pub(super) symlinks: Vec<Symlink>,
    pub(super) dirs: BTreeMap<String, Dir>,
    /// Commands write here: beside an output, or above one.
    pub(super) writable: bool,
    /// Seen read-only by the command together with all below, so its files may be links to blobs.
    pub(super) linked: bool,
}

/// A file of a directory.
#[derive(Debug)]
pub(super) struct File {
    pub(super) name: String,
    pub(super) digest: Digest,
    pub(super) is_executable: bool,
}

/// A symbolic link of a directory.
#[derive(Debug)]
pub(super) struct Symlink {
    pub(super) name: String,
    pub(super) target: String,
}

/// Reads the tree below `root`. `fetch` gives a directory's message, or `None` where it is missing;
/// what is missing is collected, so that the client hears of everything at once.
pub(super) fn load(
    root: Digest,
    fetch: impl FnMut(Digest) -> Result<Option<Vec<u8>>>,
) -> Result<(Dir, BTreeSet<Digest>)> {
    let mut loader = Loader { fetch, read: HashMap::new(), missing: BTreeSet::new(), nodes: 0 };
    let dir = loader.load(root, 0)?;
    Ok((dir, loader.missing))
}

struct Loader<F> {
    fetch: F,
    read: HashMap<Digest, Rc<Directory>>,
    missing: BTreeSet<Digest>,
    nodes: usize,
}

impl<F: FnMut(Digest) -> Result<Option<Vec<u8>>>> Loader<F> {
    fn load(&mut self, digest: Digest, depth: usize) -> Result<Dir> {
        let directory = self.directory(digest)?;
        self.nodes += 1 + directory.files.len() + directory.symlinks.len();
        if self.nodes > MAX_NODES || depth > MAX_DEPTH {
            return Err(Error::new(Code::InvalidArgument, "the input root is too large or deep"));
        }
        let mut dir = Dir::default();
        let mut names = BTreeSet::new();
        let mut check = |name: &str| {
            rel_path::name("input root", name)?;
            if names.insert(name.to_owned()) {
                return Ok(());
            }
            Err(Error::new(Code::InvalidArgument, format!("input root: {name:?} twice")))
        };
        for node in &directory.files {
            check(&node.name)?;
            let digest = rpc_status::digest(node.digest.as_ref(), &node.name)?;
            let (name, is_executable) = (node.name.clone(), node.is_executable);
            dir.files.push(File { name, digest, is_executable });
        }
        for node in &directory.symlinks {
            check(&node.name)?;
            if node.target.is_empty() || node.target.contains('\0') {
                let message = format!("input root: link {:?} leads nowhere", node.name);
                return Err(Error::new(Code::InvalidArgument, message));
            }
            let (name, target) = (node.name.clone(), node.target.clone());
            dir.symlinks.push(Symlink { name, target });
        }
        for node in &directory.directories {
            check(&node.name)?;
            let digest = rpc_status::digest(node.digest.as_ref(), &node.name)?;
            dir.dirs.insert(node.name.clone(), self.load(digest, depth + 1)?);
        }
        Ok(dir)
    }

    fn directory(&mut self, digest: Digest) -> Result<Rc<Directory>> {
        if let Some(directory) = self.read.get(&digest) {
            return Ok(Rc::clone(directory));
        }
        let directory = match (self.fetch)(digest)? {
            Some(message) => rpc_status::decode("directory", &message)?,
            None => {
                self.missing.insert(digest);
                Directory::default()
            }
        };
        let directory = Rc::new(directory);
        self.read.insert(digest, Rc::clone(&directory));
        Ok(directory)
    }
}

impl Dir {
    /// Adds the contents of all files below to `all`.
    pub(super) fn collect_files(&self, all: &mut BTreeSet<Digest>) {
        all.extend(self.files.iter().map(|file| file.digest));
        self.dirs.values().for_each(|dir| dir.collect_files(all));
    }

    /// Makes the directory at `path` exist and be writable, with all above it. Where a symbolic link
    /// is in the way this stops: what it leads to is the command's affair.
    pub(super) fn make_writable(&mut self, path: &[&str]) -> Result<()> {
        self.writable = true;
        let Some((&first, rest)) = path.split_first() else { return Ok(()) };
        if self.symlinks.iter().any(|link| link.name == first) {
            return Ok(());
        }
        if self.files.iter().any(|file| file.name == first) {
            let message = format!("{first:?} is a file of the inputs, not a directory");
            return Err(Error::new(Code::InvalidArgument, message));
        }
        self.dirs.entry(first.to_owned()).or_default().make_writable(rest)
    }

    /// Makes an output that is a directory already writable to its leaves.
    pub(super) fn make_output_writable(&mut self, path: &[&str]) {
        match path.split_first() {
            Some((&first, rest)) => {
                if let Some(dir) = self.dirs.get_mut(first) {
                    dir.make_output_writable(rest);
                }
            }
            None => {
                self.writable = true;
                self.dirs.values_mut().for_each(|dir| dir.make_output_writable(&[]));
            }
        }
    }
}
