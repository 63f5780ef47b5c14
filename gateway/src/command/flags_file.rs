//! The operator's file of flags, which adds to the tables and changes them.
//!
//! ```toml
//! [gcc]                        # or clang, javac, clang-tidy
//! "-fnew-thing" = { takes = "nothing", means = "nothing" }
//! "-fmap-file=" = { takes = "joined", means = "path" }
//! "-fprobe" = { takes = "rest", means = "not-relocatable" }
//! ```

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::{Spanned, Value};

use super::family::Family;
use super::flag_table::Entry;
use super::flags::{Meaning, Shape};
use crate::toml_error;

/// Values of `takes`.
const SHAPES: [(&str, Shape); 5] = [
    ("nothing", Shape::Alone),
    ("rest", Shape::Prefix),
    ("joined", Shape::Joined),
    ("separate", Shape::Separate),
    ("either", Shape::Either),
];
/// Values of `means`.
const MEANINGS: [(&str, Meaning); 15] = [
    ("nothing", Meaning::Plain),
    ("path", Meaning::Path),
    ("paths", Meaning::Paths),
    ("debug-info", Meaning::DebugInfo),
    ("no-debug-info", Meaning::NoDebugInfo),
    ("compilation-dir", Meaning::CompilationDir),
    ("prefix-map", Meaning::Remap),
    ("not-relocatable", Meaning::Absolute),
    ("coverage", Meaning::Coverage),
    ("dumps", Meaning::Dumps),
    ("command-line", Meaning::Recorded),
    ("link-time-code", Meaning::LinkTime),
    ("no-link-time-code", Meaning::NoLinkTime),
    ("no-include-dirs", Meaning::NoStdInc),
    ("no-cxx-include-dirs", Meaning::NoStdIncxx),
];

#[derive(Deserialize)]
#[serde(transparent)]
struct File(BTreeMap<Spanned<String>, BTreeMap<Spanned<String>, Value>>);

/// The flags of a file, in no order.
///
/// # Errors
/// The line, the flag, its key and what is wrong there.
pub(super) fn parse(text: &str) -> Result<Vec<(Family, Entry)>, String> {
    let file: File = toml::from_str(text).map_err(|error| toml_error::told(text, &error))?;
    let mut flags = Vec::new();
    for (name, entries) in file.0 {
        let at = |span: std::ops::Range<usize>, why: String| {
            let before = text.get(..span.start).unwrap_or_default();
            format!("line {}: {why}", before.matches('\n').count() + 1)
        };
        let known = Family::WITH_TABLES.into_iter().find(|family| family.name() == name.get_ref());
        let Some(family) = known else {
            let names = Family::WITH_TABLES.map(Family::name).join(", ");
            return Err(at(name.span(), format!("[{}] is none of {names}", name.get_ref())));
        };
        for (spelling, value) in entries {
            let wrong = |why: String| {
                at(spelling.span(), format!("{}: {:?}: {why}", family.name(), spelling.get_ref()))
            };
            let entry = entry(family, spelling.get_ref(), &value).map_err(wrong)?;
            flags.push((family, entry));
        }
    }
    Ok(flags)
}

fn entry(family: Family, spelling: &str, value: &Value) -> Result<Entry, String> {
    // With a slash, clang-cl's stands for the one with a dash as well.
    let begins =
        spelling.starts_with('-') || family == Family::ClangCl && spelling.starts_with('/');
    if !begins || spelling.len() < 2 || spelling.contains(char::is_whitespace) {
        return Err("a flag is spelled with a dash and without spaces".to_owned());
    }
    let Some(table) = value.as_table() else {
        return Err("write { takes = \"...\", means = \"...\" }".to_owned());
    };
    if let Some(other) = table.keys().find(|key| !["takes", "means"].contains(&key.as_str())) {
        return Err(format!("{other}: there is no such key"));
    }
    let shape = one_of(&SHAPES, "takes", table)?;
    let meaning = one_of(&MEANINGS, "means", table)?;
    let valued = matches!(meaning, Meaning::Path | Meaning::Paths | Meaning::Remap);
    if valued && matches!(shape, Shape::Alone | Shape::Prefix) {
        let why = "takes: what means a path or a map takes its value joined, separate or either";
        return Err(why.to_owned());
    }
    Ok(Entry { spelling: spelling.into(), shape, meaning })
}

fn one_of<T: Copy>(values: &[(&str, T)], key: &str, table: &toml::Table) -> Result<T, String> {
    let names = || values.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let Some(told) = table.get(key) else { return Err(format!("{key}: say one of {}", names())) };
    let found = values.iter().find(|(name, _)| told.as_str() == Some(*name));
    found.map(|(_, value)| *value).ok_or_else(|| format!("{key}: {told} is none of {}", names()))
}

#[cfg(test)]
mod tests {
    use super::super::flag_table::FlagTables;
    use super::*;

    #[test]
    fn a_file_adds_to_the_tables_and_changes_them() {
        let text = "[gcc]\n\"-zz\" = { takes = \"either\", means = \"path\" }\n\
                    \"-flto\" = { takes = \"rest\", means = \"nothing\" }\n";
        let tables = FlagTables::with_file(text).expect("it is right");
        let meaning =
            |family, arg| tables.of(family).lookup(arg).map(|entry| (entry.shape, entry.meaning));
        assert_eq!(meaning(Family::Gcc, "-zz/x"), Some((Shape::Either, Meaning::Path)));
        assert_eq!(meaning(Family::Clang, "-zz/x"), None);
        assert_eq!(meaning(Family::Gcc, "-flto"), Some((Shape::Prefix, Meaning::Plain)));
        assert_eq!(meaning(Family::Clang, "-flto"), Some((Shape::Prefix, Meaning::LinkTime)));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line_and_its_field() {
        for (text, why) in [
            ("[gcc]\n\"-x\" = 1", "line 2: gcc: \"-x\": write { takes"),
            ("\n[icc]\n", "line 2: [icc] is none of gcc, clang, clang-cl, javac, clang-tidy"),
            (
                "[gcc]\n\n\"-x\" = { takes = \"all\", means = \"path\" }",
                "line 3: gcc: \"-x\": takes: \"all\" is none of nothing, rest",
            ),
            ("[javac]\n\"-x\" = { takes = \"rest\" }", "line 2: javac: \"-x\": means: say one of"),
            (
                "[gcc]\n\"-x\" = { takes = \"rest\", means = \"path\" }",
                "line 2: gcc: \"-x\": takes: what means a path",
            ),
            (
                "[gcc]\n\"-x\" = { takes = \"rest\", means = \"nothing\", a = 1 }",
                "line 2: gcc: \"-x\": a: there is",
            ),
            ("[gcc]\n\"x\" = { takes = \"rest\", means = \"nothing\" }", "line 2: gcc: \"x\""),
            ("[gcc\n", "line 1: "),
        ] {
            let told = FlagTables::with_file(text).expect_err("wrong");
            assert!(told.starts_with(why), "{told}, not {why}");
        }
    }

    #[test]
    fn clang_cls_may_have_a_slash_and_no_others() {
        let file = |family| {
            format!("[{family}]\n\"/new:\" = {{ takes = \"joined\", means = \"path\" }}\n")
        };
        let tables = FlagTables::with_file(&file("clang-cl")).expect("a file of flags");
        for arg in ["/new:x", "-new:x"] {
            let found = tables.of(Family::ClangCl).lookup(arg).map(|entry| entry.meaning);
            assert_eq!(found, Some(Meaning::Path), "{arg}");
        }
        assert!(FlagTables::with_file(&file("gcc")).is_err());
    }
}
