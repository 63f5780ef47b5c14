//! What a compiler on Linux wrote, with the names by which a Windows client knows the files.
//!
//! Names are only looked for where clang-cl prints them: in notes of what is included, and before the
//! place of a diagnostic. What sources say stays as it is.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;
use memchr::memmem;

use crate::windows_path::WindowsDir;

const INCLUDED: &str = "Note: including file:";
const INCLUDED_FROM: &str = "In file included from ";

/// What begins a sequence that colours what follows.
const COLOUR: &str = "\u{1b}[";

/// How names are told.
pub(crate) struct WindowsTold {
    dir: WindowsDir,
    to_drives: String,
}

impl WindowsTold {
    pub(super) fn new(dir: WindowsDir) -> Self {
        let to_drives = dir.to_drives();
        Self { dir, to_drives }
    }

    /// What the compiler printed.
    pub(in crate::exec) fn text(&self, text: &Bytes) -> Bytes {
        match std::str::from_utf8(text) {
            Ok(lines) => {
                lines.split_inclusive('\n').map(|line| self.line(line)).collect::<String>().into()
            }
            Err(_) => text.clone(),
        }
    }

    /// Rules for make: drives for the ways to them. Slashes are as good as backslashes there.
    pub(in crate::exec) fn rules(&self, rules: &[u8]) -> Vec<u8> {
        let mut told = Vec::with_capacity(rules.len());
        let mut rest = 0;
        for at in memmem::find_iter(rules, &self.to_drives) {
            let begins = at == 0 || matches!(rules[at - 1], b' ' | b'\n');
            let end = at + self.to_drives.len();
            let drive = rules.get(end).filter(|drive| drive.is_ascii_lowercase());
            let (Some(drive), Some(b'/')) = (drive, rules.get(end + 1)) else { continue };
            if begins && at >= rest {
                told.extend_from_slice(&rules[rest..at]);
                told.extend([drive.to_ascii_uppercase(), b':']);
                rest = end + 1;
            }
        }
        told.extend_from_slice(&rules[rest..]);
        told
    }

    fn line(&self, line: &str) -> String {
        let plain = Plain::of(line);
        match name(&plain.text).and_then(|name| plain.whole(name)) {
            Some(at) => {
                format!(
                    "{}{}{}",
                    &line[..at.start],
                    self.dir.told(&line[at.clone()]),
                    &line[at.end..]
                )
            }
            None => line.to_owned(),
        }
    }
}

/// A line without the sequences that colour it, and where each byte of it stands.
struct Plain<'a> {
    text: Cow<'a, str>,
    /// Nothing where none is coloured.
    at: Vec<usize>,
}

impl<'a> Plain<'a> {
    fn of(line: &'a str) -> Self {
        if !line.contains(COLOUR) {
            return Self { text: Cow::Borrowed(line), at: Vec::new() };
        }
        let (mut text, mut at) =
            (String::with_capacity(line.len()), Vec::with_capacity(line.len()));
        let mut rest = 0;
        while let Some(begins) = line[rest..].find(COLOUR).map(|found| rest + found) {
            let numbers = &line[begins + COLOUR.len()..];
            let end = numbers.find(|it: char| !it.is_ascii_digit() && it != ';');
            let is_one = end.is_some_and(|end| numbers[end..].starts_with('m'));
            // What is no such sequence stays, and is looked at no more.
            let ends = begins + COLOUR.len() + if is_one { end.unwrap_or(0) + 1 } else { 0 };
            let kept = if is_one { begins } else { ends };
            text.push_str(&line[rest..kept]);
            at.extend(rest..kept);
            rest = ends;
        }
        text.push_str(&line[rest..]);
        at.extend(rest..line.len());
        Self { text: Cow::Owned(text), at }
    }

    /// Where a part of the text stands in the line; none where a colour changes in the middle.
    fn whole(&self, part: Range<usize>) -> Option<Range<usize>> {
        if self.at.is_empty() || part.is_empty() {
            return Some(part);
        }
        let whole = *self.at.get(part.start)?..self.at.get(part.end - 1)? + 1;
        (whole.len() == part.len()).then_some(whole)
    }
}

/// Where a line that the compiler printed names a file.
fn name(line: &str) -> Option<Range<usize>> {
    if let Some(rest) = line.strip_prefix(INCLUDED) {
        let start = line.len() - rest.trim_start_matches(' ').len();
        return Some(start..line.trim_end_matches(['\r', '\n']).len().max(start));
    }
    let before = if line.starts_with(INCLUDED_FROM) { INCLUDED_FROM.len() } else { 0 };
    place(&line[before..]).map(|end| before..before + end)
}

