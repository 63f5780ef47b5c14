//! The input root as Merkle directories. Pure.
//!
//! Files are put down by directory, in the order in which they come, and sorted once at the end; a
//! compile has hundreds of them in a few dozens of directories.

use std::collections::BTreeMap;

use bytes::Bytes;
use goma_common::Digest;
use goma_common::shards::Blob;

use super::directory::Directory;
use crate::paths::AbsPath;
use crate::refusal::{Refusal, impossible};

/// A tree under construction. It borrows the paths that it is given.
pub(crate) struct Tree<'a> {
    root: &'a AbsPath,
    dirs: Vec<Dir<'a>>,
    /// Places in `dirs` by the way down from the root. Those that hold nothing but directories may be absent.
    places: BTreeMap<&'a str, usize>,
    /// The one that was last asked for: most files stand beside the one before them.
    last: (&'a str, usize),
}

/// Files of a directory; most have about as many, and to grow is to move them.
const USUAL_FILES: usize = 16;

/// A directory under construction.
#[derive(Default)]
struct Dir<'a> {
    entries: Vec<Entry<'a>>,
    subdirs: Vec<Subdir<'a>>,
    /// A path that leads into it; none for the root.
    via: Option<&'a AbsPath>,
}

struct Entry<'a> {
    name: &'a str,
    path: &'a AbsPath,
    node: Node<'a>,
}

enum Node<'a> {
    File { digest: Digest, executable: bool },
    Symlink { target: &'a str },
}

struct Subdir<'a> {
    name: &'a str,
    via: Option<&'a AbsPath>,
    digest: Digest,
}

/// A finished tree.
pub(crate) struct Merkle {
    /// The digest of its root.
    pub(crate) root: Digest,
    /// Its directories, the root too, each once.
    pub(crate) directories: Vec<Blob>,
}

impl<'a> Tree<'a> {
    /// An empty directory.
    pub(crate) fn new(root: &'a AbsPath) -> Self {
        let places = BTreeMap::from([("", 0)]);
        Self { root, dirs: vec![Dir::default()], places, last: ("", 0) }
    }

    /// Adds a file. The same file again is fine, also under another spelling of its path.
    ///
    /// # Errors
    /// [`Refusal::Impossible`] when it is outside of the root.
    pub(crate) fn file(
        &mut self,
        path: &'a AbsPath,
        digest: Digest,
        executable: bool,
    ) -> Result<(), Refusal> {
        self.entry(path, Node::File { digest, executable })
    }

    /// Adds a symlink.
    ///
    /// # Errors
    /// As [`Tree::file`].
    pub(crate) fn symlink(&mut self, path: &'a AbsPath, target: &'a str) -> Result<(), Refusal> {
        self.entry(path, Node::Symlink { target })
    }

    /// Makes sure that a directory exists.
    pub(crate) fn dir(&mut self, path: &'a AbsPath) {
        self.at(path.below(self.root).unwrap_or(""), Some(path));
    }

    fn entry(&mut self, path: &'a AbsPath, node: Node<'a>) -> Result<(), Refusal> {
        let Some(below) = path.below(self.root).filter(|below| !below.is_empty()) else {
            return impossible(format!("{path} is outside of the input root {}", self.root));
        };
        let (dir, name) = split(below);
        let entries = &mut self.at(dir, Some(path)).entries;
        if entries.capacity() == 0 {
            entries.reserve(USUAL_FILES);
        }
        entries.push(Entry { name, path, node });
        Ok(())
    }

    fn at(&mut self, dir: &'a str, via: Option<&'a AbsPath>) -> &mut Dir<'a> {
        if self.last.0 != dir {
            let place = *self.places.entry(dir).or_insert_with(|| {
                self.dirs.push(Dir { via, ..Dir::default() });
                self.dirs.len() - 1
            });
            self.last = (dir, place);
        }
        &mut self.dirs[self.last.1]
    }

    /// Hashes all directories, from the leaves up. With a `base`, the tree is a directory of that
    /// name in the root.
    ///
    /// # Errors
    /// [`Refusal::Impossible`] when a path is given as two different things.
    pub(crate) fn finish(mut self, base: Option<&str>) -> Result<Merkle, Refusal> {
        let mut directories = Vec::with_capacity(self.dirs.len() + 1);
        let mut add = |contents: Vec<u8>| {
            let contents = Bytes::from(contents);
            let digest = Digest::of(&contents);
            directories.push(Blob { digest, contents: Some(contents) });
            digest
        };
        let mut root = Digest::EMPTY;
        // A directory's path begins with that of its parent, which therefore comes later here.
        while let Some((path, place)) = self.places.pop_last() {
            let dir = std::mem::take(&mut self.dirs[place]);
            let via = dir.via;
            let digest = add(dir.encode()?);
            if path.is_empty() {
                root = digest;
                continue;
            }
            let (parent, name) = split(path);
            self.at(parent, via).subdirs.push(Subdir { name, via, digest });
        }
        if let Some(base) = base {
            let mut around = Directory::default();
            around.directory(base, root);
            root = add(around.finish());
        }
        directories.sort_unstable_by_key(|blob| blob.digest);
        directories.dedup_by_key(|blob| blob.digest);
        Ok(Merkle { root, directories })
    }
}

