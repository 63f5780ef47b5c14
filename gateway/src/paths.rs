//! Paths of POSIX clients, as text: nothing here looks at a disk. Those of Windows are read by
//! [`crate::windows_path`].

use std::fmt;
use std::ops::Range;

use bytestring::ByteString;

/// An absolute path without `.`, `..`, empty parts or a slash at the end; `/` is the root. Clones share
/// its text, and those of a [`Paths`] one text.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct AbsPath(ByteString);

/// A path, and the directories that must exist for the compiler to walk it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Walked {
    /// Where it leads.
    pub(crate) path: AbsPath,
    /// Directories that are entered and left again by a `..`: of several in a row the deepest, which
    /// holds the others up.
    pub(crate) through: Vec<AbsPath>,
}

/// Many paths in one text: a compile has hundreds of inputs, each of which would be allocated by itself.
#[derive(Default)]
pub(crate) struct Paths {
    text: String,
}

impl Paths {
    /// With room for paths of so many bytes together, as far as that is no more than is usual.
    pub(crate) fn with_room_for(bytes: usize) -> Self {
        Self { text: String::with_capacity(bytes.min(USUAL_TEXT)) }
    }

    /// Adds where `name` leads from `dir`: where that stands in the text, and what it leads through.
    pub(crate) fn walk(
        &mut self,
        dir: &AbsPath,
        name: &str,
    ) -> Result<(Range<usize>, Vec<AbsPath>), BadPath> {
        let start = self.text.len();
        let through = dir.walk_onto(name, &mut self.text)?;
        Ok((start..self.text.len(), through))
    }

    /// Adds a path: where it stands in the text.
    pub(crate) fn add(&mut self, path: &AbsPath) -> Range<usize> {
        let start = self.text.len();
        self.text.push_str(path.as_str());
        start..self.text.len()
    }

    /// Bytes of all together.
    pub(crate) fn len(&self) -> usize {
        self.text.len()
    }

    /// What stands there.
    pub(crate) fn at(&self, place: &Range<usize>) -> &str {
        &self.text[place.clone()]
    }

    /// The paths at these places, of which each is where one was added.
    pub(crate) fn into_paths(
        self,
        places: impl IntoIterator<Item = Range<usize>>,
    ) -> impl Iterator<Item = AbsPath> {
        let text = ByteString::from(self.text);
        places.into_iter().map(move |place| AbsPath(text.slice_ref(&text[place])))
    }
}

/// Why a text is no usable path.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BadPath {
    /// It does not start with a slash.
    NotAbsolute,
    /// Its `..` lead above the root.
    AboveRoot,
    /// It is empty or holds a zero byte; on Windows, a colon.
    Malformed,
    /// It has more bytes or parts than a path may.
    TooLong,
    /// On Windows: it is relative to the current directory of a drive.
    InDriveDirectory,
    /// On Windows: it is on a share, or a device.
    OnShare,
}

impl fmt::Display for BadPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAbsolute => "is not an absolute path",
            Self::AboveRoot => "leads above the root directory",
            Self::Malformed => "is empty or holds what no name can",
            Self::TooLong => "is longer than a path may be",
            Self::InDriveDirectory => {
                "is relative to the current directory of a drive: put a backslash behind the colon"
            }
            Self::OnShare => "is on a share or a device: give it a drive letter",
        })
    }
}

/// What belongs to a machine's distribution rather than to a user. A worker has its own.
const SYSTEM: [&str; 8] = ["usr", "lib", "lib32", "lib64", "libx32", "bin", "sbin", "etc"];

/// Bytes of a path, and parts of it: what Linux lets a path be.
const MAX_PATH: usize = 4096;
const MAX_DEPTH: usize = 256;
/// Bytes of the paths of a large compile: 2,000 of 128.
const USUAL_TEXT: usize = 256 << 10;

/// Whether a name is none for its length, with so many bytes and parts to be added to it.
pub(crate) fn is_too_long(name: &str, more: usize, parts: usize) -> bool {
    let (bytes, depth) = (name.len() + more, MAX_DEPTH.saturating_sub(parts));
    // A name that is shorter than that has no more parts than it may.
    bytes > MAX_PATH || name.len() >= depth && name.split(['/', '\\']).count() > depth
}

impl AbsPath {
    /// Cleans an absolute path.
    pub(crate) fn parse(text: &str) -> Result<Self, BadPath> {
        if !text.starts_with('/') {
            return Err(BadPath::NotAbsolute);
        }
        Ok(Self::root().walk(text)?.path)
    }