/// The reason not to believe that a header is not there: a worker's names have case, and the client may
/// have found it by another spelling than a source does.
pub(in crate::exec) fn not_found(stderr: &[u8]) -> Option<String> {
    let told = String::from_utf8_lossy(stderr);
    let mut lines = told.lines().map(|line| Plain::of(line).text);
    let line = lines.find(|line| line.ends_with("' file not found"))?;
    let (_, name) = line.trim_end_matches("' file not found").rsplit_once('\'')?;
    Some(format!(
        "{name:?} is not found on the worker, where names have case: the client's own compiler can tell"
    ))
}

/// Where the place begins in a line that begins with a name and one: `a.cc(1,2): error`,
/// `a.cc(1): warning`, `a.cc:1:`.
fn place(line: &str) -> Option<usize> {
    let line = line.trim_end();
    if let Some(name) = line.strip_suffix(':') {
        let (name, number) = name.rsplit_once(':')?;
        return is_number(number).then_some(name.len());
    }
    let (head, what) = line.split_once("): ")?;
    let kinds = ["error:", "fatal error:", "warning:", "note:", "remark:"];
    kinds.iter().find(|kind| what.starts_with(**kind))?;
    let (name, place) = head.rsplit_once('(')?;
    place.split(',').all(is_number).then_some(name.len())
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told() -> WindowsTold {
        WindowsTold::new(WindowsDir::parse("C:\\src\\out").expect("a directory"))
    }

    #[track_caller]
    fn check(line: &str, as_told: &str) {
        let text = told().text(&format!("x/y\n{line}\nz").into());
        assert_eq!(String::from_utf8_lossy(&text), format!("x/y\n{as_told}\nz"));
    }

    #[test]
    fn names_are_the_clients_where_the_compiler_prints_them() {
        check("Note: including file:  ../inc/x.h", "Note: including file:  ..\\inc\\x.h");
        check("Note: including file: ../../../d/V S/x.h\r", "Note: including file: D:\\V S\\x.h\r");
        check("../src/a.cc(3,5): error: no / here", "..\\src\\a.cc(3,5): error: no / here");
        check("../../../c/i (x)/x.h(3): warning: w", "C:\\i (x)\\x.h(3): warning: w");
        check("In file included from ../src/a.cc:1:", "In file included from ..\\src\\a.cc:1:");
    }

    #[test]
    fn colours_hide_no_name() {
        check(
            "\u{1b}[1m../src/a.cc(3,5): \u{1b}[0m\u{1b}[0;1;31merror: \u{1b}[0m\u{1b}[1mno / x\u{1b}[0m",
            "\u{1b}[1m..\\src\\a.cc(3,5): \u{1b}[0m\u{1b}[0;1;31merror: \u{1b}[0m\u{1b}[1mno / x\u{1b}[0m",
        );
        check(
            "\u{1b}[1mIn file included from ../../../c/a.cc:1:\u{1b}[0m",
            "\u{1b}[1mIn file included from C:\\a.cc:1:\u{1b}[0m",
        );
        let stderr =
            b"\x1b[1ma.cc(1,10): \x1b[0m\x1b[0;1;31mfatal error: \x1b[0m\x1b[1m'Sub/X.h' file not \
                       found\x1b[0m\n";
        assert!(not_found(stderr).is_some_and(|why| why.starts_with("\"Sub/X.h\"")));
    }

    #[test]
    fn what_sources_say_stays_as_it_is() {
        for line in [
            "#include \"../inc/x.h\"",
            "  f(a/b): return 1",
            "a/b(x): error: y",
            "clang: warning: ../x: y",
            "int a = b/c;",
            "\u{1b}[1m../a\u{1b}[0m/b.cc(1): error: y",
            "\u{1b}[",
        ] {
            check(line, line);
        }
    }

    #[test]
    fn a_header_that_is_not_found_is_named() {
        let stderr = b"..\\a.cc(1,10): fatal error: 'Sub/X.h' file not found\n#include <Sub/X.h>\n";
        assert!(not_found(stderr).is_some_and(|why| why.starts_with("\"Sub/X.h\" is not found")));
        assert_eq!(not_found(b"a.cc(1,10): error: expected ';'\n"), None);
    }

    #[test]
    fn rules_name_drives() {
        let rules = b"a.o: ../src/a.cc ../../../c/VS/x.h \\\n  ../../../d/y.h ../../../dd/z\n";
        let told = told().rules(rules);
        let text = String::from_utf8_lossy(&told).into_owned();
        assert_eq!(text, "a.o: ../src/a.cc C:/VS/x.h \\\n  D:/y.h ../../../dd/z\n");
    }
}
