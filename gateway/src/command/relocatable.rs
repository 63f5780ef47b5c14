//! Does the result depend on the directory that the compiler runs in?

use super::family::Family;
use super::flags::Meaning;
use super::tokens::Token;
use crate::paths::AbsPath;

/// Where a compile may run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Relocation {
    /// Anywhere: two users with different directories share the result.
    Relocatable,
    /// Only where the client has its files, for this reason.
    Fixed(String),
}

/// Decides by the arguments, and by the environment other than `PWD`. Pure.
///
/// System paths do not count: they are the same for everybody.
pub(crate) fn relocation(family: Family, tokens: &[Token], env: &[(String, String)]) -> Relocation {
    match family {
        Family::ClangTidy => {
            return Relocation::Fixed("clang-tidy tells absolute paths".to_owned());
        }
        Family::Other => return Relocation::Fixed("nothing is known of this compiler".to_owned()),
        Family::Gcc | Family::Clang | Family::Javac => {}
    }
    let mut debug = None;
    let mut link_time = None;
    let mut compilation_dir = false;
    for token in tokens {
        match token {
            Token::Unknown(flag) => return Relocation::Fixed(format!("unknown flag {flag}")),
            Token::Operand(name) if is_users(name) => return Relocation::Fixed(name.clone()),
            Token::Operand(_) => {}
            Token::Flag { flag, value, meaning, .. } => {
                if let Some(path) = token.glued_paths().find(|path| !path.is_system()) {
                    return Relocation::Fixed(format!("{flag}: {path}"));
                }
                let value = value.as_deref().unwrap_or("");
                match meaning {
                    Meaning::Path if is_users(value) => {
                        return Relocation::Fixed(format!("{flag} {value}"));
                    }
                    Meaning::Paths if value.split(':').any(is_users) => {
                        return Relocation::Fixed(format!("{flag} {value}"));
                    }
                    Meaning::Absolute | Meaning::HandedOn | Meaning::Coverage | Meaning::Dumps => {
                        return Relocation::Fixed(flag.clone());
                    }
                    Meaning::Remap => return Relocation::Fixed(format!("{flag}{value}")),
                    Meaning::DebugInfo => debug = Some(flag.clone()),
                    Meaning::NoDebugInfo => debug = None,
                    Meaning::CompilationDir => compilation_dir = true,
                    Meaning::LinkTime => link_time = Some(flag.clone()),
                    Meaning::NoLinkTime => link_time = None,
                    _ => {}
                }
            }
        }
    }
    if let Some(flag) = debug.filter(|_| !compilation_dir) {
        return Relocation::Fixed(format!("{flag} without a compilation directory"));
    }
    if let Some(flag) = link_time.filter(|_| family == Family::Gcc) {
        return Relocation::Fixed(flag);
    }
    for (name, value) in env {
        if name != "PWD" && value.split(':').any(is_users) {
            return Relocation::Fixed(format!("environment variable {name}"));
        }
    }
    Relocation::Relocatable
}

fn is_users(path: &str) -> bool {
    AbsPath::parse(path).is_ok_and(|path| !path.is_system())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str) -> Relocation {
        check_for(Family::Gcc, line)
    }

    fn check_for(family: Family, line: &str) -> Relocation {
        let args: Vec<String> = line.split_whitespace().map(ToOwned::to_owned).collect();
        let tokens = super::super::Flags::default().reading(family).parse(&args);
        relocation(family, &tokens, &[("PWD".to_owned(), "/home/u".to_owned())])
    }

    #[test]
    fn relative_paths_and_system_paths_run_anywhere() {
        for line in [
            "-O2 -Iinclude -I/usr/include/libxml2 -c a.c -o obj/a.o",
            "-g -ffile-compilation-dir=. -c a.c -o a.o",
            "-g -g0 -c a.c",
            "-DDIR=/home/u -c a.c",
            "-flto -fno-lto -c a.c",
            "-fplugin-arg-x-file=/usr/share/x -mllvm-like=data/home/u -c a.c",
            "-Wl,-rpath,/home/u/lib -c a.c",
        ] {
            assert_eq!(check(line), Relocation::Relocatable, "{line}");
        }
    }

    #[test]
    fn whatever_names_the_users_directory_runs_only_there() {
        for line in [
            "-I/home/u/inc -c a.c",
            "-I /home/u/inc -c a.c",
            "-c /home/u/a.c",
            "-c a.c -o /home/u/a.o",
            "-g -c a.c",
            "-g -fdebug-prefix-map=/home/u=. -c a.c",
            "--coverage -c a.c",
            "-no-such-flag -c a.c",
            "-fplugin-arg-x-file=/home/u/x -c a.c",
            "-mfoo=/home/u/x -c a.c",
            "-Wfoo=a,/home/u/x -c a.c",
            "-fx=a:/home/u/x -c a.c",
            "-O2 -flto=auto -c a.c",
            "-specs=/home/u/specs -c a.c",
            "--gcc-toolchain=/home/u/tc -c a.c",
        ] {
            assert!(matches!(check(line), Relocation::Fixed(_)), "{line}");
        }
    }

    #[test]
    fn code_for_the_linker_holds_the_directory_with_gcc_alone() {
        assert!(matches!(check_for(Family::Gcc, "-flto -c a.c"), Relocation::Fixed(_)));
        assert_eq!(check_for(Family::Clang, "-flto=thin -c a.c"), Relocation::Relocatable);
    }

    #[test]
    fn javac_names_directories_in_its_arguments_alone() {
        let check = |line| check_for(Family::Javac, line);
        let relative =
            "-g -d out/classes -cp lib/a.jar:/usr/share/java/b.jar -Xlint:all A.java @a.params";
        assert_eq!(check(relative), Relocation::Relocatable);
        for line in [
            "-d /home/u/out A.java",
            "-cp lib/a.jar:/home/u/b.jar A.java",
            "--processor-path=/home/u/p.jar A.java",
            "-Aout=/home/u/x A.java",
            "--unheard A.java",
            "/home/u/A.java",
        ] {
            assert!(matches!(check(line), Relocation::Fixed(_)), "{line}");
        }
    }

    #[test]
    fn of_others_nothing_is_known() {
        for family in [Family::ClangTidy, Family::Other] {
            assert!(matches!(check_for(family, "a.c"), Relocation::Fixed(_)));
        }
    }

    #[test]
    fn an_environment_variable_with_a_users_path_counts() {
        let env = [("CPATH".to_owned(), "/usr/include:/home/u/inc".to_owned())];
        assert!(matches!(relocation(Family::Gcc, &[], &env), Relocation::Fixed(_)));
    }
}
