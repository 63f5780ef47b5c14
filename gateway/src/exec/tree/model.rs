//! Trees against a straightforward model: maps within maps, hashed by walking down.

use std::collections::{BTreeMap, BTreeSet};

use goma_common::Digest;
use goma_proto::reapi::{self, DirectoryNode, FileNode, SymlinkNode};
use prost::Message;

use super::{Merkle, Tree};
use crate::paths::AbsPath;

const TREES: u64 = 2000;
/// Some of which are also names of files, and some of which sort otherwise as paths than as names.
const DIRS: [&str; 5] = ["a", "a-b", "b", "\u{e9}", "x.h"];
const FILES: [&str; 6] = ["a", "a.c", "x.h", "z", "A", "\u{4e16}"];

type Dir = BTreeMap<String, Node>;

enum Node {
    Dir(Dir),
    File(Digest, bool),
    Link(String),
}

/// What is put down, by its way from the root.
enum Put {
    File(Digest, bool),
    Link(String),
    Dir,
}

/// Puts it there; `None` where the ways of two things contradict each other.
fn put(dir: &mut Dir, way: &[&str], what: &Put) -> Option<()> {
    if let [name, rest @ ..] = way
        && (!rest.is_empty() || matches!(what, Put::Dir))
    {
        let node = dir.entry((*name).to_owned()).or_insert_with(|| Node::Dir(Dir::new()));
        return match node {
            Node::Dir(_) if rest.is_empty() => Some(()),
            Node::Dir(inner) => put(inner, rest, what),
            _ => None,
        };
    }
    let [name] = way else { return Some(()) };
    match (dir.get_mut(*name), what) {
        (None, Put::File(digest, executable)) => {
            drop(dir.insert((*name).to_owned(), Node::File(*digest, *executable)));
        }
        (None, Put::Link(target)) => {
            drop(dir.insert((*name).to_owned(), Node::Link(target.clone())));
        }
        (Some(Node::File(known, executable)), Put::File(digest, also)) if known == digest => {
            *executable |= also;
        }
        (Some(Node::Link(known)), Put::Link(target)) if known == target => {}
        _ => return None,
    }
    Some(())
}

/// Its digest; all that are met go into `met`.
fn digest(dir: &Dir, met: &mut BTreeSet<Digest>) -> Digest {
    let mut message = reapi::Directory::default();
    for (name, node) in dir {
        let name = name.clone();
        match node {
            Node::Dir(inner) => {
                let digest = Some(digest(inner, met).into());
                message.directories.push(DirectoryNode { name, digest });
            }
            Node::File(digest, is_executable) => message.files.push(FileNode {
                name,
                digest: Some((*digest).into()),
                is_executable: *is_executable,
                ..Default::default()
            }),
            Node::Link(target) => message.symlinks.push(SymlinkNode {
                name,
                target: target.clone(),
                ..Default::default()
            }),
        }
    }
    let digest = Digest::of(&message.encode_to_vec());
    met.insert(digest);
    digest
}

/// So many things at random ways, of which few contradict each other.
fn random(rng: &mut fastrand::Rng) -> Vec<(String, Put)> {
    let things = rng.usize(0..30);
    let thing = |_| {
        let mut way: Vec<String> =
            (0..rng.usize(0..4)).map(|_| DIRS[rng.usize(..DIRS.len())].to_owned()).collect();
        let what = match rng.u8(..10) {
            0 if !way.is_empty() => Put::Dir,
            1 => {
                way.push(format!("link{}", rng.u8(..3)));
                Put::Link("to".to_owned())
            }
            _ => {
                way.push(FILES[rng.usize(..FILES.len())].to_owned());
                let other = rng.u8(..100) == 0;
                let contents = if other { "other".to_owned() } else { way.join("/") };
                Put::File(Digest::of(contents.as_bytes()), rng.u8(..4) == 0)
            }
        };
        (way.join("/"), what)
    };
    (0..things).map(thing).collect()
}

fn built(root: &AbsPath, things: &[(AbsPath, &Put)], base: Option<&str>) -> Option<Merkle> {
    let mut tree = Tree::new(root);
    for (path, what) in things {
        match what {
            Put::File(digest, executable) => tree.file(path, *digest, *executable).ok()?,
            Put::Link(target) => tree.symlink(path, target).ok()?,
            Put::Dir => tree.dir(path),
        }
    }
    tree.finish(base).ok()
}

#[test]
fn a_tree_has_the_digest_of_its_directories_as_one_would_write_them_down() {
    let (mut whole, mut contradictions) = (0, 0);
    for seed in 0..TREES {
        let mut rng = fastrand::Rng::with_seed(seed);
        let things = random(&mut rng);
        let base = rng.bool().then_some("goma");
        let root = AbsPath::parse(["/", "/r", "/home/u"][rng.usize(..3)]).expect("a path");
        let mut model = Some(Dir::new());
        for (way, what) in &things {
            let way: Vec<&str> = way.split('/').collect();
            model = model.and_then(|mut dir| put(&mut dir, &way, what).map(|()| dir));
        }
        let paths: Vec<_> = things.iter().map(|(way, what)| (root.join(way), what)).collect();
        let merkle = built(&root, &paths, base);
        let Some(mut model) = model else {
            contradictions += 1;
            assert!(merkle.is_none(), "seed {seed}: what contradicts itself was taken");
            continue;
        };
        whole += 1;
        if let Some(base) = base {
            model = Dir::from([(base.to_owned(), Node::Dir(model))]);
        }
        let mut met = BTreeSet::new();
        let expected = digest(&model, &mut met);
        let merkle = merkle.unwrap_or_else(|| panic!("seed {seed}: not taken"));
        assert_eq!(merkle.root, expected, "seed {seed}");
        let made: Vec<Digest> = merkle.directories.iter().map(|blob| blob.digest).collect();
        assert_eq!(made, met.into_iter().collect::<Vec<_>>(), "seed {seed}");
    }
    assert!(whole > 200 && contradictions > 200, "{whole} {contradictions}");
}
