//! Does the result depend on the directory that the compiler runs in?

use super::family::Family;
use super::flags::Meaning;
use super::include_dirs::separator;
use super::reading::Reading;
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
pub(crate) fn relocation(
    reading: &Reading,
    tokens: &[Token],
    env: &[(String, String)],
) -> Relocation {
    match reading.family {
        Family::ClangTidy => {
            return Relocation::Fixed("clang-tidy tells absolute paths".to_owned());
        }
        Family::Other => return Relocation::Fixed("nothing is known of this compiler".to_owned()),
        Family::Gcc | Family::Clang | Family::ClangCl | Family::Javac => {}
    }
    let mut debug = None;
    let mut link_time = None;
    let mut debug_dir: Option<&str> = None;
    let mut coverage_dir = false;
    for token in tokens {
        if token.for_clang().is_some() {
            // Its words one by one; their values may be in other ones, which then are operands.
            let inner = token.handed_on(reading.table()).map_or_else(Vec::new, |(_, inner)| inner);
            match relocation(reading, &inner, &[]) {
                Relocation::Relocatable => continue,
                fixed => return fixed,
            }
        }
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
                    Meaning::Absolute
                    | Meaning::HandedOn
                    | Meaning::Coverage
                    | Meaning::Dumps
                    | Meaning::Precompiled => {
                        return Relocation::Fixed(flag.clone());
                    }
                    Meaning::Remap => return Relocation::Fixed(format!("{flag}{value}")),
                    Meaning::DebugInfo => debug = Some(flag.clone()),
                    Meaning::NoDebugInfo => debug = None,
                    Meaning::CompilationDir => (debug_dir, coverage_dir) = (Some(value), true),
                    Meaning::DebugDir => debug_dir = Some(value),
                    Meaning::CoverageDir => coverage_dir = true,
                    Meaning::LinkTime => link_time = Some(flag.clone()),
                    Meaning::NoLinkTime => link_time = None,
                    _ => {}
                }
            }
        }
    }
    let told = match for_windows(reading.family, tokens) {
        // Such debug information holds the command line, with both directories in it, and the whole
        // name of the object, unless the directory is relative.
        true => coverage_dir && debug_dir.is_some_and(|dir| !dir.starts_with('/')),
        false => debug_dir.is_some(),
    };
    if let Some(flag) = debug.filter(|_| !told) {
        return Relocation::Fixed(format!("{flag} without a compilation directory"));
    }
    if let Some(flag) = link_time.filter(|_| reading.family == Family::Gcc) {
        return Relocation::Fixed(flag);
    }
    for (name, value) in env {
        if name != "PWD" && value.split(separator(name)).any(is_users) {
            return Relocation::Fixed(format!("environment variable {name}"));
        }
    }
    Relocation::Relocatable
}

/// Whether debug information is that of Windows.
fn for_windows(family: Family, tokens: &[Token]) -> bool {
    let named = |token: &Token| match token {
        Token::Flag { flag, value: Some(target), .. } => {
            matches!(flag.as_str(), "--target=" | "-target")
                && ["windows", "win32"].iter().any(|system| target.contains(system))
        }
        Token::Flag { flag, .. } => flag.starts_with("-gcodeview"),
        _ => false,
    };
    family == Family::ClangCl || family == Family::Clang && tokens.iter().any(named)
}

fn is_users(path: &str) -> bool {
    AbsPath::parse(path).is_ok_and(|path| !path.is_system())
}

#[cfg(test)]
mod tests {
    use super::super::Flags;
    use super::*;

    fn check(line: &str) -> Relocation {
        check_for(Family::Gcc, line)
    }

