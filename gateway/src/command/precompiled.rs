//! Whether a compile reads or writes headers that were compiled beforehand.
//!
//! clang knows the files of such a header by their times and paths, which on a worker are others, and
//! writes the directory of the compile into it.

use super::family::Family;
use super::flags::Meaning;
use super::reading::Reading;
use super::tokens::Token;

/// Suffixes of headers as sources, of which clang makes one.
const HEADERS: [&str; 7] = ["h", "hh", "hp", "hpp", "hxx", "H", "h++"];
/// Suffixes of what it makes.
const MADE: [&str; 2] = [".pch", ".gch"];

/// What asks for it with clang or clang-cl: a flag, a source, or a file beside a header, which is taken
/// unasked. `/Y-` undoes `/Yc` and `/Yu`, wherever it stands.
pub(crate) fn precompiled<'a>(
    reading: &Reading,
    tokens: &'a [Token],
    mut files: impl Iterator<Item = &'a str>,
) -> Option<String> {
    if !matches!(reading.family, Family::Clang | Family::ClangCl) {
        return None;
    }
    let undone = tokens.iter().any(|token| own(token) == Some("Y-"));
    let of_flags = tokens.iter().filter(|token| !(undone && of_cl(token))).find_map(asks);
    let handed_on = || {
        let lists = tokens.iter().filter_map(|token| token.handed_on(reading.table()));
        // The words of several arguments are one command line.
        let inner: Vec<Token> = lists.flat_map(|(_, inner)| inner).collect();
        inner.iter().find_map(asks).or_else(|| language(&inner))
    };
    of_flags.or_else(|| language(tokens)).or_else(handed_on).or_else(|| header(tokens)).or_else(
        || files.find(|name| MADE.iter().any(|end| name.ends_with(end))).map(ToOwned::to_owned),
    )
}

/// A flag of clang-cl without what begins it.
fn own(token: &Token) -> Option<&str> {
    match token {
        Token::Flag { flag, .. } => flag.get(1..),
        _ => None,
    }
}

fn of_cl(token: &Token) -> bool {
    own(token).is_some_and(|flag| flag.starts_with('Y'))
}

fn asks(token: &Token) -> Option<String> {
    match token {
        Token::Flag { flag, meaning: Meaning::Precompiled, .. } => Some(flag.clone()),
        _ => None,
    }
}

/// `-x c++-header`: as a value, or as the word behind `-x`, whoever the two are handed on to.
fn language(tokens: &[Token]) -> Option<String> {
    let is_header = |value: &str| value.ends_with("-header");
    let mut after = false;
    for token in tokens {
        match token {
            Token::Flag { flag, value: Some(value), .. } if flag == "-x" => {
                if is_header(value) {
                    return Some(format!("-x {value}"));
                }
                after = value == "-Xclang";
            }
            Token::Flag { flag, value: None, .. } if flag == "-x" => after = true,
            Token::Operand(name) if after && is_header(name) => return Some(format!("-x {name}")),
            // Between the words of the front end.
            Token::Flag { flag, .. } if flag == "-Xclang" => {}
            Token::Unknown(flag) if flag == "-x" => after = true,
            _ => after = false,
        }
    }
    None
}

/// A header as the source, where nothing says that it is none.
fn header(tokens: &[Token]) -> Option<String> {
    let mut value = false;
    let mut said = false;
    for token in tokens {
        match token {
            Token::Flag { flag, value: Some(told), .. } => {
                said |= flag == "-x" && told != "none";
                value = told == "-Xclang";
            }
            Token::Flag { flag, .. } => {
                said |= matches!(flag.get(1..), Some("TC" | "TP"));
                value = flag == "-Xclang";
            }
            // It may be the value of one that nobody knows.
            Token::Unknown(_) => value = true,
            Token::Operand(name) => {
                let suffix = name.rsplit_once('.').map_or("", |(_, suffix)| suffix);
                if !said && !value && HEADERS.contains(&suffix) {
                    return Some(format!("source {name}"));
                }
                value = false;
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::Flags;
    use super::*;

    #[track_caller]
    fn check(family: Family, line: &str, files: &[&str], asked: Option<&str>) {
        let args: Vec<String> = line.split(' ').map(ToOwned::to_owned).collect();
        let reading = Flags::default().reading(family);
        let tokens = reading.parse(&args);
        let told = precompiled(&reading, &tokens, files.iter().copied());
        assert_eq!(told.as_deref(), asked, "{line}");
    }

    #[test]
    fn those_of_clang_cl_can_be_switched_off() {
        let check = |line, asked| check(Family::ClangCl, line, &[], asked);
        check("/c /Yustdafx.h a.cc", Some("/Yustdafx.h"));
        check("-Ycx.h /Fpx.pch /c a.cc", Some("-Ycx.h"));
        check("/Y- /Yux.h /c a.cc", None);
        check("/Y- -Xclang -include-pch -Xclang all.pch /c a.cc", Some("-include-pch"));
    }

    #[test]
    fn they_are_seen_however_they_are_spelled() {
        use Family::{Clang, ClangCl};
        check(Clang, "-include-pch a.pch -c a.c", &[], Some("-include-pch"));
        check(Clang, "-Xclang -include-pch -Xclang a.pch -c a.c", &[], Some("-include-pch"));
        check(ClangCl, "-Xclang -include-pch -Xclang all.pch /c a.cc", &[], Some("-include-pch"));
        check(ClangCl, "/clang:-include-pch /clang:all.pch /c a.cc", &[], Some("-include-pch"));
        check(Clang, "-include all.h -c a.c", &["all.h", "all.h.pch"], Some("all.h.pch"));
        check(Clang, "-x c-header all.h -o all.h.pch", &[], Some("-x c-header"));
        check(Clang, "-xc++-header all.h -o x", &[], Some("-x c++-header"));
        check(Clang, "-Xclang -x -Xclang c++-header -c all.h", &[], Some("-x c++-header"));
        check(ClangCl, "/clang:-x /clang:c-header /c all.h", &[], Some("-x c-header"));
        check(Clang, "-c all.h -o x", &[], Some("source all.h"));
    }

    #[test]
    fn other_headers_are_none() {
        use Family::{Clang, ClangCl, Gcc};
        for line in [
            "-include all.h -c a.c",
            "-Xclang -include -Xclang all.h -c a.c",
            "-unheard all.h -c a.c",
            "-x c++ -c all.h",
        ] {
            check(Clang, line, &["all.h", "a.c"], None);
        }
        check(ClangCl, "/FIall.h /c a.cc", &["all.h"], None);
        check(ClangCl, "/TP /c all.h", &["all.h"], None);
        check(Gcc, "-include all.h -c a.c", &["all.h.gch"], None);
    }
}
