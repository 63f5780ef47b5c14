//! Finds the paths by which rewritten compiles run, in what was to tell the client's. Pure.

use memchr::memmem;

use super::{CWD, START};

/// Whether something holds a path of the worker: what was to be told otherwise was not.
pub(in crate::exec) fn tells_of_worker(contents: &[u8]) -> bool {
    [CWD, START].iter().any(|path| memmem::find(contents, path.as_bytes()).is_some())
}

/// The same question of what comes in parts.
#[derive(Default)]
pub(crate) struct PathSearch {
    found: bool,
    /// The end of what came, in which a path may have begun.
    tail: Vec<u8>,
}

impl PathSearch {
    /// Takes the next part.
    pub(crate) fn push(&mut self, part: &[u8]) {
        if self.found {
            return;
        }
        let most = CWD.len().max(START.len()) - 1;
        self.tail.extend_from_slice(&part[..part.len().min(most)]);
        self.found = tells_of_worker(&self.tail) || tells_of_worker(part);
        if part.len() >= most {
            self.tail.clear();
            self.tail.extend_from_slice(&part[part.len() - most..]);
        } else {
            self.tail.drain(..self.tail.len().saturating_sub(most));
        }
    }

    /// Whether one was found so far.
    pub(crate) fn found(&self) -> bool {
        self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_found_however_the_parts_are_cut() {
        for path in [CWD, START] {
            let text = format!("{}{path}{}", "/proc/self/.".repeat(3), "x".repeat(40));
            for size in 1..text.len() {
                let mut search = PathSearch::default();
                text.as_bytes().chunks(size).for_each(|part| search.push(part));
                assert!(search.found(), "{path} in parts of {size}");
            }
        }
        let mut search = PathSearch::default();
        "/proc/self/cw/proc/self/./cw"
            .repeat(10)
            .as_bytes()
            .chunks(7)
            .for_each(|part| search.push(part));
        assert!(!search.found());
    }
}
