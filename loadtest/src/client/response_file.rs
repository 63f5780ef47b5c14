//! `@file` arguments: what the compiler reads in their place.

use std::path::Path;

use crate::error::{Error, Result};

/// A command line with its response files read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Expanded {
    /// The arguments as the compiler sees them.
    pub(crate) args: Vec<String>,
    /// The files that were read, as named in the arguments.
    pub(crate) files: Vec<String>,
}

/// Deepest nesting of response files; GCC's own limit is far higher, a loop is not.
const MAX_DEPTH: u32 = 20;

/// Replaces each `@file` by the arguments in it; a file that cannot be read stays as it is, as with
/// GCC.
pub(crate) fn expand(cwd: &Path, args: &[String]) -> Result<Expanded> {
    let mut expanded = Expanded::default();
    expand_into(cwd, args, MAX_DEPTH, &mut expanded)?;
    Ok(expanded)
}

fn expand_into(cwd: &Path, args: &[String], depth: u32, out: &mut Expanded) -> Result<()> {
    for arg in args {
        let text = arg
            .strip_prefix('@')
            .filter(|name| !name.is_empty())
            .and_then(|name| Some((name, std::fs::read_to_string(cwd.join(name)).ok()?)));
        let Some((name, text)) = text else {
            out.args.push(arg.clone());
            continue;
        };
        if depth == 0 {
            return Err(Error::NotRemote(format!("response files nest too deeply: {name}")));
        }
        out.files.push(name.to_owned());
        expand_into(cwd, &split(&text), depth - 1, out)?;
    }
    Ok(())
}

/// Splits the text of a response file as GCC does: blanks part words, both quotes hold them
/// together, a backslash takes the next character as it is.
pub(crate) fn split(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            ('\\', _) => word.get_or_insert_default().extend(chars.next()),
            (c, Some(open)) if c == open => quote = None,
            (c, Some(_)) => word.get_or_insert_default().push(c),
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
    fn words_are_split_as_gcc_splits_them() {
        let text = "-DA=\"b c\"  'x y'\n-I\\ z \"\" a\\\\b\n";
        assert_eq!(split(text), ["-DA=b c", "x y", "-I z", "", "a\\b"]);
    }

    #[test]
    fn nested_files_are_read_and_named_and_a_loop_is_refused() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let write = |name: &str, text: &str| {
            std::fs::write(dir.path().join(name), text).expect("written");
        };
        write("a.rsp", "-O2 @b.rsp");
        write("b.rsp", "-c x.c");
        write("loop.rsp", "@loop.rsp");
        let args = |text: &str| vec![text.to_owned()];
        let expanded = expand(dir.path(), &args("@a.rsp")).expect("valid");
        assert_eq!(expanded.args, ["-O2", "-c", "x.c"]);
        assert_eq!(expanded.files, ["a.rsp", "b.rsp"]);
        assert_eq!(expand(dir.path(), &args("@gone")).expect("valid").args, ["@gone"]);
        assert!(expand(dir.path(), &args("@loop.rsp")).is_err());
    }
}
