//! Rules for make, as compilers write them with `-MD`: words, and where their lines are broken.
//!
//! Where a path in them is told otherwise its line would be broken elsewhere. gcc 12 breaks a line
//! before a word that would end behind column 72, clang 14 behind column 75, and they count otherwise.

/// Behind this column gcc begins a line.
const GCC_COLUMNS: usize = 72;
/// The same for clang.
const CLANG_COLUMNS: usize = 75;

/// A path as a rule spells it.
pub(crate) fn escaped_for_make(path: &str) -> String {
    let mut escaped = String::with_capacity(path.len());
    for letter in path.chars() {
        match letter {
            ' ' | '\t' | '#' => escaped.push('\\'),
            '$' => escaped.push('$'),
            _ => {}
        }
        escaped.push(letter);
    }
    escaped
}

/// The same rules with lines broken as this compiler would.
pub(crate) fn broken_into_lines(rules: &str, gcc: bool) -> String {
    let joined = rules.replace("\\\n", " ");
    let mut broken = String::with_capacity(rules.len());
    for rule in joined.split_inclusive('\n') {
        let words = words(rule.trim_end_matches('\n'));
        if words.len() < 2 {
            broken.push_str(rule);
            continue;
        }
        match gcc {
            true => break_as_gcc(&words, &mut broken),
            false => break_as_clang(&words, &mut broken),
        }
        if rule.ends_with('\n') {
            broken.push('\n');
        }
    }
    broken
}

fn words(rule: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut start = 0;
    let mut escaped = false;
    for (at, byte) in rule.bytes().enumerate() {
        if byte == b' ' && !escaped {
            words.push(&rule[start..at]);
            start = at + 1;
        }
        escaped = byte == b'\\' && !escaped;
    }
    words.push(&rule[start..]);
    words.retain(|word| !word.is_empty());
    words
}

/// A colon belongs to the last target and is written after its word.
fn break_as_gcc(words: &[&str], into: &mut String) {
    let mut column = 0;
    for word in words {
        let (name, colon) = word.strip_suffix(':').map_or((*word, ""), |name| (name, ":"));
        if column > 0 {
            if column + name.len() > GCC_COLUMNS {
                into.push_str(" \\\n");
                column = 0;
            }
            into.push(' ');
            column += 1;
        }
        into.push_str(name);
        into.push_str(colon);
        column += word.len();
    }
}

/// It counts a name without its escapes, and room for the backslash.
fn break_as_clang(words: &[&str], into: &mut String) {
    let mut column = 0;
    let mut targets = true;
    for word in words {
        let (name, colon) = match word.strip_suffix(':') {
            Some(name) if targets => (name, ":"),
            _ => (*word, ""),
        };
        let length = if targets { name.len() } else { unescaped(name) };
        match targets {
            true if column == 0 => column = length,
            true if column + length + 2 > CLANG_COLUMNS => {
                into.push_str(" \\\n  ");
                column = length + 2;
            }
            true => {
                into.push(' ');
                column += length + 1;
            }
            false => {
                if column + length + 1 + 2 > CLANG_COLUMNS {
                    into.push_str(" \\\n ");
                    column = 2;
                }
                into.push(' ');
                column += length + 1;
            }
        }
        into.push_str(name);
        into.push_str(colon);
        column += colon.len();
        targets &= colon.is_empty();
    }
}

fn unescaped(name: &str) -> usize {
    let mut bytes = name.bytes().peekable();
    let mut length = 0;
    while let Some(byte) = bytes.next() {
        let escape = match byte {
            b'\\' => matches!(bytes.peek(), Some(b' ' | b'#')),
            b'$' => bytes.peek() == Some(&b'$'),
            _ => false,
        };
        if escape {
            bytes.next();
        }
        length += 1;
    }
    length
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As gcc 12 wrote it.
    const OF_GCC: &str = "a.o: /tmp/x/u/src/a.c /usr/include/stdc-predef.h /tmp/x/u/inc/x.h \\
 /usr/include/stdio.h \\
 /usr/include/x86_64-linux-gnu/bits/libc-header-start.h \\
 /usr/include/features.h /usr/include/features-time64.h
/tmp/x/u/inc/x.h:
";
    /// As clang 14 wrote it.
    const OF_CLANG: &str = "a.o: /tmp/x/u/src/a.c /tmp/x/u/inc/x.h /usr/include/stdio.h \\
  /usr/include/x86_64-linux-gnu/bits/libc-header-start.h \\
  /usr/include/features.h /usr/include/features-time64.h

/tmp/x/u/inc/x.h:
";

    #[test]
    fn what_a_compiler_wrote_stays_as_it_is() {
        assert_eq!(broken_into_lines(OF_GCC, true), OF_GCC);
        assert_eq!(broken_into_lines(OF_CLANG, false), OF_CLANG);
        // And the other's lines become its own.
        let gccs = "a.o: /tmp/x/u/src/a.c /tmp/x/u/inc/x.h /usr/include/stdio.h \\\n \
                    /usr/include/x86_64-linux-gnu/bits/libc-header-start.h \\\n \
                    /usr/include/features.h /usr/include/features-time64.h\n";
        let joined = broken_into_lines(OF_CLANG, true);
        assert_eq!(joined, format!("{gccs}\n/tmp/x/u/inc/x.h:\n"));
    }

    #[test]
    fn words_may_hold_spaces() {
        assert_eq!(escaped_for_make("/a b/$c#"), "/a\\ b/$$c\\#");
        assert_eq!(words("a.o: /a\\ b/c.h x"), ["a.o:", "/a\\ b/c.h", "x"]);
        assert_eq!(unescaped("/a\\ b/$$c\\#"), 8);
    }
}
