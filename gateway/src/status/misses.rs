//! Why the cache did not answer: what is different from the last time that the same output was made.
//!
//! Of each output that a worker made lately hashes are kept, of its inputs and of what else its action
//! is made of; sixteen bytes an input.

use std::sync::Arc;

use goma_common::{Digest, Tenant};
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use serde::Serialize;

/// Bytes of what is kept.
const ROOM: u64 = 64 << 20;
/// What an output takes beside its inputs, about.
const EACH: u64 = 200;
/// Outputs that are expected, for the table's first size.
const OUTPUTS: usize = 4096;
/// Names of inputs that are told, and characters of each.
const NAMES: usize = 5;
const NAME: usize = 200;

/// What is different.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Miss {
    /// Nothing is known of an earlier one.
    pub(crate) first: bool,
    /// The earlier one was somebody else's.
    pub(crate) others: bool,
    /// Inputs with other contents, by name; the first few.
    pub(crate) changed: Vec<String>,
    /// How many those are in all.
    pub(crate) changes: usize,
    /// Inputs that are new, by name; the first few.
    pub(crate) added: Vec<String>,
    /// How many those are in all.
    pub(crate) additions: usize,
    /// Inputs that are gone.
    pub(crate) removals: usize,
    /// Whether the command line is another.
    pub(crate) arguments: bool,
    /// Whether the compiler, its variables or the platform is another.
    pub(crate) toolchain: bool,
}

impl Miss {
    /// In words.
    pub(crate) fn told(&self) -> String {
        if self.first {
            return "never compiled through this gateway before".to_owned();
        }
        let mut parts = Vec::new();
        let list = |what: &str, count: usize, names: &[String]| {
            let more = if count > names.len() { ", ..." } else { "" };
            format!("{count} {what}: {}{more}", names.join(", "))
        };
        if self.changes > 0 {
            parts.push(list("changed", self.changes, &self.changed));
        }
        if self.additions > 0 {
            parts.push(list("new", self.additions, &self.added));
        }
        if self.removals > 0 {
            parts.push(format!("{} gone", self.removals));
        }
        if self.arguments {
            parts.push("another command line".to_owned());
        }
        if self.toolchain {
            parts.push("another compiler, environment or platform".to_owned());
        }
        if parts.is_empty() {
            return "nothing is different: the backend no longer has the result".to_owned();
        }
        let whose = if self.others { "unlike another user's: " } else { "" };
        format!("{whose}{}", parts.join("; "))
    }
}

/// A compile, as far as it decides about its action.
pub(crate) struct Compile<'a> {
    pub(crate) tenant: Tenant,
    pub(crate) user: &'a str,
    pub(crate) output: &'a str,
    pub(crate) arguments: &'a [String],
    /// Bytes that tell compilers, variables and platforms apart.
    pub(crate) toolchain: Vec<u8>,
    pub(crate) inputs: Vec<(&'a str, Digest)>,
}

/// What was compiled lately.
pub(crate) struct Misses {
    seen: Cache<u64, Arc<Seen>, Weight>,
}

/// Hashes of what an action was made of.
struct Seen {
    arguments: u64,
    toolchain: u64,
    /// Names and contents, sorted.
    inputs: Vec<(u64, u64)>,
}

#[derive(Clone)]
struct Weight;

impl Weighter<u64, Arc<Seen>> for Weight {
    fn weight(&self, _: &u64, seen: &Arc<Seen>) -> u64 {
        // Each is kept under two names.
        EACH + 8 * seen.inputs.len() as u64
    }
}

impl Default for Misses {
    fn default() -> Self {
        Self { seen: Cache::with_weighter(OUTPUTS, ROOM, Weight) }
    }
}

impl Misses {
    /// Compares with the last time, the user's own if there was one, and remembers this one for the next.
    pub(crate) fn compare(&self, compile: &Compile<'_>) -> Miss {
        let Compile { tenant, user, output, .. } = compile;
        let own = short(format!("{tenant:?}\0{user}\0{output}").as_bytes());
        let anybodys = short(format!("{tenant:?}\0\0{output}").as_bytes());
        let known = self.seen.get(&own).map(|seen| (seen, false));
        let known = known.or_else(|| Some((self.seen.get(&anybodys)?, true)));
        let now = Arc::new(Seen::of(compile));
        let miss = match known {
            None => Miss { first: true, ..Miss::default() },
            Some((before, others)) => Miss { others, ..difference(&before, &now, compile) },
        };
        self.seen.insert(own, now.clone());
        self.seen.insert(anybodys, now);
        miss
    }
}

