//! Whether a result holds the command line by which it was made.

use super::family::Family;
use super::flags::Meaning;
use super::tokens::Token;

/// The flag that asks for it. clang takes gcc's flag for debug information as one for all of it.
pub(crate) fn recording_flag(family: Family, tokens: &[Token]) -> Option<&str> {
    tokens.iter().find_map(|token| match token {
        Token::Flag { flag, meaning: Meaning::Recorded, .. } => Some(flag.as_str()),
        Token::Flag { flag, .. } if family == Family::Clang && flag == "-grecord-gcc-switches" => {
            Some(flag)
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::tokens::parse;
    use super::*;

    #[test]
    fn each_compiler_has_its_own_flags() {
        let told = |gcc, flag: &str| {
            let family = if gcc { Family::Gcc } else { Family::Clang };
            recording_flag(family, &parse(&[flag.to_owned()])).is_some()
        };
        assert!(told(true, "-frecord-gcc-switches") && told(false, "-frecord-gcc-switches"));
        assert!(told(false, "-grecord-command-line") && told(false, "-frecord-command-line"));
        assert!(told(false, "-grecord-gcc-switches") && !told(true, "-grecord-gcc-switches"));
        assert!(!told(false, "-gno-record-gcc-switches"));
    }
}
