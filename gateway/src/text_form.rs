//! Which of two forms an operator's file has: ours in TOML, or the original's text proto.

/// Whether it is a text proto, by its first words: TOML has a table or a `key =` there. Pure.
pub(crate) fn is_text_proto(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim_start);
    let first = lines.find(|line| !line.is_empty() && !line.starts_with('#')).unwrap_or("");
    let rest = first.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_');
    rest.len() < first.len() && rest.trim_start().starts_with(['{', ':', '<'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_words_tell() {
        for text in ["# who\n\n groups {", "configs: <", "version_id: \"x\"", "groups{"] {
            assert!(is_text_proto(text), "{text}");
        }
        for text in ["", "# x", "[[group]]", "version = 1", "a.b = 2", "[backend.x]"] {
            assert!(!is_text_proto(text), "{text}");
        }
    }
}
