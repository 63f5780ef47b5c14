//! The table of a family of compilers, as it is looked up; and all tables together.

use super::cl_flags::CLANG_CL;
use super::family::Family;
use super::flags::{Flag, GCC, GNU, Meaning, SHARED, Shape};
use super::flags_file;
use super::other_flags::{CLANG_TIDY, JAVAC};

/// What the flags of a family mean.
#[derive(Clone, Debug)]
pub(crate) struct FlagTable {
    pub(super) family: Family,
    /// By the letter behind the dash, so that few have to be looked at.
    by_letter: Vec<Vec<Entry>>,
}

/// A flag that is spelled so.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) spelling: Box<str>,
    pub(super) shape: Shape,
    pub(super) meaning: Meaning,
}

impl FlagTable {
    fn new(family: Family, flags: &[Flag]) -> Self {
        let mut table = Self { family, by_letter: vec![Vec::new(); 256] };
        for (spelling, shape, meaning) in flags {
            table.add(Entry { spelling: (*spelling).into(), shape: *shape, meaning: *meaning });
        }
        table
    }

    /// Adds a flag, in the place of one that is spelled and takes its value like it.
    fn add(&mut self, entry: Entry) {
        let entries = &mut self.by_letter[letter(&entry.spelling)];
        entries.retain(|known| {
            known.spelling != entry.spelling || rest(known.shape) != rest(entry.shape)
        });
        entries.push(entry);
    }

    /// The entry for an argument that begins with `-` or, for clang-cl, `/`: the longest that fits, and of
    /// two the later.
    pub(super) fn lookup(&self, arg: &str) -> Option<&Entry> {
        let entries = self.by_letter[letter(arg)].iter();
        entries.filter(|entry| entry.fits(arg)).max_by_key(|entry| entry.spelling.len())
    }
}

impl Entry {
    fn fits(&self, arg: &str) -> bool {
        // What is spelled with a slash may have a dash in its place.
        let rest = match self.spelling.strip_prefix('/') {
            Some(name) => arg.get(1..).and_then(|rest| rest.strip_prefix(name)),
            None => arg.strip_prefix(&*self.spelling),
        };
        rest.is_some_and(|rest| match self.shape {
            Shape::Alone | Shape::Separate => rest.is_empty(),
            Shape::Prefix | Shape::Either => true,
            Shape::Joined => !rest.is_empty(),
        })
    }
}

/// What may follow a spelling: nothing, a value in the next argument, or more.
fn rest(shape: Shape) -> u8 {
    match shape {
        Shape::Alone => 0,
        Shape::Separate => 1,
        Shape::Prefix | Shape::Joined | Shape::Either => 2,
    }
}

fn letter(arg: &str) -> usize {
    arg.as_bytes().get(1).copied().unwrap_or(0).into()
}

/// The tables of all families.
#[derive(Debug)]
pub(crate) struct FlagTables {
    tables: [FlagTable; 6],
}

impl FlagTables {
    /// Those that we know.
    pub(crate) fn built_in() -> Self {
        let table = |family| {
            let flags = match family {
                Family::Gcc | Family::Clang => GNU,
                Family::ClangCl => CLANG_CL,
                Family::Javac => JAVAC,
                Family::ClangTidy => CLANG_TIDY,
                Family::Other => &[],
            };
            let shared = if family.compiles_c() { SHARED } else { &[] };
            let own = if family == Family::Gcc { GCC } else { &[] };
            FlagTable::new(family, &[shared, flags, own].concat())
        };
        let [gcc, clang, cl, javac, tidy] = Family::WITH_TABLES;
        Self { tables: [gcc, clang, cl, javac, tidy, Family::Other].map(table) }
    }

    /// The same, with what the text of a file says over them.
    ///
    /// # Errors
    /// The line, the flag and what is wrong there.
    pub(crate) fn with_file(text: &str) -> Result<Self, String> {
        let mut tables = Self::built_in();
        for (family, entry) in flags_file::parse(text)? {
            let table = tables.tables.iter_mut().find(|table| table.family == family);
            if let Some(table) = table {
                table.add(entry);
            }
        }
        Ok(tables)
    }

    /// The table of a family.
    pub(crate) fn of(&self, family: Family) -> &FlagTable {
        let found = self.tables.iter().find(|table| table.family == family);
        found.unwrap_or(&self.tables[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_flag_stands_twice_in_a_table_and_the_longest_wins() {
        let (gnu, cl) = ([SHARED, GNU].concat(), [SHARED, CLANG_CL].concat());
        for flags in [&gnu[..], &cl, JAVAC, CLANG_TIDY] {
            let table = FlagTable::new(Family::Gcc, flags);
            let kept: usize = table.by_letter.iter().map(Vec::len).sum();
            assert_eq!(kept, flags.len());
        }
        let tables = FlagTables::built_in();
        let meaning = |family, arg| tables.of(family).lookup(arg).map(|entry| entry.meaning);
        assert_eq!(meaning(Family::Gcc, "-g0"), Some(Meaning::NoDebugInfo));
        assert_eq!(meaning(Family::Javac, "-g:none"), Some(Meaning::Plain));
        assert_eq!(meaning(Family::Javac, "-classpath"), Some(Meaning::Paths));
        assert_eq!(meaning(Family::ClangTidy, "-p"), Some(Meaning::Path));
        assert_eq!(meaning(Family::Other, "-g"), None);
        assert_eq!(meaning(Family::Gcc, "-fprofile-use=x"), Some(Meaning::Absolute));
        assert_eq!(meaning(Family::Clang, "-fprofile-use=x"), Some(Meaning::Path));
    }

    #[test]
    fn what_tells_of_a_directory_does_so_on_both_command_lines_of_clang() {
        let tables = FlagTables::built_in();
        let tells =
            |meaning| matches!(meaning, Meaning::Absolute | Meaning::Precompiled | Meaning::Remap);
        // What the other driver calls otherwise, or does not have.
        let own = |flag: &str| flag == "-fprofile-generate";
        for (flags, other) in
            [(GNU, Family::ClangCl), (CLANG_CL, Family::Clang), (SHARED, Family::Clang)]
        {
            for (spelling, shape, meaning) in flags {
                if !tells(*meaning) || spelling.starts_with('/') || own(spelling) {
                    continue;
                }
                let value = if *shape == Shape::Joined { "x" } else { "" };
                let arg = format!("{spelling}{value}");
                let found = tables.of(other).lookup(&arg).map(|entry| entry.meaning);
                assert_eq!(found, Some(*meaning), "{arg}");
            }
        }
        for family in [Family::Gcc, Family::Clang, Family::ClangCl] {
            for arg in ["-fdiagnostics-absolute-paths", "-v"] {
                let found = tables.of(family).lookup(arg).map(|entry| entry.meaning);
                assert_eq!(found, Some(Meaning::Absolute), "{family:?} {arg}");
            }
        }
        for arg in ["-fprofile-use", "-fbranch-probabilities"] {
            let found = tables.of(Family::Gcc).lookup(arg).map(|entry| entry.meaning);
            assert_eq!(found, Some(Meaning::Absolute), "{arg}");
        }
        for arg in ["-fsanitize-coverage-allowlist=x", "-fprofile-list=x", "-fmodule-map-file=x"] {
            let found = tables.of(Family::ClangCl).lookup(arg).map(|entry| entry.meaning);
            assert_eq!(found, Some(Meaning::Path), "{arg}");
        }
        // clang-cl knows no such flag and passes over it.
        let found = tables.of(Family::ClangCl).lookup("-g0").map(|entry| entry.meaning);
        assert_eq!(found, Some(Meaning::DebugInfo));
    }
}
