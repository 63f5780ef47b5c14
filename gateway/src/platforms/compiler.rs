//! Compilers that the workers have, for clients that name theirs and do not bring it.

use std::collections::BTreeMap;

use goma_common::FileKey;
use serde::Deserialize;

use crate::worker::Sha256;

/// A compiler, and which clients' are the same.
///
/// ```toml
/// [[compiler]]
/// name = "gcc"
/// binary-hash = "..."     # or a version, or a target; what is left out fits all
/// path = "/usr/bin/gcc"
/// ```
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CompilerEntry {
    /// As the client calls it: gcc, g++, clang, clang++.
    pub name: String,
    /// As `--version` tells it to the client.
    pub version: Option<String>,
    /// As `-dumpmachine` tells it.
    pub target: Option<String>,
    /// Hexadecimal SHA-256 of the client's compiler, which the workers' has to have, too.
    pub binary_hash: Option<String>,
    /// The same of other files that clients may have of it, as those of another distribution's package.
    #[serde(default)]
    pub equivalent_hashes: Vec<String>,
    /// Where the workers have it; absolute.
    pub path: String,
    /// Platform properties of its actions, over those of the platform.
    #[serde(default)]
    pub properties: BTreeMap<String, String>,
    /// Whether clang is given the client's target, where the command line names none.
    #[serde(default)]
    pub add_target: bool,
}

/// What a client says of its compiler.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) name: &'a str,
    pub(crate) version: &'a str,
    pub(crate) target: &'a str,
    pub(crate) hash: &'a Sha256,
    /// Hashes of files that are as good.
    pub(crate) equivalent: &'a [Sha256],
}

impl CompilerEntry {
    /// Whether it can be used.
    ///
    /// # Errors
    /// The key of the file and what is wrong with its value.
    pub(crate) fn check(&self) -> Result<(), (&'static str, String)> {
        if self.name.is_empty() {
            return Err(("name", "name the compiler, as gcc or clang++".to_owned()));
        }
        if !self.path.starts_with('/') {
            let why = "is not absolute; compilers that workers lack are brought by clients, with \
                       GOMA_ARBITRARY_TOOLCHAIN_SUPPORT=true";
            return Err(("path", format!("{:?} {why}", self.path)));
        }
        let is_none = |hash: &&String| FileKey::parse(hash).is_err();
        let told = |hash: &String| format!("{hash:?} is no SHA-256");
        if let Some(hash) = self.binary_hash.as_ref().filter(is_none) {
            return Err(("binary-hash", told(hash)));
        }
        match self.equivalent_hashes.iter().find(is_none) {
            Some(hash) => Err(("equivalent-hashes", told(hash))),
            None if self.binary_hash.is_none() && !self.equivalent_hashes.is_empty() => {
                let why = "are as good as a binary-hash: tell that of the workers' compiler, too";
                Err(("equivalent-hashes", why.to_owned()))
            }
            None => Ok(()),
        }
    }

    /// Whether it stands for the client's. Pure.
    pub(crate) fn fits(&self, wanted: Wanted<'_>) -> bool {
        let same =
            |has: &Option<String>, wanted: &str| has.as_deref().is_none_or(|has| has == wanted);
        self.name == wanted.name
            && same(&self.version, wanted.version)
            && same(&self.target, wanted.target)
            && self.hash().is_none_or(|hash| {
                hash == *wanted.hash
                    || wanted.equivalent.contains(&hash)
                    || self.equivalent_hashes.iter().any(|as_good| is(as_good, wanted.hash))
            })
    }

    /// The hash that the workers' must have, if one is told.
    pub(crate) fn hash(&self) -> Option<Sha256> {
        self.binary_hash.as_deref().and_then(|hash| FileKey::parse(hash).ok()).map(|key| key.0)
    }
}

fn is(told: &str, hash: &Sha256) -> bool {
    FileKey::parse(told).is_ok_and(|key| key.0 == *hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_must_be_the_same_and_the_rest_may_be_anything() {
        let hash = "ab".repeat(32);
        let wanted = Wanted {
            name: "gcc",
            version: "12",
            target: "x86",
            hash: &[0xcd; 32],
            equivalent: &[[0xab; 32]],
        };
        let entry =
            |version: Option<&str>, target: Option<&str>, hash: Option<&str>| CompilerEntry {
                name: "gcc".to_owned(),
                version: version.map(ToOwned::to_owned),
                target: target.map(ToOwned::to_owned),
                binary_hash: hash.map(ToOwned::to_owned),
                ..CompilerEntry::default()
            };
        assert!(entry(None, None, None).fits(wanted));
        assert!(entry(Some("12"), Some("x86"), Some(&hash)).fits(wanted));
        assert!(!entry(Some("13"), None, None).fits(wanted));
        assert!(!entry(None, Some("arm"), None).fits(wanted));
        assert!(!entry(None, None, Some(&"ef".repeat(32))).fits(wanted));
        assert!(!entry(None, None, None).fits(Wanted { name: "g++", ..wanted }));
    }

    #[test]
    fn other_files_may_be_as_good_as_the_workers() {
        let [worker, client, other] = ["ab", "cd", "ef"].map(|byte| byte.repeat(32));
        let wanted =
            Wanted { name: "gcc", version: "", target: "", hash: &[0xcd; 32], equivalent: &[] };
        let entry = |binary_hash: Option<&String>, equivalent: &[&str]| CompilerEntry {
            name: "gcc".to_owned(),
            path: "/usr/bin/gcc".to_owned(),
            binary_hash: binary_hash.cloned(),
            equivalent_hashes: equivalent.iter().map(ToString::to_string).collect(),
            ..CompilerEntry::default()
        };
        assert!(entry(Some(&worker), &[&other, &client]).fits(wanted));
        assert!(!entry(Some(&worker), &[&other]).fits(wanted));
        assert_eq!(entry(Some(&worker), &[&client]).check(), Ok(()));
        for wrong in [entry(None, &[&client]), entry(Some(&worker), &["x"])] {
            let told = wrong.check().expect_err("wrong");
            assert_eq!(told.0, "equivalent-hashes", "{told:?}");
        }
    }
}
