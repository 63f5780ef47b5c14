//! Whether a compile reads or writes headers that were compiled beforehand.

use super::flags::Meaning;
use super::tokens::Token;

/// The flag of clang-cl that asks for it. `/Y-` undoes all of them, wherever it stands.
pub(crate) fn precompiled_headers(tokens: &[Token]) -> Option<&str> {
    let undone =
        |token: &Token| matches!(token, Token::Flag { flag, .. } if flag.get(1..) == Some("Y-"));
    let asked = |token| match token {
        &Token::Flag { ref flag, meaning: Meaning::Precompiled, .. } => Some(flag.as_str()),
        _ => None,
    };
    tokens.iter().find_map(asked).filter(|_| !tokens.iter().any(undone))
}

#[cfg(test)]
mod tests {
    use super::super::family::Family;
    use super::super::tokens::parse_as;
    use super::*;

    #[test]
    fn they_can_be_switched_off() {
        let asked = |line: &str| {
            let args: Vec<String> = line.split(' ').map(ToOwned::to_owned).collect();
            precompiled_headers(&parse_as(Family::ClangCl, &args)).map(ToOwned::to_owned)
        };
        assert_eq!(asked("/c /Yustdafx.h a.cc").as_deref(), Some("/Yustdafx.h"));
        assert_eq!(asked("-Ycx.h /Fpx.pch /c a.cc").as_deref(), Some("-Ycx.h"));
        assert_eq!(asked("/Y- /Yux.h /c a.cc"), None);
    }
}