    /// Follows `name`, absolute or relative to this directory.
    pub(crate) fn walk(&self, name: &str) -> Result<Walked, BadPath> {
        let mut path = String::new();
        let through = self.walk_onto(name, &mut path)?;
        Ok(Walked { path: Self(path.into()), through })
    }

    /// Writes where `name` leads after what stands in `text`; what it leads through.
    fn walk_onto(&self, name: &str, text: &mut String) -> Result<Vec<Self>, BadPath> {
        if name.is_empty() {
            return Err(BadPath::Malformed);
        }
        // Before anything is made of it.
        if is_too_long(name, 0, 0) {
            return Err(BadPath::TooLong);
        }
        let (start, below) = match name.strip_prefix('/') {
            Some(below) => ("", below),
            None => (self.prefix(), name.strip_prefix("./").unwrap_or(name)),
        };
        text.reserve(start.len() + 1 + below.len());
        let before = text.len();
        text.push_str(start);
        // A compile has hundreds of names, nearly all of them clean.
        if is_clean(below) {
            text.push('/');
            text.push_str(below);
            return Ok(Vec::new());
        }
        if name.contains('\0') {
            return Err(BadPath::Malformed);
        }
        let mut through = Vec::new();
        let mut leaving = false;
        for part in below.split('/') {
            match part {
                "" | "." => {}
                ".." => {
                    let path = &text[before..];
                    let Some(at) = path.rfind('/') else { return Err(BadPath::AboveRoot) };
                    if !leaving {
                        through.push(Self(path.into()));
                    }
                    text.truncate(before + at);
                    leaving = true;
                }
                part => {
                    leaving = false;
                    text.push('/');
                    text.push_str(part);
                }
            }
        }
        if text.len() == before {
            text.push('/');
        }
        // The directories of this one exist anyway.
        through.retain(|dir| !self.is_within(dir));
        Ok(through)
    }

    /// `/`.
    pub(crate) fn root() -> Self {
        Self(ByteString::from_static("/"))
    }

    /// A path inside this directory; `below` is clean and relative.
    pub(crate) fn join(&self, below: &str) -> Self {
        Self(format!("{}/{below}", self.prefix()).into())
    }

    /// The text, `/` or without a slash at the end.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands before the slash of a path inside: empty for the root.
    fn prefix(&self) -> &str {
        if self.0 == "/" { "" } else { &self.0 }
    }

    fn from_prefix(prefix: String) -> Self {
        if prefix.is_empty() { Self::root() } else { Self(prefix.into()) }
    }

    /// Whether this is `dir` or lies in it.
    pub(crate) fn is_within(&self, dir: &Self) -> bool {
        self.below(dir).is_some()
    }

    /// The way from `dir` down to this: `""` for `dir` itself, `None` if this is not within it.
    pub(crate) fn below(&self, dir: &Self) -> Option<&str> {
        let rest = self.0.strip_prefix(dir.prefix())?;
        if self.0 == dir.0 { Some("") } else { rest.strip_prefix('/') }
    }

    /// The directory that holds this.
    pub(crate) fn parent(&self) -> Self {
        Self::from_prefix(self.prefix().rsplit_once('/').map_or("", |(dir, _)| dir).to_owned())
    }

    /// The nearest directory that holds both, one of them if it holds the other.
    pub(crate) fn common(&self, other: &Self) -> Self {
        let mut dir = self.clone();
        while !other.is_within(&dir) {
            dir = dir.parent();
        }
        dir
    }

    /// The way from `dir` to this with `..` as needed: `"."` for `dir` itself.
    pub(crate) fn relative_to(&self, dir: &Self) -> String {
        let common = self.common(dir);
        let ups = dir.below(&common).unwrap_or("").split('/').filter(|part| !part.is_empty());
        let mut parts: Vec<&str> = ups.map(|_| "..").collect();
        parts.extend(self.below(&common).filter(|rest| !rest.is_empty()));
        if parts.is_empty() { ".".to_owned() } else { parts.join("/") }
    }

    /// Whether this is part of the machine's distribution.
    pub(crate) fn is_system(&self) -> bool {
        let first =
            self.0[1..].bytes().position(|byte| byte == b'/').map_or(self.0.len(), |n| n + 1);
        SYSTEM.contains(&&self.0[1..first])
    }
}

/// Whether a relative path can be put after a slash as it is; sometimes "no" where it could.
fn is_clean(path: &str) -> bool {
    let bytes = path.as_bytes();
    // A name that begins with a dot is not looked at closer.
    let doubtful = |pair: &[u8]| pair[0] == b'/' && (pair[1] == b'/' || pair[1] == b'.');
    // No early end, so that many bytes are looked at at once.
    let within = bytes.windows(2).fold(false, |any, pair| any | doubtful(pair));
    let zero = bytes.iter().fold(false, |any, byte| any | (*byte == 0));
    !within
        && !zero
        && !matches!(bytes.first(), None | Some(b'/' | b'.'))
        && bytes.last() != Some(&b'/')
}

