//! The directories in which a compiler looks for headers, in its order.

use super::flag_table::FlagTable;
use super::flags::Meaning;
use super::tokens::Token;

/// Variables that add directories: lists with `:`, in which an empty part is the current directory.
pub(crate) const INCLUDE_VARIABLES: [&str; 5] =
    ["CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH", "OBJC_INCLUDE_PATH", "OBJCPLUS_INCLUDE_PATH"];

/// As they are named on the command line, in the environment and in `builtin`.
///
/// The order of GCC 12 and Clang 14: `-iquote`, `-I`, `CPATH`, `-isystem`, the language's variable,
/// the compiler's own, `-idirafter`. A directory that an unknown flag names comes first, since it
/// may be searched first.
pub(crate) fn include_dirs(
    flags: &FlagTable,
    tokens: &[Token],
    env: &[(String, String)],
    builtin: &[String],
) -> Vec<String> {
    let mut dirs = Dirs::default();
    dirs.read(flags, tokens);
    for (name, value) in env {
        let into = match name.as_str() {
            "CPATH" => &mut dirs.bracket,
            name if INCLUDE_VARIABLES.contains(&name) => &mut dirs.system,
            _ => continue,
        };
        into.extend(value.split(':').filter(|dir| !dir.is_empty()).map(ToOwned::to_owned));
    }
    if !dirs.no_builtin {
        let skipped = |dir: &&String| dirs.no_cxx && dir.contains("/c++/");
        dirs.system.extend(builtin.iter().filter(|dir| !skipped(dir)).cloned());
    }
    dirs.system.append(&mut dirs.after);
    // A directory that is a system one too is searched as such.
    dirs.bracket.retain(|dir| !dirs.system.contains(dir));
    [dirs.unknown, dirs.quote, dirs.bracket, dirs.system].concat()
}

#[derive(Default)]
struct Dirs {
    unknown: Vec<String>,
    quote: Vec<String>,
    bracket: Vec<String>,
    system: Vec<String>,
    after: Vec<String>,
    no_builtin: bool,
    no_cxx: bool,
}

impl Dirs {
    fn read(&mut self, flags: &FlagTable, tokens: &[Token]) {
        for token in tokens {
            if let Some((_, inner)) = token.handed_on(flags) {
                self.read(flags, &inner);
                continue;
            }
            match token {
                Token::Unknown(_) => {
                    self.unknown.extend(token.glued_paths().map(|dir| dir.as_str().to_owned()));
                }
                Token::Flag { meaning: Meaning::NoStdInc, .. } => self.no_builtin = true,
                Token::Flag { meaning: Meaning::NoStdIncxx, .. } => self.no_cxx = true,
                Token::Flag { flag, value: Some(dir), .. } => match flag.as_str() {
                    "-iquote" => self.quote.push(dir.clone()),
                    "-I" | "--include-directory" | "--include-directory=" => {
                        self.bracket.push(dir.clone());
                    }
                    "-isystem" => self.system.push(dir.clone()),
                    "-idirafter" => self.after.push(dir.clone()),
                    _ => {}
                },
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tokens::parse;
    use super::*;

    fn check(line: &str, env: &[(&str, &str)]) -> String {
        let words: Vec<String> = line.split_whitespace().map(ToOwned::to_owned).collect();
        let env: Vec<_> =
            env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let builtin = ["/gcc", "/usr/include/c++/12", "/usr/include"].map(ToOwned::to_owned);
        let flags = super::super::Flags::default().reading(super::super::Family::Gcc);
        include_dirs(flags.table(), &parse(&words), &env, &builtin).join(" ")
    }

    #[test]
    fn every_kind_has_its_place() {
        let line = "-idirafter /after -isystem /sys -I/a -iquote /q -Wp,-I/wp,-DX -I b -c a.c";
        let env = [("CPATH", "/env:"), ("CPLUS_INCLUDE_PATH", "/cxx"), ("PATH", "/bin")];
        assert_eq!(
            check(line, &env),
            "/q /a /wp b /env /sys /cxx /gcc /usr/include/c++/12 /usr/include /after"
        );
    }

    #[test]
    fn a_directory_of_the_compiler_stays_in_its_place() {
        assert_eq!(check("-I/usr/include", &[]), "/gcc /usr/include/c++/12 /usr/include");
    }

    #[test]
    fn the_compilers_own_may_be_left_out() {
        assert_eq!(check("-nostdinc -I/a", &[]), "/a");
        assert_eq!(check("-nostdinc++", &[]), "/gcc /usr/include");
    }

    #[test]
    fn a_directory_of_an_unknown_flag_may_be_searched_first() {
        assert_eq!(check("-nostdinc -I/a -iprefix/usr/x", &[]), "/usr/x /a");
    }
}
