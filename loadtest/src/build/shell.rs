//! Splits a command as a POSIX shell would, without expanding anything.

/// The words of `command`.
pub(super) fn split(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = command.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            ('\\', Some('"')) => {
                let word = word.get_or_insert_default();
                match chars.next_if(|next| matches!(next, '"' | '\\' | '$' | '`' | '\n')) {
                    Some('\n') => {}
                    Some(next) => word.push(next),
                    None => word.push('\\'),
                }
            }
            (c, Some(_)) => word.get_or_insert_default().push(c),
            ('\\', None) => {
                let next = chars.next().filter(|next| *next != '\n');
                if let Some(next) = next {
                    word.get_or_insert_default().push(next);
                }
            }
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, None) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_backslashes_are_the_shells() {
        assert_eq!(
            split(r#"gcc -DA=\"b\" '-DC=\d' "-DE=\f \"g\"" '' h\ i"#),
            ["gcc", r#"-DA="b""#, r"-DC=\d", r#"-DE=\f "g""#, "", "h i"]
        );
        assert_eq!(split("  a\t b\n"), ["a", "b"]);
        assert!(split(" ").is_empty());
    }
}
