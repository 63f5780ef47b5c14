//! What the script wrote about a machine.

use std::collections::BTreeMap;

/// Facts in the order of the script, and files by path with their hashes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) facts: Vec<(String, String)>,
    pub(super) files: BTreeMap<String, String>,
}

impl Seen {
    /// Reads it. Lines that are neither are left out: names with line breaks in them are nobody's header.
    pub(super) fn read(written: &[u8]) -> Self {
        let mut seen = Self::default();
        for line in String::from_utf8_lossy(written).lines() {
            if let Some((name, value)) =
                line.strip_prefix("fact\t").and_then(|it| it.split_once('\t'))
            {
                seen.facts.push((name.to_owned(), value.to_owned()));
            } else if let Some((hash, path)) = line.split_once("  ")
                && hash.len() == 64
            {
                seen.files.insert(path.to_owned(), hash.to_owned());
            }
        }
        seen
    }

    /// The value of a fact; nothing where the script did not get so far.
    pub(super) fn fact(&self, name: &str) -> &str {
        let found = self.facts.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_and_files_are_told_apart() {
        let hash = "0a".repeat(32);
        let text = format!("fact\tsystem\tLinux x86_64\n{hash}  /usr/include/a b.h\nnoise\n");
        let seen = Seen::read(text.as_bytes());
        assert_eq!(seen.fact("system"), "Linux x86_64");
        assert_eq!(seen.files["/usr/include/a b.h"], hash);
        assert_eq!((seen.facts.len(), seen.files.len()), (1, 1));
    }
}
