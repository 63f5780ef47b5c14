//! What two machines have in common, and what not. Pure.

use std::fmt;

use serde::Serialize;

use super::seen::Seen;

/// Files of each kind that are named to people; there are all in JSON.
const NAMED: usize = 20;
/// Characters of a value that are told in a line.
const TOLD: usize = 60;

/// How a worker differs from this machine.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// All facts, in the order in which they matter.
    pub facts: Vec<Fact>,
    /// Headers in the directories that the compilers search here.
    pub headers: Headers,
}

/// Something about both.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Fact {
    /// What it is about.
    pub name: String,
    /// How it is here.
    pub here: String,
    /// How it is on the worker; empty where it could not tell.
    pub worker: String,
}

/// Headers of both, by path.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Headers {
    /// How many are the same.
    pub same: usize,
    /// Other contents on the worker.
    pub other: Vec<String>,
    /// Not on the worker.
    pub lacking: Vec<String>,
    /// On the worker alone.
    pub more: Vec<String>,
}

impl Difference {
    pub(super) fn of(here: &Seen, there: &Seen) -> Self {
        let facts = here.facts.iter().map(|(name, value)| Fact {
            name: name.clone(),
            here: value.clone(),
            worker: there.fact(name).to_owned(),
        });
        let mut headers = Headers::default();
        for (path, hash) in &here.files {
            match there.files.get(path) {
                Some(other) if other == hash => headers.same += 1,
                Some(_) => headers.other.push(path.clone()),
                None => headers.lacking.push(path.clone()),
            }
        }
        let more = there.files.keys().filter(|path| !here.files.contains_key(*path));
        headers.more = more.cloned().collect();
        Self { facts: facts.collect(), headers }
    }

    /// Whether compiles of this machine find there all that they have here, and nothing else.
    #[must_use]
    pub fn is_none(&self) -> bool {
        let Headers { other, lacking, more, .. } = &self.headers;
        self.facts.iter().all(Fact::is_same)
            && other.is_empty()
            && lacking.is_empty()
            && more.is_empty()
    }
}

impl Fact {
    fn is_same(&self) -> bool {
        self.here == self.worker
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for fact in &self.facts {
            let here = cut(&fact.here);
            if fact.is_same() {
                writeln!(f, "  {}: {here}", fact.name)?;
            } else {
                let worker = if fact.worker.is_empty() { "cannot tell" } else { cut(&fact.worker) };
                writeln!(f, "! {}: {here}, the worker: {worker}", fact.name)?;
            }
        }
        let Headers { same, other, lacking, more } = &self.headers;
        writeln!(
            f,
            "  headers: {same} are the same, {} other ones, {} only here, {} only on the worker",
            other.len(),
            lacking.len(),
            more.len()
        )?;
        for (what, paths) in [("another", other), ("only here", lacking), ("only there", more)] {
            for path in paths.iter().take(NAMED) {
                writeln!(f, "! {what}: {path}")?;
            }
            if let Some(rest) = paths.len().checked_sub(NAMED + 1) {
                writeln!(f, "! {what}: {} more", rest + 1)?;
            }
        }
        let end = match self.is_none() {
            true => "the worker has what this machine has",
            false => "a compiler that differs is refused; headers that differ are sent along",
        };
        writeln!(f, "{end}")
    }
}

fn cut(value: &str) -> &str {
    value.char_indices().nth(TOLD).map_or(value, |(end, _)| &value[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(facts: &[(&str, &str)], files: &[(&str, &str)]) -> Seen {
        let pair = |(one, other): &(&str, &str)| ((*one).to_owned(), (*other).to_owned());
        Seen { facts: facts.iter().map(pair).collect(), files: files.iter().map(pair).collect() }
    }

    #[test]
    fn what_differs_is_named() {
        let here =
            seen(&[("gcc", "12"), ("proc", "yes")], &[("/a", "1"), ("/b", "1"), ("/c", "1")]);
        let there = seen(&[("gcc", "13")], &[("/a", "1"), ("/b", "2"), ("/d", "1")]);
        let difference = Difference::of(&here, &there);
        assert!(!difference.is_none());
        let headers = &difference.headers;
        assert_eq!((headers.same, &headers.other[..]), (1, &["/b".to_owned()][..]));
        assert_eq!(
            (&headers.lacking[..], &headers.more[..]),
            (&["/c".to_owned()][..], &["/d".to_owned()][..])
        );
        let told = difference.to_string();
        for line in
            ["! gcc: 12, the worker: 13", "! proc: yes, the worker: cannot tell", "! only here: /c"]
        {
            assert!(told.contains(line), "{told}");
        }
        assert!(Difference::of(&here, &here).is_none());
    }

    #[test]
    fn of_many_files_some_are_named() {
        let files: Vec<String> = (0..NAMED + 5).map(|n| format!("/h{n:03}")).collect();
        let files: Vec<(&str, &str)> = files.iter().map(|name| (name.as_str(), "1")).collect();
        let told = Difference::of(&seen(&[], &files), &Seen::default()).to_string();
        assert_eq!(told.matches("only here: /h").count(), NAMED);
        assert!(told.contains("! only here: 5 more"), "{told}");
    }
}
