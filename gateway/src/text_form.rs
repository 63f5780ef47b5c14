//! Which of two forms an operator's file has, ours in TOML or the original's text proto, and where in the latter
//! something stands.

/// Whether it is a text proto, by its first words: TOML has a table or a `key =` there. Pure.
pub(crate) fn is_text_proto(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim_start);
    let first = lines.find(|line| !line.is_empty() && !line.starts_with('#')).unwrap_or("");
    let rest = first.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_');
    rest.len() < first.len() && rest.trim_start().starts_with(['{', ':', '<'])
}

/// The line of an entry of a text proto that is well formed: of the one with this number, counted from 0, among those
/// of this field, which is repeated and at the top. Pure.
pub(crate) fn line_of_entry(text: &str, field: &str, number: usize) -> usize {
    let (mut line, mut depth, mut seen) = (1, 0_usize, 0);
    // In brackets each message is an entry, and the field is named but once.
    let (mut word, mut is_named, mut in_list) = (String::new(), false, false);
    for c in bare(text).chars() {
        if depth == 0 && (c.is_ascii_alphanumeric() || c == '_') {
            word.push(c);
        } else if !word.is_empty() {
            is_named = std::mem::take(&mut word) == field;
        }
        match c {
            '\n' => line += 1,
            '[' if depth == 0 => in_list = true,
            ']' if depth == 0 => in_list = false,
            '{' | '<' => {
                if depth == 0 && is_named {
                    if seen == number {
                        break;
                    }
                    seen += 1;
                    is_named = in_list;
                }
                depth += 1;
            }
            '}' | '>' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    line
}

/// A text proto without what its strings and comments say, line by line.
fn bare(text: &str) -> String {
    let (mut quote, mut is_escaped, mut is_comment) = (None, false, false);
    let keep = |c| match (quote, c) {
        (_, '\n') => {
            is_comment = false;
            c
        }
        _ if is_comment => ' ',
        (Some(open), _) => {
            if !is_escaped && c == open {
                quote = None;
            }
            is_escaped = !is_escaped && c == '\\';
            ' '
        }
        (None, '"' | '\'') => {
            quote = Some(c);
            ' '
        }
        (None, '#') => {
            is_comment = true;
            ' '
        }
        (None, _) => c,
    };
    text.chars().map(keep).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_has_a_line_in_either_spelling() {
        let text = "version: \"configs {\" # configs {\nconfigs {\n  configs { a: '}' }\n}\nother {}\n\
                    configs: <\n  b: \"\\\\\"\n>\nconfigs{}\n";
        assert_eq!([0, 1, 2].map(|number| line_of_entry(text, "configs", number)), [2, 6, 9]);
        let list = "x: [1]\nconfigs: [\n  {\n  a {}\n  },\n  { }\n]\nother {}\nconfigs {}";
        assert_eq!([0, 1, 2].map(|number| line_of_entry(list, "configs", number)), [3, 6, 9]);
    }

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
