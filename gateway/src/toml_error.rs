//! What is wrong with a TOML file, for whoever wrote it.

/// The line, and what is wrong there; not what stands there, which may be a secret.
pub(crate) fn told(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    format!("line {line}: {}", without_value(error.message()))
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
