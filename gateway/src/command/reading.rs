//! How the command line of a compiler is read, by the tables as they are now.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use goma_common::reloaded::Reloaded;
use goma_common::{Code, Error, Result};

use super::family::Family;
use super::flag_table::{FlagTable, FlagTables};
use super::tokens::Token;

/// Where clang-tidy's own arguments end and a compiler's begin.
const END: &str = "--";

/// The tables of flags, read again when their file changes. A clone is the same ones.
#[derive(Clone)]
pub struct Flags(Arc<Reloaded<FlagTables>>);

impl Flags {
    /// Those of a file over ours.
    ///
    /// # Errors
    /// `InvalidArgument` naming the file, the line, the flag and what is wrong.
    pub(crate) fn open(file: PathBuf) -> Result<Self> {
        let read = file.clone();
        let tables = Reloaded::open(vec![file], move || {
            let invalid = |why: &dyn fmt::Display| {
                let message = format!("--flags-file {}: {why}", read.display());
                Error::new(Code::InvalidArgument, message)
            };
            let text = std::fs::read_to_string(&read).map_err(|error| invalid(&error))?;
            FlagTables::with_file(&text).map_err(|why| invalid(&why))
        });
        tables.map(Arc::new).map(Self)
    }

    /// How a compiler of this family is read from now on.
    pub(crate) fn reading(&self, family: Family) -> Reading {
        Reading { family, tables: self.0.get() }
    }
}

impl Default for Flags {
    fn default() -> Self {
        Self(Arc::new(Reloaded::constant(FlagTables::built_in())))
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Flags")
    }
}

/// How the command line of one compile is read.
#[derive(Clone)]
pub(crate) struct Reading {
    pub(crate) family: Family,
    tables: Arc<FlagTables>,
}

impl Reading {
    /// The arguments after the compiler's name.
    pub(crate) fn parse(&self, args: &[String]) -> Vec<Token> {
        let own = self.tables.of(self.family);
        let end = args.iter().position(|arg| arg == END);
        match end.filter(|_| self.family == Family::ClangTidy) {
            None => own.parse(args),
            Some(end) => {
                let mut tokens = own.parse(&args[..end]);
                tokens.push(Token::plain(END.to_owned()));
                tokens.extend(self.table().parse(&args[end + 1..]));
                tokens
            }
        }
    }

    /// The table of the compiler whose headers are looked for and to whose parts flags are handed on.
    pub(crate) fn table(&self) -> &FlagTable {
        self.tables.of(match self.family {
            Family::ClangTidy | Family::ClangCl => Family::Clang,
            family => family,
        })
    }
}

impl fmt::Debug for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Reading").field(&self.family).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clang_tidy_has_two_command_lines() {
        let words = ["-p", "out", "a.cc", "--", "-p", "-Iinc"].map(ToOwned::to_owned);
        let tokens = Flags::default().reading(Family::ClangTidy).parse(&words);
        assert_eq!(tokens[0].path(), Some(("-p", "out")));
        assert_eq!(tokens[3], Token::Unknown("-p".to_owned()), "{tokens:?}");
        assert_eq!(tokens[4].path(), Some(("-I", "inc")));
        assert_eq!(super::super::render(&tokens), words);
    }
}