impl Seen {
    fn of(compile: &Compile<'_>) -> Self {
        let mut inputs: Vec<_> = compile
            .inputs
            .iter()
            .map(|(name, contents)| (short(name.as_bytes()), first(&contents.hash)))
            .collect();
        inputs.sort_unstable();
        let arguments = short(compile.arguments.join("\0").as_bytes());
        Self { arguments, toolchain: short(&compile.toolchain), inputs }
    }

    fn contents(&self, name: u64) -> Option<u64> {
        let at = self.inputs.binary_search_by_key(&name, |(name, _)| *name).ok()?;
        Some(self.inputs[at].1)
    }
}

fn difference(before: &Seen, now: &Seen, compile: &Compile<'_>) -> Miss {
    let mut miss = Miss {
        arguments: before.arguments != now.arguments,
        toolchain: before.toolchain != now.toolchain,
        removals: before.inputs.iter().filter(|(name, _)| now.contents(*name).is_none()).count(),
        ..Miss::default()
    };
    for (name, contents) in &compile.inputs {
        let (names, count) = match before.contents(short(name.as_bytes())) {
            Some(then) if then == first(&contents.hash) => continue,
            Some(_) => (&mut miss.changed, &mut miss.changes),
            None => (&mut miss.added, &mut miss.additions),
        };
        *count += 1;
        if names.len() < NAMES {
            names.push(name.chars().take(NAME).collect());
        }
    }
    miss
}

/// Of these bytes alone, on every machine.
fn short(bytes: &[u8]) -> u64 {
    first(&Digest::of(bytes).hash)
}

fn first(hash: &[u8; 32]) -> u64 {
    hash.iter().take(8).fold(0, |short, byte| short << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compile<'a>(
        user: &'a str,
        inputs: &[(&'a str, &[u8])],
        arguments: &'a [String],
    ) -> Compile<'a> {
        Compile {
            tenant: Tenant::default(),
            user,
            output: "a.o",
            arguments,
            toolchain: b"gcc".to_vec(),
            inputs: inputs.iter().map(|(name, contents)| (*name, Digest::of(contents))).collect(),
        }
    }

    #[test]
    fn what_is_different_is_named() {
        let misses = Misses::default();
        let (plain, other) = (["-c".to_owned()], ["-c".to_owned(), "-O2".to_owned()]);
        let first = misses.compare(&compile("ann", &[("a.c", b"1"), ("a.h", b"1")], &plain));
        assert!(first.first, "{first:?}");
        let changed = misses.compare(&compile("ann", &[("a.c", b"1"), ("a.h", b"2")], &plain));
        assert_eq!(changed.told(), "1 changed: a.h");
        let added = misses.compare(&compile("ann", &[("a.c", b"1"), ("b.h", b"2")], &other));
        assert_eq!(added.told(), "1 new: b.h; 1 gone; another command line");
        let same = misses.compare(&compile("ann", &[("a.c", b"1"), ("b.h", b"2")], &other));
        assert!(same.told().contains("no longer has the result"), "{same:?}");
        let bob = misses.compare(&compile("bob", &[("a.c", b"3"), ("b.h", b"2")], &other));
        assert_eq!(bob.told(), "unlike another user's: 1 changed: a.c");
        let ann = misses.compare(&compile("ann", &[("a.c", b"1"), ("b.h", b"2")], &other));
        assert!(!ann.others && ann.changes == 0, "her own counts: {ann:?}");
    }

    #[test]
    fn few_of_many_names_are_told() {
        let misses = Misses::default();
        misses.compare(&compile("ann", &[], &[]));
        let names: Vec<String> = (0..100).map(|n| format!("{n}.h")).collect();
        let inputs: Vec<(&str, &[u8])> =
            names.iter().map(|name| (name.as_str(), b"1".as_slice())).collect();
        let miss = misses.compare(&compile("ann", &inputs, &[]));
        assert_eq!((miss.additions, miss.added.len()), (100, NAMES));
        assert!(miss.told().ends_with(", ..."), "{}", miss.told());
    }
}
