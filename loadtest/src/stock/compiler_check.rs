//! Compares the compiler that a result claims with the one that was asked for.
//!
//! In hermetic mode, the default, the stock client never sends another compile of a compiler that a
//! server answered with a different one, until it is started anew.

use std::collections::HashSet;

use bytes::Bytes;
use goma_proto::api::CommandSpec;

/// The compilers of one client that a server got wrong, by their hashes.
#[derive(Debug, Default)]
pub struct DisabledCompilers {
    hashes: HashSet<Bytes>,
}

impl DisabledCompilers {
    /// Whether compiles with it are no longer sent.
    #[must_use]
    pub fn contains(&self, hash: &str) -> bool {
        self.hashes.contains(hash.as_bytes())
    }

    /// Takes note of an answer's claim; the name of the field that differs, if one does.
    pub fn learn(&mut self, asked: &CommandSpec, claimed: &CommandSpec) -> Option<&'static str> {
        let field = difference(asked, claimed)?;
        self.hashes.insert(asked.binary_hash.clone().unwrap_or_default());
        Some(field)
    }
}

fn difference(asked: &CommandSpec, claimed: &CommandSpec) -> Option<&'static str> {
    [
        ("name", asked.name == claimed.name),
        ("version", asked.version == claimed.version),
        ("target", asked.target == claimed.target),
        ("binary_hash", asked.binary_hash == claimed.binary_hash),
    ]
    .into_iter()
    .find_map(|(field, same)| (!same).then_some(field))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_compiler_disables_the_one_asked_for() {
        let asked = CommandSpec {
            name: Some("gcc".into()),
            binary_hash: Some("ab".into()),
            ..Default::default()
        };
        let mut disabled = DisabledCompilers::default();
        let same = CommandSpec { comment: Some("x".into()), ..asked.clone() };
        assert_eq!(disabled.learn(&asked, &same), None);
        assert!(!disabled.contains("ab"));
        let other = CommandSpec { version: Some("13".into()), ..asked.clone() };
        assert_eq!(disabled.learn(&asked, &other), Some("version"));
        assert!(disabled.contains("ab"));
    }
}
