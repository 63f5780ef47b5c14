//! The files of directories that are outputs as a whole: the client is given each by its name.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use goma_common::reapi::{Backend, fetch_all};
use goma_common::{Code, Deadline, Digest, Error, Result};
use goma_proto::reapi::{self, Directory, OutputDirectory, OutputFile, Tree};
use prost::Message;

/// Bytes of the list of what is in a directory; one of a thousand files takes a hundred kilobytes.
const MAX_TREE: u64 = 16 << 20;
/// Files of one directory.
const MAX_FILES: usize = 20_000;
/// Directories within each other.
const MAX_DEPTH: usize = 256;

/// What came of the directories.
#[derive(Default)]
pub(super) struct Directories {
    /// By the client's names.
    pub(super) files: Vec<(String, OutputFile)>,
    /// Those that were made and can be told, by the client's names.
    whole: BTreeSet<String>,
}

impl Directories {
    /// Whether a directory is there with all that was made in it.
    pub(super) fn is_whole(&self, name: &str) -> bool {
        self.whole.contains(name)
    }
}

/// Finds the files of those that are `expected`: by the path that the command knows, the client's name.
///
/// # Errors
/// `NotFound` when the CAS has lost a list, `DataLoss` for one that is none.
pub(super) async fn files(
    backend: &Backend,
    expected: &BTreeMap<String, String>,
    made: Vec<OutputDirectory>,
    deadline: Deadline,
) -> Result<Directories> {
    let mut trees = Vec::new();
    for dir in made {
        let Some(name) = expected.get(&dir.path) else { continue };
        let Some(digest) = &dir.tree_digest else {
            return Err(lost(&dir.path, "has no tree"));
        };
        let digest = Digest::try_from(digest)?;
        if digest.size > MAX_TREE {
            return Err(lost(&dir.path, "has more files than a compile makes"));
        }
        trees.push((name, dir.path, digest));
    }
    let digests: Vec<Digest> = trees.iter().map(|(_, _, digest)| *digest).collect();
    let contents = fetch_all(backend, &digests, deadline).await?;
    let mut found = Directories::default();
    for (name, path, digest) in trees {
        let bytes = contents.get(&digest).cloned().unwrap_or_default();
        let tree = Tree::decode(bytes).map_err(|_| lost(&path, "has no tree"))?;
        let before = found.files.len();
        match read(tree, name, &mut found.files) {
            Ok(()) => drop(found.whole.insert(name.clone())),
            Err(Unread::Broken(why)) => return Err(lost(&path, why)),
            // It counts as not made.
            Err(Unread::Link(link)) => {
                tracing::warn!(
                    link,
                    "an output is a symbolic link, which a client cannot be given"
                );
                found.files.truncate(before);
            }
        }
    }
    Ok(found)
}

fn lost(path: &str, why: &str) -> Error {
    Error::new(Code::DataLoss, format!("output directory {path:?} {why}"))
}

/// Why a tree is of no use.
#[derive(Debug, PartialEq, Eq)]
enum Unread {
    Broken(&'static str),
    Link(String),
}

/// The files of a tree below `name`, in the order of their names. Pure.
fn read(tree: Tree, name: &str, into: &mut Vec<(String, OutputFile)>) -> Result<(), Unread> {
    let children: HashMap<Digest, &Directory> =
        tree.children.iter().map(|child| (Digest::of(&child.encode_to_vec()), child)).collect();
    let root = tree.root.as_ref().ok_or(Unread::Broken("has no root"))?;
    let mut walk = Walk { children, into, left: MAX_FILES };
    walk.directory(root, name.trim_end_matches('/'), MAX_DEPTH)
}

struct Walk<'a> {
    children: HashMap<Digest, &'a Directory>,
    into: &'a mut Vec<(String, OutputFile)>,
    /// So many more nodes may be met: a small tree can name one directory in many places.
    left: usize,
}

