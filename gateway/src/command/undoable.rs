//! Command lines that no worker can do for a client.

use super::family::Family;
use super::precompiled::precompiled_headers;
use super::tokens::Token;

/// Why not, naming the flag.
pub(crate) fn undoable(family: Family, tokens: &[Token]) -> Option<String> {
    match family {
        Family::ClangTidy => tokens.iter().take_while(|token| !is_end(token)).find_map(mends),
        Family::Clang => tokens.iter().find_map(times),
        Family::ClangCl => precompiled_headers(tokens).map(|flag| {
            format!(
                "{flag}: headers compiled beforehand hold paths and times of the client's files; compile \
                 without them (/Y-)"
            )
        }),
        Family::Gcc | Family::Javac | Family::Other => None,
    }
}

fn is_end(token: &Token) -> bool {
    matches!(token, Token::Flag { flag, .. } if flag == "--")
}

/// clang-tidy that mends what it finds.
fn mends(token: &Token) -> Option<String> {
    let Token::Unknown(arg) = token else { return None };
    let is_it = ["fix", "fix-errors", "fix-notes"].contains(&arg.trim_start_matches('-'));
    is_it.then(|| format!("{arg} changes sources in their place"))
}

/// clang takes no header for the one that it precompiled that has another time, as all have on workers.
fn times(token: &Token) -> Option<String> {
    match token {
        Token::Flag { flag, .. } if flag == "-include-pch" => {
            Some(format!("{flag}: a precompiled header of clang fits the client's own disk alone"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Flags;
    use super::*;

    #[track_caller]
    fn check(family: Family, line: &str, is_undoable: bool) {
        let words: Vec<String> = line.split(' ').map(ToOwned::to_owned).collect();
        let tokens = Flags::default().reading(family).parse(&words);
        assert_eq!(undoable(family, &tokens).is_some(), is_undoable, "{line}");
    }

    #[test]
    fn what_changes_sources_or_knows_them_by_their_times_is_undoable() {
        check(Family::ClangTidy, "-fix a.cc", true);
        check(Family::ClangTidy, "a.cc --fix-errors --", true);
        check(Family::ClangTidy, "fix -- -fix", false);
        check(Family::Clang, "-include-pch a.pch -c a.c", true);
        check(Family::Clang, "-Xclang -include-pch -Xclang a.pch -c a.c", true);
        check(Family::Clang, "-include a.h -c a.c", false);
        check(Family::Gcc, "-fix a.c", false);
    }
}
