//! A command line as flags with their values, and back.

use super::family::Family;
use super::flag_table::FlagTable;
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
        self.glued().filter_map(|part| AbsPath::parse(part).ok())
    }

    fn glued(&self) -> impl Iterator<Item = &str> {
        let arg = match self {
            Self::Unknown(arg) => arg,
            // A flag of a program that is none of ours.
            Self::Flag { flag, value: Some(value), .. } if flag == LLVM => value,
            Self::Flag { flag, value: None, .. } if !flag.starts_with("-Wl,") => flag,
            _ => "",
        };
        // With clang-cl the slash may be the flag's own.
        let arg = arg.strip_prefix('/').unwrap_or(arg);
        arg.split([',', '=', ':']).filter_map(|part| {
            let at = part.find('/')?;
            let begins = at == 0 || part.starts_with('-');
            begins.then(|| &part[at..])
        })
    }

    /// All that this may name as a path, as it is spelled.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &str> {
        let whole = match self {
            Self::Operand(name) => Some(name.as_str()),
            Self::Flag { value: Some(value), meaning: Meaning::Path, .. } => Some(value.as_str()),
            _ => None,
        };
        let list = match self {
            Self::Flag { value: Some(value), meaning: Meaning::Paths, .. } => {
                Some(value.split(':'))
            }
            _ => None,
        };
        whole.into_iter().chain(list.into_iter().flatten()).chain(self.glued())
    }

    /// The command line that is handed on inside of this argument, and the name of whom it is for:
    /// `-Wp,-Ix,-DY` is `-Wp,` and two flags, `/clang:-Ix` is `/clang:` and one.
    pub(crate) fn handed_on(&self, flags: &FlagTable) -> Option<(&str, Vec<Token>)> {
        let Self::Flag { flag, value: None, .. } = self else { return None };
        let list = flag.strip_prefix("-Wp,").or_else(|| flag.strip_prefix("-Wa,"));
        let words: Vec<String> = match list {
            Some(list) => list.split(',').map(ToOwned::to_owned).collect(),
            None => vec![self.for_clang()?.to_owned()],
        };
        let to = list.map_or(CLANG.len(), |_| "-Wp,".len());
        Some((&flag[..to], flags.parse(&words)))
    }

    /// What clang-cl hands on to clang's own driver, a word at a time.
    pub(super) fn for_clang(&self) -> Option<&str> {
        match self {
            Self::Flag { flag, value: None, meaning: Meaning::HandedOn, .. } => {
                flag.get(1..)?.strip_prefix(&CLANG[1..])
            }
            _ => None,
        }
    }
}

const CLANG: &str = "/clang:";
/// The flag whose value is one of clang's back end.
pub(crate) const LLVM: &str = "-mllvm";

/// A flag that clang-cl does not know, for the part of clang that compiles.
pub(crate) fn for_front_end(flag: String) -> [String; 2] {
    ["-Xclang".to_owned(), flag]
}

impl FlagTable {
    /// Reads the arguments after the compiler's name. Never fails: a value that is cut off is none.
    pub(crate) fn parse(&self, args: &[String]) -> Vec<Token> {
        match self.family {
            Family::ClangCl => self.parse_cl(args),
            _ => self.read(args, |arg| !arg.starts_with('-') || arg == "-"),
        }
    }

    /// Those of clang-cl. A slash may begin a flag or an absolute path, which is what it is taken for
    /// where there is no such flag; `--` ends the flags.
    fn parse_cl(&self, args: &[String]) -> Vec<Token> {
        let begins_path = |rest: &str| {
            let name = rest.split([':', '=']).next();
            name.is_some_and(|name| name.contains(['/', '\\']))
        };
        let is_operand = |arg: &str| match arg.strip_prefix('/') {
            Some(rest) => self.lookup(arg).is_none() && begins_path(rest),
            None => !arg.starts_with('-') || arg == "-",
        };
        let end = args.iter().position(|arg| arg == "--").unwrap_or(args.len());
        let mut tokens = self.read(&args[..end], is_operand);
        if let [end, sources @ ..] = &args[end..] {
            tokens.push(Token::plain(end.clone()));
            tokens.extend(sources.iter().cloned().map(Token::Operand));
        }
        tokens
    }

    fn read(&self, args: &[String], is_operand: impl Fn(&str) -> bool) -> Vec<Token> {
        let mut tokens = Vec::with_capacity(args.len());
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            if is_operand(arg) {
                tokens.push(Token::Operand(arg.clone()));
                continue;
            }
            let Some(entry) = self.lookup(arg) else {
                tokens.push(Token::Unknown(arg.clone()));
                continue;
            };
            let meaning = entry.meaning;
            // As it was typed, with a slash or a dash.
            let (typed, rest) = arg.split_at(entry.spelling.len());
            let flag = |value: Option<&str>, separate| Token::Flag {
                flag: typed.to_owned(),
                value: value.map(ToOwned::to_owned),
                separate,
                meaning,
            };
            tokens.push(match entry.shape {
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

/// As the tables of ours have it, for tests.
#[cfg(test)]
pub(super) fn parse_as(family: Family, args: &[String]) -> Vec<Token> {
    super::Flags::default().reading(family).parse(args)
}

/// The same for gcc.
#[cfg(test)]
pub(super) fn parse(args: &[String]) -> Vec<Token> {
    parse_as(Family::Gcc, args)
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
    fn a_command_line_of_clang_cl_comes_back_as_it_was() {
        let line = "/nologo -c /I inc -Iinc2 /imsvc sdk -DX /D Y /Foa.obj /Fo:b.obj -Fo /o c.obj /FIx.h \
                    /clang:-MD /clang:-MFx.d -Xclang -fno-pch /unheard-of /home/u/a.cc -- /Dir/b.cc -x";
        let args: Vec<String> = line.split_whitespace().map(ToOwned::to_owned).collect();
        let tokens = parse_as(Family::ClangCl, &args);
        assert_eq!(render(&tokens), args);
        let value = |flag: &str| {
            tokens.iter().find_map(|token| match token {
                Token::Flag { flag: found, value, meaning: Meaning::Path, .. } if found == flag => {
                    value.as_deref()
                }
                _ => None,
            })
        };
        assert_eq!((value("/I"), value("-I")), (Some("inc"), Some("inc2")));
        assert_eq!((value("/imsvc"), value("/o")), (Some("sdk"), Some("c.obj")));
        assert_eq!((value("/Fo"), value("/Fo:")), (Some("a.obj"), Some("b.obj")));
        assert!(tokens.contains(&Token::Unknown("/unheard-of".to_owned())));
        for operand in ["/home/u/a.cc", "/Dir/b.cc", "-x"] {
            assert!(tokens.contains(&Token::Operand(operand.to_owned())), "{operand}");
        }
        let clang = super::super::Flags::default().reading(Family::ClangCl);
        let handed: Vec<_> =
            tokens.iter().filter_map(|token| token.handed_on(clang.table())).collect();
        assert!(
            handed.iter().all(|(to, inner)| *to == "/clang:" && inner.len() == 1),
            "{handed:?}"
        );
        assert_eq!(handed[1].1[0].path(), Some(("-MF", "x.d")));
    }

    #[test]
    fn a_slash_that_begins_a_flag_begins_no_path() {
        for (arg, paths) in
            [("/Wall", 0), ("/guard:cf", 0), ("/unheard:/home/u/x", 1), ("/ZH:a", 0)]
        {
            let tokens = parse_as(Family::ClangCl, &[arg.to_owned()]);
            assert_eq!(tokens[0].glued_paths().count(), paths, "{arg}");
        }
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