impl Dir<'_> {
    /// Names sorted as REAPI wants them.
    fn encode(mut self) -> Result<Vec<u8>, Refusal> {
        // Stable: of equal names the first counts. Clients name most of their files in order.
        self.entries.sort_by_key(|entry| entry.name);
        self.subdirs.sort_unstable_by_key(|subdir| subdir.name);
        let mut met = Ok(());
        self.entries.dedup_by(|entry, known| {
            let is_known = known.name == entry.name;
            if is_known && met.is_ok() {
                met = known.meet(entry);
            }
            is_known
        });
        met?;
        let entries = &self.entries;
        let names = entries.iter().map(|entry| entry.name.len()).sum::<usize>()
            + self.subdirs.iter().map(|subdir| subdir.name.len()).sum::<usize>();
        let mut directory = Directory::with_room_for(entries.len() + self.subdirs.len(), names);
        for entry in entries {
            if let Node::File { digest, executable } = entry.node {
                directory.file(entry.name, digest, executable);
            }
        }
        for Subdir { name, via, digest } in &self.subdirs {
            if let Ok(at) = entries.binary_search_by_key(name, |entry| entry.name) {
                let path = via.unwrap_or(entries[at].path);
                return impossible(format!("{path} leads through a file"));
            }
            directory.directory(name, *digest);
        }
        for entry in entries {
            if let Node::Symlink { target } = entry.node {
                directory.symlink(entry.name, target);
            }
        }
        Ok(directory.finish())
    }
}

impl Entry<'_> {
    /// The same path is given again.
    fn meet(&mut self, other: &Entry<'_>) -> Result<(), Refusal> {
        let path = self.path;
        match (&mut self.node, &other.node) {
            (Node::File { digest, executable }, Node::File { digest: other, executable: also })
                if digest == other =>
            {
                *executable |= also;
                Ok(())
            }
            (Node::File { .. }, Node::File { .. }) => {
                impossible(format!("{path} is given two different contents"))
            }
            (Node::Symlink { target }, Node::Symlink { target: other }) if target == other => {
                Ok(())
            }
            // Clients follow links when they name inputs: the file is there by its contents.
            (Node::File { .. }, Node::Symlink { .. }) => Ok(()),
            (Node::Symlink { .. }, _) => {
                impossible(format!("{path} is given as a symlink and as something else"))
            }
        }
    }
}

/// The directory and the name of a path below the root.
fn split(below: &str) -> (&str, &str) {
    below.rsplit_once('/').unwrap_or(("", below))
}

#[cfg(test)]
mod model;

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> AbsPath {
        AbsPath::parse(text).expect("a path")
    }

    #[test]
    fn order_and_spelling_do_not_change_the_root() {
        let root = path("/r");
        let files = [("/r/b/x.h", "x"), ("/r/a.c", "a"), ("/r/b/c/y.h", "y"), ("/r/b-c/z.h", "z")]
            .map(|(name, contents)| (path(name), contents));
        let obj = path("/r/obj");
        let build = |order: &[usize]| {
            let mut tree = Tree::new(&root);
            for &at in order {
                let (path, contents) = &files[at];
                tree.file(path, Digest::of(contents.as_bytes()), false).expect("fits");
            }
            tree.dir(&obj);
            tree.finish(None).expect("fits").root
        };
        assert_eq!(build(&[0, 1, 2, 3]), build(&[3, 2, 1, 0, 1]));
        assert_ne!(build(&[0, 1, 2]), build(&[0, 1]));
    }

    #[test]
    fn a_golden_root() {
        // Changing this loses every user's cache.
        let [root, a, cc, gcc, obj] =
            ["/r", "/r/src/a.c", "/r/bin/cc", "/r/bin/gcc", "/r/obj"].map(path);
        let mut tree = Tree::new(&root);
        tree.file(&a, Digest::of(b"int a;\n"), false).expect("fits");
        tree.file(&cc, Digest::of(b"#!"), true).expect("fits");
        tree.symlink(&gcc, "cc").expect("fits");
        tree.dir(&obj);
        let merkle = tree.finish(None).expect("fits");
        assert_eq!(merkle.directories.len(), 4);
        assert_eq!(merkle.root.to_string(), GOLDEN);
    }

    const GOLDEN: &str = "aa29a3da1b2f389765550727884c3c0204afff16f9d91a3a3587d7102eef6817/229";

    #[test]
    fn contradictions_are_named() {
        let [root, a, below_a, other] = ["/r", "/r/a", "/r/a/b/c", "/other"].map(path);
        let one = Digest::of(b"1");
        fn tree<'a>(
            [root, a]: [&'a AbsPath; 2],
            more: impl FnOnce(&mut Tree<'a>) -> Result<(), Refusal>,
        ) -> Result<Merkle, Refusal> {
            let mut tree = Tree::new(root);
            tree.file(a, Digest::of(b"1"), false)?;
            more(&mut tree)?;
            tree.finish(None)
        }
        let start = [&root, &a];
        assert!(tree(start, |tree| tree.file(&a, one, true)).is_ok());
        assert!(tree(start, |tree| tree.symlink(&a, "b")).is_ok());
        for (result, words) in [
            (tree(start, |tree| tree.file(&a, Digest::of(b"2"), false)), "two different contents"),
            (tree(start, |tree| tree.file(&below_a, one, false)), "/r/a/b/c leads through a file"),
            (
                tree(start, |tree| {
                    tree.dir(&a);
                    Ok(())
                }),
                "through a file",
            ),
            (tree(start, |tree| tree.file(&other, one, false)), "outside"),
        ] {
            match result {
                Err(Refusal::Impossible(why)) => assert!(why.contains(words), "{why}"),
                _ => panic!("not refused: {words}"),
            }
        }
    }

    #[test]
    fn a_base_is_a_directory_around_the_tree() {
        let [root, a, below] = ["/r", "/r/a", "/r/goma/a"].map(path);
        let build = |path, base| {
            let mut tree = Tree::new(&root);
            tree.file(path, Digest::of(b"1"), false).expect("fits");
            tree.finish(base).expect("fits").root
        };
        assert_eq!(build(&a, Some("goma")), build(&below, None));
    }
}
