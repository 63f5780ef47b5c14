//! The directories in which a compiler looks for headers, in its order.

use std::collections::HashSet;

use super::flag_table::FlagTable;
use super::flags::Meaning;
use super::tokens::Token;

/// Variables that add directories: lists with `:`, in which an empty part is the current directory.
const INCLUDE_VARIABLES: [&str; 5] =
    ["CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH", "OBJC_INCLUDE_PATH", "OBJCPLUS_INCLUDE_PATH"];

/// The same for clang-cl, which takes them for the compiler's own: lists with `;`.
const CL_VARIABLES: [&str; 3] = ["INCLUDE", "EXTERNAL_INCLUDE", "LIB"];

/// Whether a variable is a list of directories.
pub(crate) fn is_list(name: &str) -> bool {
    INCLUDE_VARIABLES.contains(&name) || CL_VARIABLES.contains(&name)
}

/// What stands between the directories of a variable.
pub(super) fn separator(name: &str) -> char {
    if CL_VARIABLES.contains(&name) { ';' } else { ':' }
}

/// The directories of a list.
pub(crate) fn each_of<'a>(name: &str, list: &'a str) -> impl Iterator<Item = &'a str> {
    list.split(separator(name))
}

/// A list of directories with each of them as `of` makes it; empty ones stay.
pub(crate) fn of_each(name: &str, list: &str, of: impl Fn(&str) -> String) -> String {
    let separator = separator(name);
    let dirs: Vec<String> = list.split(separator).map(of).collect();
    dirs.join(&separator.to_string())
}

/// As they are named on the command line, in the environment and in `builtin`.
///
/// The order of GCC 12 and Clang 14: `-iquote`, `-I`, `CPATH`, `-isystem`, the language's variable,
/// the compiler's own, `-idirafter`. A directory that an unknown flag names comes first, since it
/// may be searched first. Of equal ones of a kind the first counts.
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
            "INCLUDE" | "EXTERNAL_INCLUDE" => &mut dirs.after,
            _ => continue,
        };
        into.extend(
            value.split(separator(name)).filter(|dir| !dir.is_empty()).map(ToOwned::to_owned),
        );
    }
    dirs.in_sysroot();
    if !dirs.no_builtin {
        let skipped = |dir: &&String| dirs.no_cxx && dir.contains("/c++/");
        dirs.system.extend(builtin.iter().filter(|dir| !skipped(dir)).cloned());
    }
    dirs.system.append(&mut dirs.after);
    for kind in [&mut dirs.unknown, &mut dirs.quote, &mut dirs.bracket, &mut dirs.system] {
        dedup(kind);
    }
    // A directory that is a system one too is searched as such.
    let system: HashSet<&String> = dirs.system.iter().collect();
    dirs.bracket.retain(|dir| !system.contains(dir));
    [dirs.unknown, dirs.quote, dirs.bracket, dirs.system].concat()
}

/// Leaves the first of equal ones.
pub(super) fn dedup(dirs: &mut Vec<String>) {
    let mut known = HashSet::with_capacity(dirs.len());
    let first: Vec<bool> = dirs.iter().map(|dir| known.insert(dir.as_str())).collect();
    let mut first = first.into_iter();
    dirs.retain(|_| first.next().unwrap_or(true));
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
    /// That for headers wins over the one for all.
    sysroot: Option<String>,
    headers_sysroot: Option<String>,
}

impl Dirs {
    /// `-I=/x` is in the sysroot where one is named.
    fn in_sysroot(&mut self) {
        let Some(sysroot) = self.headers_sysroot.as_ref().or(self.sysroot.as_ref()) else { return };
        for dir in [&mut self.quote, &mut self.bracket, &mut self.system, &mut self.after]
            .into_iter()
            .flatten()
        {
            if let Some(below) = dir.strip_prefix('=') {
                *dir =
                    format!("{}/{}", sysroot.trim_end_matches('/'), below.trim_start_matches('/'));
            }
        }
    }

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
                    "--sysroot=" | "--sysroot" => self.sysroot = Some(dir.clone()),
                    "-isysroot" => self.headers_sysroot = Some(dir.clone()),
                    "-iquote" => self.quote.push(dir.clone()),
                    "-I" | "/I" | "--include-directory" | "--include-directory=" => {
                        self.bracket.push(dir.clone());
                    }
                    "-isystem" => self.system.push(dir.clone()),
                    "-idirafter" => self.after.push(dir.clone()),
                    // clang-cl searches its own headers before these.
                    "-imsvc" | "/imsvc" | "-external:I" | "/external:I" => {
                        self.after.push(dir.clone());
                    }
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
    use super::super::{Family, Flags};
    use super::*;

    fn check(line: &str, env: &[(&str, &str)]) -> String {
        let words: Vec<String> = line.split_whitespace().map(ToOwned::to_owned).collect();
        let env: Vec<_> =
            env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let builtin = ["/gcc", "/usr/include/c++/12", "/usr/include"].map(ToOwned::to_owned);
        let flags = Flags::default().reading(Family::Gcc);
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
    fn the_first_of_equal_ones_counts() {
        let line = "-I/b -I/a -I/b -isystem /s -isystem /t -isystem /s -I/t -iquote /q -iquote /q";
        let system = "/gcc /usr/include/c++/12 /usr/include";
        assert_eq!(check(line, &[("CPATH", "/a")]), format!("/q /b /a /s /t {system}"));
        let many = "-isystem /usr/include ".repeat(45_000) + &"-I/usr/include ".repeat(45_000);
        assert_eq!(check(&many, &[]), "/usr/include /gcc /usr/include/c++/12");
    }

    #[test]
    fn a_directory_of_the_compiler_stays_in_its_place() {
        assert_eq!(check("-I/usr/include", &[]), "/gcc /usr/include/c++/12 /usr/include");
    }

    #[test]
    fn clang_cl_searches_its_own_headers_before_those_of_the_system() {
        let line = ["/imsvc/sdk", "-I", "/a", "/external:I", "/x", "/clang:-I/c", "/c", "a.c"];
        let args = line.map(ToOwned::to_owned);
        let env = [("INCLUDE".to_owned(), "/vc;;/um".to_owned())];
        let builtin = ["/clang/include".to_owned()];
        let flags = Flags::default().reading(Family::ClangCl);
        let dirs = include_dirs(flags.table(), &flags.parse(&args), &env, &builtin);
        assert_eq!(dirs.join(" "), "/a /c /clang/include /sdk /x /vc /um");
    }

    #[test]
    fn a_directory_in_the_sysroot_is_found_there() {
        let builtin = "/gcc /usr/include/c++/12 /usr/include";
        let line = "--sysroot=/ -I=/usr/x -isystem =/usr/y";
        assert_eq!(check(line, &[]), format!("/usr/x /usr/y {builtin}"));
        let line = "-I=/x -isysroot /usr --sysroot=../s";
        assert_eq!(check(line, &[]), format!("/usr/x {builtin}"));
        // Without one it is a name.
        assert_eq!(check("-I=/usr/x", &[]), format!("=/usr/x {builtin}"));
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
