//! Names that differ in case alone: one file on Windows, several on a worker.
//!
//! The least of the spellings is the file or directory, the others are links to it. A compiler then
//! finds it by each of them, and takes it for one file, as `#pragma once` wants.

use std::collections::{BTreeMap, BTreeSet};

use crate::paths::AbsPath;

/// The spellings of each name.
#[derive(Debug, Default)]
pub(super) struct Spellings {
    /// By the whole path in lower case.
    names: BTreeMap<String, Name>,
    /// Whether any has several.
    several: bool,
}

#[derive(Debug, Default)]
struct Name {
    spellings: BTreeSet<String>,
    /// Whether something stands there, or it was only named.
    there: bool,
}

impl Spellings {
    /// A file or directory of the compile.
    pub(super) fn there(&mut self, path: &AbsPath) {
        self.add(path, true);
    }

    /// A path on the command line: one of nothing, maybe.
    pub(super) fn named(&mut self, path: &AbsPath) {
        self.add(path, false);
    }

    fn add(&mut self, path: &AbsPath, there: bool) {
        let mut lower = String::new();
        for part in parts(path) {
            lower.push('/');
            lower.extend(part.chars().flat_map(char::to_lowercase));
            let name = self.names.entry(lower.clone()).or_default();
            name.there |= there;
            if !name.spellings.contains(part) {
                name.spellings.insert(part.to_owned());
                self.several |= name.spellings.len() > 1;
            }
        }
    }

    /// A path by the spellings that stand for the others.
    pub(super) fn canonical(&self, path: AbsPath) -> AbsPath {
        if !self.several {
            return path;
        }
        let mut lower = String::new();
        let spelled = parts(&path).map(|part| {
            lower.push('/');
            lower.extend(part.chars().flat_map(char::to_lowercase));
            let name = self.names.get(&lower).and_then(|name| name.spellings.first());
            name.map_or(part, String::as_str)
        });
        let spelled: Vec<&str> = spelled.collect();
        if spelled.is_empty() { path } else { AbsPath::root().join(&spelled.join("/")) }
    }

    /// The other spellings of what is there, in order, with the name beside them that each leads to.
    pub(super) fn links(&self) -> Vec<(AbsPath, String)> {
        let several = self.names.iter().filter(|(_, name)| name.there && name.spellings.len() > 1);
        let links = several.flat_map(|(lower, name)| {
            let mut spellings = name.spellings.iter();
            let target = spellings.next().cloned().unwrap_or_default();
            let dir = lower.rsplit_once('/').map_or("", |(dir, _)| dir);
            let dir = self.canonical(AbsPath::root().join(dir.trim_start_matches('/')));
            spellings.map(move |other| (dir.join(other), target.clone()))
        });
        links.collect()
    }
}

fn parts(path: &AbsPath) -> impl Iterator<Item = &str> {
    path.as_str().split('/').filter(|part| !part.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> AbsPath {
        AbsPath::parse(text).expect("a path")
    }

    fn spellings(there: &[&str], named: &[&str]) -> Spellings {
        let mut spellings = Spellings::default();
        there.iter().for_each(|name| spellings.there(&path(name)));
        named.iter().for_each(|name| spellings.named(&path(name)));
        spellings
    }

    #[test]
    fn the_least_spelling_stands_for_the_others_whatever_their_order() {
        let names = ["/w/c/Inc/X.h", "/w/c/inc/x.h", "/w/c/INC/y.h"];
        let mut reversed = names;
        reversed.reverse();
        for names in [names, reversed] {
            let spellings = spellings(&names, &[]);
            assert_eq!(spellings.canonical(path("/w/c/inc/X.h")), path("/w/c/INC/X.h"));
            assert_eq!(spellings.canonical(path("/w/c/iNC/other")), path("/w/c/INC/other"));
            let links = [("/w/c/Inc", "INC"), ("/w/c/inc", "INC"), ("/w/c/INC/x.h", "X.h")];
            let links = links.map(|(link, target)| (path(link), target.to_owned()));
            assert_eq!(spellings.links(), links);
        }
    }

    #[test]
    fn what_has_one_spelling_stays() {
        let one = spellings(&["/w/c/Inc/X.h"], &["/w/c/Inc"]);
        assert_eq!(one.canonical(path("/w/c/inc/x.h")), path("/w/c/inc/x.h"));
        assert!(one.links().is_empty());
    }

    #[test]
    fn what_is_only_named_is_no_target_of_links() {
        let named = spellings(&["/w/c/a.cc"], &["/w/c/NONE", "/w/c/none", "/w/C"]);
        assert_eq!(named.links(), [(path("/w/c"), "C".to_owned())]);
    }
}
