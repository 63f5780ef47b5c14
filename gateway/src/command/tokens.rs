//! A command line as flags with their values, and back.

use super::flag_table::{Entry, FlagTable};
use super::flags::{Meaning, Shape};
use crate::paths::AbsPath;

/// One flag or operand of a command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    /// A flag of the table.
    Flag {
        /// As the table spells it, with the rest of the argument where that belongs to the flag.
        flag: String,
        /// Its value, if it takes one.
        value: Option<String>,
        /// Whether the value is in an argument of its own.
        separate: bool,
        /// What it does.
        meaning: Meaning,
    },
    /// A flag that the table does not know.
    Unknown(String),
    /// A source file, or what else stands by itself.
    Operand(String),
}

impl Token {
    /// The flag and its value, if that is a file or directory.
    pub(crate) fn path(&self) -> Option<(&str, &str)> {
        match self {
            Self::Flag { flag, value: Some(value), meaning: Meaning::Path, .. } => {
                Some((flag, value))
            }
            _ => None,
        }
    }

    /// A flag that is only itself.
    pub(crate) fn plain(flag: String) -> Self {
        Self::Flag { flag, value: None, separate: false, meaning: Meaning::Plain }
    }

    /// Absolute paths within an argument that is not read further: `-fx=/a`, `-iprefix/a`.
    ///
    /// What is passed to the linker does not count: it does not run.
    pub(crate) fn glued_paths(&self) -> impl Iterator<Item = AbsPath> {
        let arg = match self {
            Self::Unknown(arg) => arg,
            Self::Flag { flag, value: None, .. } if !flag.starts_with("-Wl,") => flag,
            _ => "",
        };
        arg.split([',', '=', ':']).filter_map(|part| {
            let at = part.find('/')?;
            let begins = at == 0 || part.starts_with('-');
            begins.then(|| AbsPath::parse(&part[at..]).ok()).flatten()
        })
    }

    /// The command line that is handed on inside of this argument, and the name of whom it is for:
    /// `-Wp,-Ix,-DY` is `-Wp,` and two flags.
    pub(crate) fn handed_on(&self, flags: &FlagTable) -> Option<(&str, Vec<Token>)> {
        let Self::Flag { flag, value: None, .. } = self else { return None };
        let list = flag.strip_prefix("-Wp,").or_else(|| flag.strip_prefix("-Wa,"))?;
        let words: Vec<String> = list.split(',').map(ToOwned::to_owned).collect();
        Some((&flag[..flag.len() - list.len()], flags.parse(&words)))
    }
}

impl FlagTable {
    /// Reads arguments after the compiler's name. Never fails: a value that is cut off is none.
    pub(crate) fn parse(&self, args: &[String]) -> Vec<Token> {
        let mut tokens = Vec::with_capacity(args.len());
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            if !arg.starts_with('-') || arg == "-" {
                tokens.push(Token::Operand(arg.clone()));
                continue;
            }
            let Some(Entry { spelling, shape, meaning }) = self.lookup(arg) else {
                tokens.push(Token::Unknown(arg.clone()));
                continue;
            };
            let meaning = *meaning;
            let rest = &arg[spelling.len()..];
            let flag = |value: Option<&str>, separate| Token::Flag {
                flag: spelling.to_string(),
                value: value.map(ToOwned::to_owned),
                separate,
                meaning,
            };
            tokens.push(match shape {
                Shape::Alone => flag(None, false),
                Shape::Prefix => {
                    Token::Flag { flag: arg.clone(), value: None, separate: false, meaning }
                }
                Shape::Joined => flag(Some(rest), false),
                Shape::Either if !rest.is_empty() => flag(Some(rest), false),
                Shape::Separate | Shape::Either => flag(args.next().map(String::as_str), true),
            });
        }
        tokens
    }
}

/// As gcc's table of ours has it, for tests.
#[cfg(any(test, fuzzing))]
pub(crate) fn parse(args: &[String]) -> Vec<Token> {
    use super::{family::Family, flag_table::FlagTables};
    static TABLES: std::sync::LazyLock<FlagTables> = std::sync::LazyLock::new(FlagTables::built_in);
    TABLES.of(Family::Gcc).parse(args)
}

/// The arguments again.
pub(crate) fn render(tokens: &[Token]) -> Vec<String> {
    let mut args = Vec::with_capacity(tokens.len());
    for token in tokens {
        match token {
            Token::Flag { flag, value: Some(value), separate: true, .. } => {
                args.extend([flag.clone(), value.clone()]);
            }
            Token::Flag { flag, value, .. } => {
                args.push(format!("{flag}{}", value.as_deref().unwrap_or("")));
            }
            Token::Unknown(arg) | Token::Operand(arg) => args.push(arg.clone()),
        }
    }
    args
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_comes_back_as_it_was() {
        let line = "-Iinc -I inc2 -DX=1 -D Y -std=c++17 -Wall -O2 -fPIC -MD -MF a.d -c a.c \
                    -o a.o -include=x --sysroot=../s -unheard-of - -o";
        let args: Vec<String> = line.split_whitespace().map(ToOwned::to_owned).collect();
        assert_eq!(render(&parse(&args)), args);
    }

    #[test]
    fn the_longest_spelling_wins() {
        let meaning = |arg: &str| match &parse(&[arg.to_owned()])[0] {
            Token::Flag { meaning, .. } => *meaning,
            other => panic!("{other:?}"),
        };
        assert_eq!(meaning("-g"), Meaning::DebugInfo);
        assert_eq!(meaning("-ggdb3"), Meaning::DebugInfo);
        assert_eq!(meaning("-g0"), Meaning::NoDebugInfo);
        assert_eq!(meaning("-nostdinc"), Meaning::NoStdInc);
        assert_eq!(meaning("-nostdinc++"), Meaning::NoStdIncxx);
        assert_eq!(meaning("-fprofile-arcs"), Meaning::Coverage);
        assert_eq!(meaning("-fno-rtti"), Meaning::Plain);
    }
}
