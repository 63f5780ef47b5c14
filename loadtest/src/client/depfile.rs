//! Reads the rule that a compiler writes with `-M`: the names of all files that it opened.

/// The prerequisites of the first rule in `text`, unescaped, in the compiler's order.
///
/// Compilers write for make: a backslash before a line's end continues it, before a blank or `#` it
/// stands for that character (doubled backslashes before a blank are one each), and `$$` is `$`.
pub(crate) fn prerequisites(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut name = String::new();
    let mut in_target = true;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                let mut backslashes = 1;
                while chars.next_if_eq(&'\\').is_some() {
                    backslashes += 1;
                }
                match chars.peek() {
                    Some('\n') => {
                        chars.next();
                        finish(&mut name, &mut names);
                    }
                    Some('\r') => {
                        chars.next();
                        chars.next_if_eq(&'\n');
                        finish(&mut name, &mut names);
                    }
                    Some(' ' | '\t') => {
                        name.extend(std::iter::repeat_n('\\', backslashes / 2));
                        if backslashes % 2 == 1 {
                            name.extend(chars.next());
                        }
                    }
                    Some('#') => {
                        name.extend(std::iter::repeat_n('\\', backslashes - 1));
                        name.extend(chars.next());
                    }
                    _ => name.extend(std::iter::repeat_n('\\', backslashes)),
                }
            }
            '$' => {
                chars.next_if_eq(&'$');
                name.push('$');
            }
            ':' if in_target && chars.peek().is_none_or(|c| c.is_whitespace()) => {
                in_target = false;
                name.clear();
                names.clear();
            }
            // What follows are rules for the headers alone (-MP) or nothing.
            '\n' if !in_target => {
                finish(&mut name, &mut names);
                return names;
            }
            c if c.is_whitespace() => finish(&mut name, &mut names),
            c => name.push(c),
        }
    }
    finish(&mut name, &mut names);
    if in_target { Vec::new() } else { names }
}

fn finish(name: &mut String, names: &mut Vec<String>) {
    if !name.is_empty() {
        names.push(std::mem::take(name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, names: &[&str]) {
        assert_eq!(prerequisites(text), names);
    }

    #[test]
    fn names_go_on_over_continued_lines() {
        check(
            "x: a.c /usr/include/b.h \\\n c.h \\\n  d.h\n",
            &["a.c", "/usr/include/b.h", "c.h", "d.h"],
        );
        check("x: a.c \\\r\n b.h\r\n", &["a.c", "b.h"]);
        check("x:\n", &[]);
        check("", &[]);
    }

    #[test]
    fn blanks_hashes_and_dollars_are_unescaped() {
        check("x: a\\ b.h c\\#d.h e$$f.h\n", &["a b.h", "c#d.h", "e$f.h"]);
        check("x: back\\slash.h two\\\\\\ blanks.h\n", &["back\\slash.h", "two\\ blanks.h"]);
    }

    #[test]
    fn colons_in_names_and_rules_after_the_first_are_no_matter() {
        check("x: a:b.c c.h\n\nc.h:\n", &["a:b.c", "c.h"]);
        check("dir/x.o other.o: a.c", &["a.c"]);
    }
}
