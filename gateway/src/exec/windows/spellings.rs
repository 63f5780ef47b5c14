//! Names that differ in case alone: one file on Windows, several on a worker.
//!
//! The least of the spellings is the file or directory, the others are links to it. A compiler then
//! finds it by each of them, and takes it for one file, as `#pragma once` wants.

use std::collections::{BTreeSet, HashMap};

use crate::paths::AbsPath;

/// The spellings of each name.
#[derive(Debug)]
pub(super) struct Spellings {
    /// The first is the root.
    names: Vec<Name>,
    /// Where in `names` one is, by the directory that holds it and by itself in lower case.
    found: HashMap<(usize, Box<str>), usize>,
    /// Whether any has several.
    several: bool,
}

#[derive(Debug)]
struct Name {
    dir: usize,
    /// The one that stands for the others.
    least: Box<str>,
    others: BTreeSet<Box<str>>,
    /// Whether something stands there, or it was only named.
    there: bool,
}

impl Default for Spellings {
    fn default() -> Self {
        let root = Name { dir: 0, least: "".into(), others: BTreeSet::new(), there: true };
        Self { names: vec![root], found: HashMap::new(), several: false }
    }
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

    /// Names of which spellings are known.
    pub(super) fn count(&self) -> usize {
        self.names.len()
    }

    fn add(&mut self, path: &AbsPath, there: bool) {
        let mut dir = 0;
        for part in parts(path) {
            let next = self.names.len();
            let at = *self.found.entry((dir, lower(part))).or_insert(next);
            if at == next {
                self.names.push(Name {
                    dir,
                    least: part.into(),
                    others: BTreeSet::new(),
                    there: false,
                });
            }
            let name = &mut self.names[at];
            name.there |= there;
            self.several |= name.spell(part);
            dir = at;
        }
    }

    /// A path by the spellings that stand for the others.
    pub(super) fn canonical(&self, path: AbsPath) -> AbsPath {
        if !self.several {
            return path;
        }
        let mut dir = Some(0);
        let spelled = parts(&path).map(|part| {
            dir = dir.and_then(|dir| self.found.get(&(dir, lower(part))).copied());
            dir.map_or(part, |at| &*self.names[at].least)
        });
        let spelled: Vec<&str> = spelled.collect();
        if spelled.is_empty() { path } else { AbsPath::root().join(&spelled.join("/")) }
    }

    /// The other spellings of what is there, in order, with the name beside them that each leads to.
    pub(super) fn links(&self) -> Vec<(AbsPath, String)> {
        let several = self.names.iter().filter(|name| name.there && !name.others.is_empty());
        let links = several.flat_map(|name| {
            let dir = self.path(name.dir);
            name.others.iter().map(move |other| (dir.join(other), name.least.to_string()))
        });
        let mut links: Vec<_> = links.collect();
        links.sort_unstable();
        links
    }

    fn path(&self, at: usize) -> AbsPath {
        let mut parts = Vec::new();
        let mut at = at;
        while at != 0 {
            parts.push(&*self.names[at].least);
            at = self.names[at].dir;
        }
        parts.reverse();
        if parts.is_empty() { AbsPath::root() } else { AbsPath::root().join(&parts.join("/")) }
    }
}

impl Name {
    /// Adds a spelling; whether there are several now.
    fn spell(&mut self, part: &str) -> bool {
        if *part < *self.least {
            let other = std::mem::replace(&mut self.least, part.into());
            self.others.insert(other);
        } else if *part != *self.least && !self.others.contains(part) {
            self.others.insert(part.into());
        }
        !self.others.is_empty()
    }
}

fn lower(part: &str) -> Box<str> {
    part.chars().flat_map(char::to_lowercase).collect()
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
            let links = [("/w/c/INC/x.h", "X.h"), ("/w/c/Inc", "INC"), ("/w/c/inc", "INC")];
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
