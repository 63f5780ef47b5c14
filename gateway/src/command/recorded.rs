//! Whether a result holds the command line by which it was made.

use super::family::Family;
use super::flags::Meaning;
use super::tokens::Token;

/// The flag that asks for it. clang takes gcc's flag for debug information as one for all of it, and
/// writes its command line into all debug information for Windows that is not DWARF.
pub(crate) fn recording_flag(family: Family, tokens: &[Token]) -> Option<&str> {
    let (gcc, cl) = (family == Family::Gcc, family == Family::ClangCl);
    tokens.iter().find_map(|token| match token {
        Token::Flag { flag, meaning: Meaning::Recorded, .. } => Some(flag.as_str()),
        Token::Flag { flag, .. } if !gcc && flag == "-grecord-gcc-switches" => Some(flag),
        Token::Flag { flag, meaning: Meaning::DebugInfo, .. } if cl && !flag.contains("dwarf") => {
            Some(flag)
        }
        _ => None,
    })
}

/// Whether gcc writes its flags of code generation into debug information: it does unless told not to.
pub(crate) fn records_flags(tokens: &[Token]) -> bool {
    let (mut debug, mut recorded) = (false, true);
    for token in tokens {
        match token {
            Token::Flag { flag, .. } if flag == "-grecord-gcc-switches" => recorded = true,
            Token::Flag { flag, .. } if flag == "-gno-record-gcc-switches" => recorded = false,
            Token::Flag { meaning: Meaning::DebugInfo, .. } => debug = true,
            Token::Flag { meaning: Meaning::NoDebugInfo, .. } => debug = false,
            Token::Flag { flag, meaning: Meaning::Dumps, .. } => debug |= flag.starts_with("-g"),
            _ => {}
        }
    }
    debug && recorded
}

#[cfg(test)]
mod tests {
    use super::super::tokens::parse_as;
    use super::*;

    #[test]
    fn each_compiler_has_its_own_flags() {
        let told = |family, flag: &str| {
            recording_flag(family, &parse_as(family, &[flag.to_owned()])).is_some()
        };
        let (gcc, clang, cl) = (Family::Gcc, Family::Clang, Family::ClangCl);
        assert!(told(gcc, "-frecord-gcc-switches") && told(clang, "-frecord-gcc-switches"));
        assert!(told(clang, "-grecord-command-line") && told(clang, "-frecord-command-line"));
        assert!(told(clang, "-grecord-gcc-switches") && !told(gcc, "-grecord-gcc-switches"));
        assert!(!told(clang, "-gno-record-gcc-switches") && !told(clang, "-g"));
        assert!(told(cl, "/Z7") && told(cl, "-Zi") && !told(cl, "-gdwarf"));
    }
}