    fn check_for(family: Family, line: &str) -> Relocation {
        let args: Vec<String> = line.split_whitespace().map(ToOwned::to_owned).collect();
        let reading = Flags::default().reading(family);
        relocation(&reading, &reading.parse(&args), &[("PWD".to_owned(), "/home/u".to_owned())])
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
            "-Xclang -fno-pch-timestamp -mllvm -x-file=data/x -c a.c",
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
            "-fdiagnostics-absolute-paths -c a.c",
            "-fprofile-use -c a.c",
            "-fbranch-probabilities -c a.c",
            "-v -c a.c",
            "-include-pch all.pch -c a.c",
            "-mllvm -x-file=/home/u/x -c a.c",
            "-Xclang -load -Xclang /home/u/p.so -c a.c",
            "-Xclang -unheard-of -c a.c",
            "-fembed-bitcode -c a.c",
        ] {
            assert!(matches!(check(line), Relocation::Fixed(_)), "{line}");
        }
    }

    #[test]
    fn debug_information_for_windows_tells_more() {
        let check = |line: &str| check_for(Family::Clang, line) == Relocation::Relocatable;
        assert!(check("-g -fdebug-compilation-dir=/x -c a.c"));
        assert!(check("-g -fdebug-compilation-dir /usr/x -c a.c"));
        assert!(check("-g --target=x86_64-apple-darwin -fdebug-compilation-dir=. -c a.c"));
        for windows in ["--target=x86_64-pc-windows-msvc", "-target x86_64-win32", "-gcodeview"] {
            assert!(check(&format!("-g {windows} -ffile-compilation-dir=. -c a.c")), "{windows}");
            for dir in ["-fdebug-compilation-dir=.", "-ffile-compilation-dir=/x"] {
                assert!(!check(&format!("-g {windows} {dir} -c a.c")), "{windows} {dir}");
            }
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
    fn clang_cl_has_flags_of_its_own() {
        let check = |line: &str| {
            let args: Vec<String> = line.split_whitespace().map(ToOwned::to_owned).collect();
            let env = [("INCLUDE".to_owned(), "../sdk;/usr/include".to_owned())];
            let reading = Flags::default().reading(Family::ClangCl);
            relocation(&reading, &reading.parse(&args), &env)
        };
        for line in [
            "/c ../a.cc /I../inc -imsvc ../sdk /Foa.obj /Wall /O2 /MD /std:c++17 /showIncludes",
            "/Z7 -ffile-compilation-dir=. /c a.cc",
            "/Zi -fdebug-compilation-dir=. -fcoverage-compilation-dir=. /c a.cc",
            "/Zi -fdebug-compilation-dir=. -fcoverage-compilation-dir=/x /c a.cc",
            "/clang:-MD /clang:-MFa.d /c a.cc -- b.cc",
            "-Xclang -fno-rtti-data /c /FIx.h a.cc",
        ] {
            assert_eq!(check(line), Relocation::Relocatable, "{line}");
        }
        for line in [
            "/c /home/u/a.cc",
            "/c a.cc -- /home/u/a.cc",
            "/I/home/u/inc /c a.cc",
            "-imsvc /home/u/inc /c a.cc",
            "/Z7 /c a.cc",
            "/Z7 -fdebug-compilation-dir=. /c a.cc",
            "/Z7 -ffile-compilation-dir=/x /c a.cc",
            "/Z7 -ffile-compilation-dir=. -fdebug-compilation-dir=/x /c a.cc",
            "/Z7 -g0 /c a.cc",
            "-fdiagnostics-absolute-paths /c a.cc",
            "-v /c a.cc",
            "/clang:-I/home/u/x /c a.cc",
            "/clang:-MF /clang:/home/u/x /c a.cc",
            "/unheard-of /c a.cc",
            "/Fo/home/u/a.obj /c a.cc",
        ] {
            assert!(matches!(check(line), Relocation::Fixed(_)), "{line}");
        }
        let env = [("INCLUDE".to_owned(), "../sdk;/home/u/sdk".to_owned())];
        let reading = Flags::default().reading(Family::ClangCl);
        assert!(matches!(relocation(&reading, &[], &env), Relocation::Fixed(_)));
    }

    #[test]
    fn an_environment_variable_with_a_users_path_counts() {
        let env = [("CPATH".to_owned(), "/usr/include:/home/u/inc".to_owned())];
        let reading = Flags::default().reading(Family::Gcc);
        assert!(matches!(relocation(&reading, &[], &env), Relocation::Fixed(_)));
    }
}
