//! Which parts of an input root are worth a read-only mount, where files cost a link and not a copy.
//!
//! A link costs about a tenth of a copy, a mount about as much as some copies: so only subtrees of
//! some weight, and only so many. Without a sandbox there is no mount, and everything is copied.

use super::input_tree::Dir;

/// Mounts of one sandbox; each makes all that follow a little slower.
const MAX_MOUNTS: usize = 24;

/// Below this a subtree is copied.
const MIN_WEIGHT: u64 = 6;

/// Marks the subtrees to be linked and gives their paths.
pub(super) fn choose(root: &mut Dir) -> Vec<Vec<String>> {
    let mut candidates = Vec::new();
    find(root, &mut Vec::new(), &mut candidates);
    candidates.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
    candidates.truncate(MAX_MOUNTS);
    let chosen: Vec<_> = candidates.into_iter().map(|(_, path)| path).collect();
    for path in &chosen {
        let mut dir = Some(&mut *root);
        for name in path {
            dir = dir.and_then(|dir| dir.dirs.get_mut(name));
        }
        if let Some(dir) = dir {
            dir.linked = true;
        }
    }
    chosen
}

/// The topmost directories that hold nothing writable. All above something writable is writable.
fn find(dir: &Dir, path: &mut Vec<String>, candidates: &mut Vec<(u64, Vec<String>)>) {
    for (name, child) in &dir.dirs {
        path.push(name.clone());
        if child.writable {
            find(child, path, candidates);
        } else {
            let weight = weight(child);
            if weight >= MIN_WEIGHT {
                candidates.push((weight, path.clone()));
            }
        }
        path.pop();
    }
}

/// What copying would cost: each file as one, each 64 KiB as another.
fn weight(dir: &Dir) -> u64 {
    let files = dir.files.iter().map(|file| 1 + file.digest.size / (64 << 10));
    files.sum::<u64>() + dir.dirs.values().map(weight).sum::<u64>()
}

#[cfg(test)]
mod tests {
    use goma_common::Digest;

    use super::super::input_tree::File;
    use super::*;

    fn dir_of(files: usize) -> Dir {
        let file = |number: usize| File {
            name: number.to_string(),
            digest: Digest::of(b"x"),
            is_executable: false,
        };
        Dir { files: (0..files).map(file).collect(), ..Dir::default() }
    }

    #[test]
    fn only_subtrees_without_outputs_are_linked() {
        let mut root = Dir::default();
        for name in ["include", "out", "few"] {
            root.dirs.insert(name.to_owned(), dir_of(if name == "few" { 1 } else { 50 }));
        }
        root.make_writable(&["out", "obj"]).expect("directories");
        assert_eq!(choose(&mut root), [["include"]]);
        assert!(root.dirs["include"].linked && !root.dirs["out"].linked);
    }

    #[test]
    fn a_root_of_outputs_is_copied() {
        let mut root = dir_of(50);
        root.make_writable(&[]).expect("the root");
        assert!(choose(&mut root).is_empty());
    }
}