impl Walk<'_> {
    fn directory(&mut self, directory: &Directory, at: &str, depth: usize) -> Result<(), Unread> {
        let nodes = directory.files.len() + directory.directories.len();
        let too_many = Unread::Broken("has more files than a compile makes");
        self.left = match (self.left.checked_sub(nodes), depth) {
            (None, _) | (_, 0) => return Err(too_many),
            (Some(left), _) => left,
        };
        if let Some(link) = directory.symlinks.first() {
            return Err(Unread::Link(format!("{at}/{}", link.name)));
        }
        for file in &directory.files {
            let path = below(at, &file.name)?;
            let digest: Option<reapi::Digest> = file.digest.clone();
            self.into.push((
                path.clone(),
                OutputFile {
                    path,
                    digest,
                    is_executable: file.is_executable,
                    ..OutputFile::default()
                },
            ));
        }
        for child in &directory.directories {
            let path = below(at, &child.name)?;
            let digest = child.digest.as_ref().and_then(|digest| Digest::try_from(digest).ok());
            let next = digest.and_then(|digest| self.children.get(&digest).copied());
            let next = next.ok_or(Unread::Broken("lacks a directory in its tree"))?;
            self.directory(next, &path, depth - 1)?;
        }
        Ok(())
    }
}

/// A name within a directory, and no way out of it.
fn below(at: &str, name: &str) -> Result<String, Unread> {
    match name {
        "" | "." | ".." => Err(Unread::Broken("has a file without a name")),
        name if name.contains(['/', '\0']) => {
            Err(Unread::Broken("has a file with a path for a name"))
        }
        name => Ok(format!("{at}/{name}")),
    }
}

#[cfg(test)]
mod tests {
    use goma_proto::reapi::{DirectoryNode, FileNode, SymlinkNode};

    use super::*;

    fn file(name: &str) -> FileNode {
        let digest = Some(Digest::of(name.as_bytes()).into());
        FileNode { name: name.to_owned(), digest, ..FileNode::default() }
    }

    fn node(name: &str, directory: &Directory) -> DirectoryNode {
        let digest = Some(Digest::of(&directory.encode_to_vec()).into());
        DirectoryNode { name: name.to_owned(), digest }
    }

    fn names(tree: Tree) -> Result<Vec<String>, Unread> {
        let mut files = Vec::new();
        read(tree, "out/", &mut files)?;
        Ok(files.into_iter().map(|(name, _)| name).collect())
    }

    #[test]
    fn every_file_is_told_below_the_clients_name() {
        let inner = Directory { files: vec![file("B.class")], ..Directory::default() };
        let root = Directory {
            files: vec![file("A.class")],
            directories: vec![node("p", &inner), node("q", &inner)],
            ..Directory::default()
        };
        let tree = Tree { root: Some(root), children: vec![inner] };
        let told = names(tree).expect("a tree");
        assert_eq!(told, ["out/A.class", "out/p/B.class", "out/q/B.class"]);
    }

    #[test]
    fn no_tree_leads_out_or_on_for_ever() {
        let root = |root: Directory, children: Vec<Directory>| Tree { root: Some(root), children };
        for name in ["..", "a/b", ""] {
            let tree = root(Directory { files: vec![file(name)], ..Directory::default() }, vec![]);
            assert!(matches!(names(tree), Err(Unread::Broken(_))), "{name:?}");
        }
        let link =
            SymlinkNode { name: "l".to_owned(), target: "/".to_owned(), ..Default::default() };
        let linked = Directory { symlinks: vec![link], ..Directory::default() };
        assert_eq!(names(root(linked.clone(), vec![])), Err(Unread::Link("out/l".to_owned())));
        let lost = Directory { directories: vec![node("p", &linked)], ..Directory::default() };
        assert!(matches!(names(root(lost, vec![])), Err(Unread::Broken(_))));
        // Each names the next twice: the files of the last are without number.
        let mut children = vec![Directory { files: vec![file("x")], ..Directory::default() }];
        for _ in 0..40 {
            let next = children.last().expect("one");
            let directories = vec![node("a", next), node("b", next)];
            children.push(Directory { directories, ..Directory::default() });
        }
        let top = children.pop().expect("one");
        assert!(matches!(names(root(top, children)), Err(Unread::Broken(_))));
        assert!(names(Tree::default()).is_err());
    }
}
