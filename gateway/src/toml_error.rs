//! What is wrong with a TOML file, and on which line, for whoever wrote it.

use toml::de::{DeTable, DeValue};

/// The line, and what is wrong there; not what stands there, which may be a secret.
pub(crate) fn told(text: &str, error: &toml::de::Error) -> String {
    let line = line(text, error.span().map_or(0, |span| span.start));
    format!("line {line}: {}", without_value(error.message()))
}

/// The line of what stands at this path of keys, and of places in arrays counted from 0; of what is there, if not all
/// of it is. For mistakes that show only once the whole file has been read.
pub(crate) fn line_of(text: &str, path: &[&str]) -> usize {
    let Ok(root) = DeTable::parse(text) else { return 1 };
    let root = DeValue::Table(root.into_inner());
    let (mut at, mut start) = (&root, 0);
    for step in path {
        let found = match at {
            DeValue::Table(table) => table
                .iter()
                .find(|(key, _)| key.get_ref() == step)
                .map(|(key, value)| (value.get_ref(), key.span().start)),
            DeValue::Array(values) => step
                .parse()
                .ok()
                .and_then(|at: usize| values.get(at))
                .map(|value| (value.get_ref(), value.span().start)),
            _ => None,
        };
        match found {
            Some(found) => (at, start) = found,
            None => break,
        }
    }
    line(text, start)
}

/// Counted from 1.
fn line(text: &str, start: usize) -> usize {
    text.get(..start).unwrap_or_default().matches('\n').count() + 1
}

/// serde tells a value of the wrong kind with what it is: `invalid type: string "x", expected a table`.
fn without_value(message: &str) -> String {
    let value = message.strip_prefix("invalid type: ").or(message.strip_prefix("invalid value: "));
    match value.and_then(|value| value.rsplit_once(", expected ")) {
        Some((_, expected)) => format!("a value of the wrong kind, expected {expected}"),
        None => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[test]
    fn whatever_is_there_has_a_line() {
        let text = "# of us\n[[group]]\nid = \"a\"\n\n[[group]]\nid = \"b\"\nclaims = { x = 1 }\n\n\
                    [backend.big]\naddr = \"x\"\n[backend.small]\n";
        for (path, line) in [
            (&["group", "0"][..], 2),
            (&["group", "1"], 5),
            (&["group", "1", "claims", "x"], 7),
            (&["group", "1", "missing"], 5),
            (&["backend", "big", "addr"], 10),
            (&["backend", "small"], 11),
            (&["backend", "none"], 9),
            (&["none"], 1),
            (&[], 1),
        ] {
            assert_eq!(line_of(text, path), line, "{path:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_without_what_stands_there() {
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct File {
            #[serde(rename = "names")]
            _names: Vec<String>,
            #[serde(rename = "count")]
            _count: Option<u8>,
        }
        for (text, words) in [
            ("names = \"hunter2\"", "line 1: a value of the wrong kind, expected a sequence"),
            ("names = []\ncount = \"hunter2, expected x\"", "line 2: a value of the wrong kind"),
            ("names = []\ncount = 4242", "line 2: a value of the wrong kind, expected u8"),
            ("names = []\n\ncounts = 1", "line 3: unknown field `counts`"),
            ("names = hunter2", "line 1: "),
        ] {
            let error = toml::from_str::<File>(text).expect_err("wrong");
            let told = told(text, &error);
            assert!(told.starts_with(words), "{told}");
            assert!(!told.contains("hunter2") && !told.contains("4242"), "{told}");
        }
    }
}
