//! Flags that no table knows: counted by family, and named in the log the first time.

use std::collections::HashSet;
use std::sync::{LazyLock, Mutex, PoisonError};

use super::family::Family;
use super::tokens::Token;
use crate::metrics;

/// Flags that are remembered as named; more are counted alone.
const NAMED: usize = 1000;
/// Characters of a flag that are told.
const TOLD: usize = 60;

static SEEN: LazyLock<Mutex<HashSet<String>>> = LazyLock::new(Mutex::default);

/// Counts those of a command line. Of `Other` compilers no flag is known, and none is counted.
pub(crate) fn note_unknown(family: Family, tokens: &[Token]) {
    if family == Family::Other {
        return;
    }
    for token in tokens {
        let Token::Unknown(arg) = token else { continue };
        metrics::unknown_flag(family.name());
        let flag = told(arg);
        let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() < NAMED && seen.insert(format!("{} {flag}", family.name())) {
            tracing::warn!(
                family = family.name(),
                flag,
                "a flag that no table knows, and so one that names the directory: --flags-file can say more"
            );
        }
    }
}

/// The flag without its value.
fn told(arg: &str) -> &str {
    // What begins it, a dash or clang-cl's slash, ends nothing.
    let mut behind = arg.char_indices().skip(1);
    let end = behind.find(|(_, it)| ['=', ',', '/', ':'].contains(it));
    let end = end.map_or(arg.len(), |(at, _)| at);
    let end = arg[..end].char_indices().nth(TOLD).map_or(end, |(at, _)| at);
    &arg[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_not_told() {
        for (arg, flag) in [
            ("-x=secret", "-x"),
            ("-unheard", "-unheard"),
            ("-ix/home/u", "-ix"),
            ("-é", "-é"),
            ("/a:b", "/a"),
        ] {
            assert_eq!(told(arg), flag);
        }
        assert_eq!(told(&format!("-{}", "é".repeat(100))).chars().count(), TOLD);
    }
}
