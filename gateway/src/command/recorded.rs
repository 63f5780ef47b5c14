//! Whether a result holds the command line by which it was made.

use super::family::{is_cl, is_gcc};
use super::flags::Meaning;
use super::tokens::Token;

/// The flag that asks for it. clang takes gcc's flag for debug information as one for all of it, and
/// writes its command line into all debug information for Windows that is not DWARF.
pub(crate) fn recording_flag<'a>(compiler: &str, tokens: &'a [Token]) -> Option<&'a str> {
    let (gcc, cl) = (is_gcc(compiler), is_cl(compiler));
    tokens.iter().find_map(|token| match token {
        Token::Flag { flag, meaning: Meaning::Recorded, .. } => Some(flag.as_str()),
        Token::Flag { flag, .. } if !gcc && flag == "-grecord-gcc-switches" => Some(flag),
        Token::Flag { flag, meaning: Meaning::DebugInfo, .. } if cl && !flag.contains("dwarf") => {
            Some(flag)
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::tokens::parse_for;
    use super::*;

    #[test]
    fn each_compiler_has_its_own_flags() {
        let told = |compiler, flag: &str| {
            recording_flag(compiler, &parse_for(compiler, &[flag.to_owned()])).is_some()
        };
        assert!(told("gcc", "-frecord-gcc-switches") && told("clang", "-frecord-gcc-switches"));
        assert!(told("clang", "-grecord-command-line") && told("clang", "-frecord-command-line"));
        assert!(told("clang", "-grecord-gcc-switches") && !told("g++", "-grecord-gcc-switches"));
        assert!(!told("clang++", "-gno-record-gcc-switches") && !told("clang", "-g"));
        assert!(told("clang-cl", "/Z7") && told("clang-cl", "-Zi") && !told("clang-cl", "-gdwarf"));
    }
}
