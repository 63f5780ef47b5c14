//! Command lines that no worker can do for a client.

use super::family::Family;
use super::precompiled::precompiled;
use super::reading::Reading;
use super::tokens::Token;

/// Why not, naming the flag; `files` are those that it reads and writes.
pub(crate) fn undoable<'a>(
    reading: &Reading,
    tokens: &'a [Token],
    files: impl Iterator<Item = &'a str>,
) -> Option<String> {
    if reading.family == Family::ClangTidy {
        return tokens.iter().take_while(|token| !is_end(token)).find_map(mends);
    }
    precompiled(reading, tokens, files).map(|what| {
        let without = if reading.family == Family::ClangCl { " (/Y-)" } else { "" };
        format!(
            "{what}: headers compiled beforehand hold paths and times of the client's files; compile \
             without them{without}"
        )
    })
}

/// A file of arguments that the client did not read, though the compiler would: nobody here knows what
/// stands in it.
pub(crate) fn unread(family: Family, args: &[String]) -> Option<&str> {
    let reads = family.compiles_c() || family == Family::Javac;
    let file = |arg: &&String| arg.len() > 1 && arg.starts_with('@');
    args.iter().filter(|_| reads).find(file).map(String::as_str)
}

fn is_end(token: &Token) -> bool {
    matches!(token, Token::Flag { flag, .. } if flag == "--")
}

/// clang-tidy that mends what it finds, whatever a table says of the flag.
fn mends(token: &Token) -> Option<String> {
    let (Token::Unknown(arg) | Token::Flag { flag: arg, .. }) = token else { return None };
    let (name, value) = match token {
        Token::Flag { value: Some(value), .. } => (arg.trim_end_matches('='), value.as_str()),
        _ => arg.split_once('=').unwrap_or((arg, "true")),
    };
    let is_it = ["fix", "fix-errors", "fix-notes"].contains(&name.trim_start_matches('-'));
    // What else stands for "no" is an error.
    let off = ["0", "false", "FALSE", "False"].contains(&value);
    (is_it && !off).then(|| format!("{name} changes sources in their place"))
}

#[cfg(test)]
mod tests {
    use super::super::Flags;
    use super::*;

    #[track_caller]
    fn check(family: Family, line: &str, is_undoable: bool) {
        let words: Vec<String> = line.split(' ').map(ToOwned::to_owned).collect();
        let reading = Flags::default().reading(family);
        let tokens = reading.parse(&words);
        let told = undoable(&reading, &tokens, std::iter::empty());
        assert_eq!(told.is_some(), is_undoable, "{line}");
    }

    #[test]
    fn what_changes_sources_or_knows_them_by_their_times_is_undoable() {
        check(Family::ClangTidy, "-fix a.cc", true);
        check(Family::ClangTidy, "a.cc --fix-errors --", true);
        for flag in ["--fix=true", "-fix=1", "--fix-errors=1", "--fix-notes=TRUE"] {
            check(Family::ClangTidy, &format!("a.cc {flag} --"), true);
        }
        check(Family::ClangTidy, "--fix=false a.cc -fix-errors=0", false);
        check(Family::ClangTidy, "fix -- -fix", false);
        check(Family::Clang, "-include-pch a.pch -c a.c", true);
        check(Family::Clang, "-Xclang -include-pch -Xclang a.pch -c a.c", true);
        check(Family::Clang, "-include a.h -c a.c", false);
        check(Family::Gcc, "-fix a.c", false);
    }

    #[test]
    fn a_table_that_lists_it_does_not_make_it_harmless() {
        for takes in ["nothing", "rest", "joined"] {
            let file = format!(
                "[clang-tidy]\n\"-fix\" = {{ takes = \"{takes}\", means = \"nothing\" }}\n"
            );
            let dir = tempfile::tempdir().expect("a directory");
            let path = dir.path().join("flags.toml");
            std::fs::write(&path, file).expect("written");
            let flags = Flags::open(path).expect("a file of flags");
            let reading = flags.reading(Family::ClangTidy);
            for flag in ["-fix", "-fix=1"] {
                let tokens = reading.parse(&["a.cc".to_owned(), flag.to_owned()]);
                assert!(
                    undoable(&reading, &tokens, std::iter::empty()).is_some(),
                    "{takes} {flag}"
                );
            }
        }
    }

    #[test]
    fn a_file_of_arguments_that_nobody_read_is_named() {
        let named = |family, line: &str| {
            let args: Vec<String> = line.split(' ').map(ToOwned::to_owned).collect();
            unread(family, &args).map(ToOwned::to_owned)
        };
        for family in [Family::Gcc, Family::Clang, Family::ClangCl, Family::Javac] {
            assert_eq!(named(family, "-c a.c -I @a.rsp").as_deref(), Some("@a.rsp"));
            assert_eq!(named(family, "-c a@b.c @"), None);
        }
        assert_eq!(named(Family::Other, "@a"), None);
    }
}
