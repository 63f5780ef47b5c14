//! The flags that make compilers write the client's paths for the worker's.
//!
//! Compilers compare beginnings of texts, not parts of paths, and so does this. Of several maps that
//! fit a path gcc takes the last; clang took the longest, and of equal ones the first, until 16, and for
//! macros still does; since 17 it takes the last for debug information. So ours come first, none of
//! clang's is for the same text as one of the user's, and equal ones of the user's agree.

use std::collections::{HashMap, HashSet};

use super::{CWD, Rewrite};
use crate::paths::AbsPath;

const DEBUG: &str = "-fdebug-prefix-map=";
const MACRO: &str = "-fmacro-prefix-map=";
const PROFILE: &str = "-fprofile-prefix-map=";
/// All of them in one.
const FILE: &str = "-ffile-prefix-map=";

/// A flag that maps the beginnings of paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Map {
    flag: String,
    left: String,
    /// What it becomes, with the sign before it; empty where there is none.
    right: String,
    /// Bytes of the client's path that this is for.
    of: usize,
}

impl Map {
    pub(super) fn render(&self) -> String {
        format!("{}{}{}", self.flag, self.left, self.right)
    }

    /// Whether it maps more than this and goes for it too.
    pub(super) fn is_within(&self, other: &Self) -> bool {
        self.goes_for(&other.flag) && self.left != other.left && self.left.starts_with(&other.left)
    }

    fn goes_for(&self, flag: &str) -> bool {
        self.flag == flag || self.flag == FILE
    }
}

impl Rewrite {
    /// Where no map of the user's own applies: the cwd and the root as they are.
    ///
    /// A flag each for debug information and for macros: gcc reads the one for all files after those
    /// for macros, wherever it stands, and it would win over the user's own.
    /// And one for the notes of coverage, where there are any.
    pub(super) fn maps<'m>(
        &self,
        coverage: bool,
        users: impl Iterator<Item = &'m Map>,
    ) -> Vec<Map> {
        let (cwd, root) = (self.cwd.as_str(), self.root.as_str().trim_end_matches('/'));
        let map = |flag: &str, left: &str, right: &str| Map {
            flag: flag.to_owned(),
            left: left.to_owned(),
            right: format!("={right}"),
            of: 0,
        };
        let maps = |flag: &'static str| [map(flag, CWD, cwd), map(flag, &self.at, root)];
        let flags = [DEBUG, MACRO, PROFILE].into_iter().take(if coverage { 3 } else { 2 });
        let mut maps: Vec<Map> = flags.flat_map(maps).collect();
        if !self.gcc {
            let users: HashSet<(&str, &str)> =
                users.map(|map| (map.flag.as_str(), map.left.as_str())).collect();
            maps.retain(|map| {
                !users.contains(&(map.flag.as_str(), &map.left))
                    && !users.contains(&(FILE, map.left.as_str()))
            });
        }
        maps
    }

    /// A map of the user's own, from the client's paths, as the maps that do the same on the worker.
    pub(super) fn users_map(&self, flag: &str, value: &str) -> Vec<Map> {
        let mut maps = Vec::new();
        let (from, to) = value.split_once('=').unwrap_or((value, ""));
        let map = |left: &str, right: String| Map {
            flag: flag.to_owned(),
            left: left.to_owned(),
            right,
            of: from.len(),
        };
        let as_it_is = || vec![map(from, value[from.len()..].to_owned())];
        // What of the distribution's it maps has the same name on the worker.
        let is_ours = AbsPath::parse(from).is_ok_and(|from| !from.is_system());
        if !is_ours || from.len() == value.len() {
            return as_it_is();
        }
        let root = self.root.as_str().trim_end_matches('/');
        if let Some(rest) = self.cwd.as_str().strip_prefix(from) {
            maps.push(map(CWD, format!("={to}{rest}")));
        }
        if let Some(rest) = root.strip_prefix(from) {
            maps.push(map(&self.at, format!("={to}{rest}")));
        } else if let Some(rest) = from.strip_prefix(root) {
            maps.push(map(&format!("{}{rest}", self.at), format!("={to}")));
        }
        // Else it maps the worker's own, or nothing.
        if maps.is_empty() { as_it_is() } else { maps }
    }
}

/// Makes clang's maps for one text agree where the longest of the user's is also the last.
///
/// What was longer than another at home may be as long on the worker, where then the first would count.
pub(super) fn agree<'m>(maps: impl DoubleEndedIterator<Item = &'m mut Map>) {
    let mut longest: HashMap<(String, String), (usize, String)> = HashMap::new();
    for map in maps.rev() {
        let later = [map.flag.as_str(), FILE].into_iter().filter_map(|flag| {
            longest.get(&(flag.to_owned(), map.left.clone())).filter(|(of, _)| *of > map.of)
        });
        if let Some((_, right)) = later.max_by_key(|(of, _)| *of) {
            map.right.clone_from(right);
        }
        let entry = longest.entry((map.flag.clone(), map.left.clone())).or_default();
        if map.of >= entry.0 {
            *entry = (map.of, map.right.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{rewrite, rewrite_in};
    use super::*;

    /// In `/home/u/src`, with `/home/u` as the root.
    #[track_caller]
    fn check(compiler: &str, map: &str, mapped: &[&str]) {
        compare(&rewrite(&format!("{compiler} -c a.c")), map, mapped);
    }

    #[track_caller]
    fn compare(rewrite: &Rewrite, map: &str, mapped: &[&str]) {
        let flag = "-fdebug-prefix-map=";
        let maps = rewrite.users_map(flag, map);
        let maps: Vec<_> = maps.iter().map(Map::render).collect();
        let mapped: Vec<_> = mapped.iter().map(|map| format!("{flag}{map}")).collect();
        assert_eq!(maps, mapped, "{map}");
    }

    #[test]
    fn a_map_of_the_user_does_on_the_worker_what_it_did_at_home() {
        let at = "/proc/self/./cwd/..";
        check("gcc", "/home/u=X", &["/proc/self/cwd=X/src", &format!("{at}=X")]);
        check("gcc", "/home=X", &["/proc/self/cwd=X/u/src", &format!("{at}=X/u")]);
        check("gcc", "/home/u/src=.", &["/proc/self/cwd=.", &format!("{at}/src=.")]);
        check("gcc", "/home/u/inc=i", &[&format!("{at}/inc=i")]);
        check("gcc", "../x=/y", &["../x=/y"]);
        check("gcc", "/opt/x=/y", &["/opt/x=/y"]);
        check("clang", "/home/u=X", &["/proc/self/cwd=X/src", &format!("{at}=X")]);
        check("gcc", "/usr/include=i", &["/usr/include=i"]);
    }

    #[test]
    fn so_it_does_where_the_root_is_that_of_the_disk() {
        let rewrite = rewrite_in("/", "gcc -c a.c");
        let at = "/proc/self/./cwd/../../..";
        assert_eq!(rewrite.at, at);
        compare(&rewrite, "/var/x=i", &[&format!("{at}/var/x=i")]);
        compare(&rewrite, "/home=i", &["/proc/self/cwd=i/u/src", &format!("{at}/home=i")]);
        compare(&rewrite, "/usr/include=i", &["/usr/include=i"]);
        let maps = rewrite.maps(false, std::iter::empty());
        let maps = maps.iter().map(Map::render).collect::<Vec<_>>().join(" ");
        assert!(maps.contains(&format!("-fdebug-prefix-map={at}= ")), "{maps}");
    }
}
