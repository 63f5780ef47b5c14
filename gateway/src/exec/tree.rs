//! The input root as Merkle directories. Pure.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use goma_common::Digest;
use goma_common::shards::Blob;
use goma_proto::reapi::{Directory, DirectoryNode, FileNode, SymlinkNode};

use crate::command_blob::blob;
use crate::paths::AbsPath;
use crate::refusal::{Refusal, impossible};

/// A directory under construction, names sorted as REAPI wants them.
#[derive(Default)]
pub(crate) struct Tree {
    entries: BTreeMap<String, Node>,
}

enum Node {
    File { digest: Digest, executable: bool },
    Symlink { target: String },
    Dir(Tree),
}

/// A finished tree.
pub(crate) struct Merkle {
    /// The digest of its root.
    pub(crate) root: Digest,
    /// Its directories, the root too, each once.
    pub(crate) directories: Vec<Blob>,
}

impl Tree {
    /// Adds a file. The same file again is fine, also under another spelling of its path.
    ///
    /// # Errors
    /// [`Refusal::Impossible`] when the path is something else already.
    pub(crate) fn file(
        &mut self,
        root: &AbsPath,
        path: &AbsPath,
        digest: Digest,
        executable: bool,
    ) -> Result<(), Refusal> {
        match self.slot(root, path)? {
            Entry::Vacant(slot) => {
                slot.insert(Node::File { digest, executable });
                Ok(())
            }
            Entry::Occupied(mut slot) => match slot.get_mut() {
                Node::File { digest: known, executable: known_executable } if *known == digest => {
                    *known_executable |= executable;
                    Ok(())
                }
                Node::File { .. } => impossible(format!("{path} is given two different contents")),
                _ => impossible(format!("{path} is given as a file and as something else")),
            },
        }
    }

    /// Adds a symlink.
    ///
    /// # Errors
    /// As [`Tree::file`].
    pub(crate) fn symlink(
        &mut self,
        root: &AbsPath,
        path: &AbsPath,
        target: &str,
    ) -> Result<(), Refusal> {
        match self.slot(root, path)? {
            Entry::Vacant(slot) => {
                slot.insert(Node::Symlink { target: target.to_owned() });
                Ok(())
            }
            Entry::Occupied(slot) => match slot.get() {
                Node::Symlink { target: known } if known == target => Ok(()),
                // Clients follow links when they name inputs: the file is there by its contents.
                Node::File { .. } => Ok(()),
                _ => impossible(format!("{path} is given as a symlink and as something else")),
            },
        }
    }

    /// Makes sure that a directory exists.
    ///
    /// # Errors
    /// [`Refusal::Impossible`] when a part of the way is a file.
    pub(crate) fn dir(&mut self, root: &AbsPath, path: &AbsPath) -> Result<(), Refusal> {
        let below = path.below(root).unwrap_or("");
        let mut dir = self;
        for part in below.split('/').filter(|part| !part.is_empty()) {
            let node =
                dir.entries.entry(part.to_owned()).or_insert_with(|| Node::Dir(Self::default()));
            match node {
                Node::Dir(next) => dir = next,
                _ => return impossible(format!("{path} leads through a file")),
            }
        }
        Ok(())
    }

    fn slot<'a>(
        &'a mut self,
        root: &AbsPath,
        path: &AbsPath,
    ) -> Result<Entry<'a, String, Node>, Refusal> {
        let Some(below) = path.below(root).filter(|below| !below.is_empty()) else {
            return impossible(format!("{path} is outside of the input root {root}"));
        };
        let mut parts = below.split('/').peekable();
        let mut dir = self;
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                return Ok(dir.entries.entry(part.to_owned()));
            }
            let node =
                dir.entries.entry(part.to_owned()).or_insert_with(|| Node::Dir(Self::default()));
            match node {
                Node::Dir(next) => dir = next,
                _ => return impossible(format!("{path} leads through a file")),
            }
        }
        impossible(format!("{path} is outside of the input root {root}"))
    }

    /// The same tree as a directory of this name in another.
    pub(crate) fn nested(self, name: &str) -> Self {
        Self { entries: BTreeMap::from([(name.to_owned(), Node::Dir(self))]) }
    }

    /// Hashes all directories, from the leaves up.
    pub(crate) fn finish(self) -> Merkle {
        let mut directories = Vec::new();
        let root = self.hash(&mut directories);
        directories.sort_unstable_by_key(|blob: &Blob| blob.digest);
        directories.dedup_by_key(|blob| blob.digest);
        Merkle { root, directories }
    }

    fn hash(self, done: &mut Vec<Blob>) -> Digest {
        let mut message = Directory::default();
        for (name, node) in self.entries {
            match node {
                Node::File { digest, executable } => message.files.push(FileNode {
                    name,
                    digest: Some(digest.into()),
                    is_executable: executable,
                    ..Default::default()
                }),
                Node::Symlink { target } => {
                    message.symlinks.push(SymlinkNode { name, target, ..Default::default() });
                }
                Node::Dir(dir) => {
                    let digest = dir.hash(done);
                    message.directories.push(DirectoryNode { name, digest: Some(digest.into()) });
                }
            }
        }
        let blob = blob(&message);
        let digest = blob.digest;
        done.push(blob);
        digest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> AbsPath {
        AbsPath::parse(text).expect("a path")
    }

    #[test]
    fn order_and_spelling_do_not_change_the_root() {
        let root = path("/r");
        let files = [("/r/b/x.h", "x"), ("/r/a.c", "a"), ("/r/b/c/y.h", "y")];
        let build = |order: &[usize]| {
            let mut tree = Tree::default();
            for &at in order {
                let (name, contents) = files[at];
                tree.file(&root, &path(name), Digest::of(contents.as_bytes()), false)
                    .expect("fits");
            }
            tree.dir(&root, &path("/r/obj")).expect("fits");
            tree.finish().root
        };
        assert_eq!(build(&[0, 1, 2]), build(&[2, 1, 0, 1]));
        assert_ne!(build(&[0, 1, 2]), build(&[0, 1]));
    }

    #[test]
    fn a_golden_root() {
        // Changing this loses every user's cache.
        let mut tree = Tree::default();
        let root = path("/r");
        tree.file(&root, &path("/r/src/a.c"), Digest::of(b"int a;\n"), false).expect("fits");
        tree.file(&root, &path("/r/bin/cc"), Digest::of(b"#!"), true).expect("fits");
        tree.symlink(&root, &path("/r/bin/gcc"), "cc").expect("fits");
        tree.dir(&root, &path("/r/obj")).expect("fits");
        let merkle = tree.finish();
        assert_eq!(merkle.directories.len(), 4);
        assert_eq!(merkle.root.to_string(), GOLDEN);
    }

    const GOLDEN: &str = "aa29a3da1b2f389765550727884c3c0204afff16f9d91a3a3587d7102eef6817/229";

    #[test]
    fn contradictions_are_named() {
        let mut tree = Tree::default();
        let root = path("/r");
        tree.file(&root, &path("/r/a"), Digest::of(b"1"), false).expect("fits");
        for (result, words) in [
            (tree.file(&root, &path("/r/a"), Digest::of(b"2"), false), "two different contents"),
            (tree.file(&root, &path("/r/a/b"), Digest::of(b"2"), false), "through a file"),
            (tree.dir(&root, &path("/r/a")), "through a file"),
            (tree.file(&root, &path("/other"), Digest::of(b"2"), false), "outside"),
        ] {
            match result {
                Err(Refusal::Impossible(why)) => assert!(why.contains(words), "{why}"),
                other => panic!("{other:?}"),
            }
        }
    }
}