impl fmt::Display for AbsPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> AbsPath {
        AbsPath::parse(text).expect("a path")
    }

    #[test]
    fn walking_cleans_and_remembers_what_it_went_through() {
        let cwd = path("/home/u/src/");
        let walked = cwd.walk("./inc/x/../../lib//a.h").expect("walks");
        assert_eq!(walked.path, path("/home/u/src/lib/a.h"));
        assert_eq!(walked.through, [path("/home/u/src/inc/x")]);
        let twice = cwd.walk("a/b/../../c/../d").expect("walks");
        assert_eq!(twice.through, [path("/home/u/src/a/b"), path("/home/u/src/c")]);
        let up = cwd.walk("../a.h").expect("walks");
        assert_eq!((up.path, up.through), (path("/home/u/a.h"), vec![]));
        assert_eq!(cwd.walk("/usr/include").expect("walks").path, path("/usr/include"));
        assert_eq!(cwd.walk("./a//b/./c/").expect("walks").path, path("/home/u/src/a/b/c"));
        assert_eq!(cwd.walk("a/.b/..c/d.").expect("walks").path, path("/home/u/src/a/.b/..c/d."));
        assert_eq!(cwd.walk(".").expect("walks").path, cwd);
        assert_eq!(cwd.walk("//usr/..").expect("walks").path, path("/"));
        assert_eq!(cwd.walk("../../../../x"), Err(BadPath::AboveRoot));
        assert_eq!(cwd.walk(""), Err(BadPath::Malformed));
        assert_eq!(AbsPath::parse("a/b"), Err(BadPath::NotAbsolute));
    }

    #[test]
    fn paths_of_one_text_are_those_that_are_walked_alone() {
        let (cwd, mut paths) = (path("/home/u"), Paths::with_room_for(10));
        let names = ["a.h", "/usr/a.h", "..", "../..", "x/../b.h", "./c//d/", "/", "e"];
        let walked = names.map(|name| cwd.walk(name).expect("walks"));
        assert_eq!(cwd.walk("x/../\0"), Err(BadPath::Malformed));
        assert_eq!(paths.walk(&cwd, "a\0b"), Err(BadPath::Malformed));
        let places = names.map(|name| paths.walk(&cwd, name).expect("walks"));
        for (one, (place, through)) in walked.iter().zip(&places) {
            assert_eq!((one.path.as_str(), &one.through), (paths.at(place), through));
        }
        let last = paths.add(&cwd);
        let all = paths.into_paths(places.map(|(place, _)| place).into_iter().chain([last]));
        let alone = walked.into_iter().map(|one| one.path).chain([cwd]);
        assert!(all.eq(alone));
    }

    #[test]
    fn a_name_of_many_ways_up_takes_no_more_room_than_it_has() {
        let (ins, outs) = ("a/".repeat(100), "../".repeat(100));
        let walked = path("/home/u").walk(&format!("{ins}{outs}x")).expect("walks");
        assert_eq!((walked.path, walked.through.len()), (path("/home/u/x"), 1));
        for name in [
            format!("{}{}", "a/".repeat(400_000), "../".repeat(400_000)),
            "d/".repeat(256),
            "d".repeat(4097),
            format!("/{}", "d/".repeat(300)),
        ] {
            assert_eq!(path("/home/u").walk(&name), Err(BadPath::TooLong));
        }
        assert_eq!(AbsPath::parse(&"/d".repeat(256)), Err(BadPath::TooLong));
        assert!(AbsPath::parse(&"/d".repeat(255)).is_ok());
    }

    #[test]
    fn common_and_relative() {
        let (a, b) = (path("/home/u/src/a"), path("/home/u/srcs"));
        assert_eq!(a.common(&b), path("/home/u"));
        assert_eq!(a.common(&path("/opt")), path("/"));
        assert_eq!(a.relative_to(&b), "../src/a");
        assert_eq!(a.relative_to(&a), ".");
        assert_eq!(a.relative_to(&path("/")), "home/u/src/a");
        assert_eq!(path("/").relative_to(&a), "../../../..");
    }

    #[test]
    fn system_is_by_whole_parts() {
        assert!(path("/usr/include/stdio.h").is_system());
        assert!(path("/lib64").is_system());
        assert!(!path("/usrs/x").is_system());
        assert!(!path("/home/usr").is_system());
    }
}
