//! The client's paths in texts that a worker wrote: diagnostics, rules for make, preprocessed sources.

use std::borrow::Cow;

use memchr::memmem;

use super::{CWD, Rewrite};
use crate::command;

impl Rewrite {
    /// A text with the client's paths for those of the worker.
    pub(in crate::exec) fn text(&self, text: &[u8]) -> Vec<u8> {
        self.replaced(text, ToOwned::to_owned)
    }

    /// Rules for make with the client's paths, in lines as long as the compiler would have made them.
    pub(in crate::exec) fn rules(&self, rules: &[u8]) -> Vec<u8> {
        self.replaced(rules, command::escaped_for_make)
    }

    fn replaced(&self, text: &[u8], escaped: impl Fn(&str) -> String) -> Vec<u8> {
        let root = self.root.as_str().trim_end_matches('/');
        let text = replace(text, &self.at, &escaped(root));
        replace(&text, CWD, &escaped(self.cwd.as_str())).into_owned()
    }
}

fn replace<'a>(text: &'a [u8], from: &str, to: &str) -> Cow<'a, [u8]> {
    let mut found = memmem::find_iter(text, from).peekable();
    if found.peek().is_none() {
        return Cow::Borrowed(text);
    }
    let mut replaced = Vec::with_capacity(text.len());
    let mut rest = 0;
    for at in found {
        replaced.extend_from_slice(&text[rest..at]);
        replaced.extend_from_slice(to.as_bytes());
        rest = at + from.len();
    }
    replaced.extend_from_slice(&text[rest..]);
    Cow::Owned(replaced)
}

#[cfg(test)]
mod tests {
    use super::super::tells_of_worker;
    use super::super::tests::rewrite;

    #[test]
    fn both_spellings_become_the_clients() {
        let rewrite = rewrite("gcc -c a.c");
        let text = b"/proc/self/./cwd/../i/a.h:1: in /proc/self/cwd/x, /proc/self/cw";
        assert!(tells_of_worker(text));
        let restored = rewrite.text(text);
        assert_eq!(restored, b"/home/u/i/a.h:1: in /home/u/src/x, /proc/self/cw");
        assert!(!tells_of_worker(&restored));
    }
}
