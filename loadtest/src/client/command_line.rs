//! What a gcc or clang command line says: what is compiled, what comes out, and the same without
//! its outputs.

use super::language::Language;
use super::options::{Options, SEPARATE};
use crate::error::{Error, Result};

/// A compile, understood as far as a client needs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CommandLine {
    /// The one source file, as named.
    pub(crate) source: String,
    /// What the source is written in.
    pub(crate) language: Language,
    /// What the compile will write, as named; the object first.
    pub(crate) outputs: Vec<String>,
    /// The arguments that only say what is read: for the dependency scan.
    pub(crate) reading: Vec<String>,
    /// Those of them that move the compiler's own include directories.
    pub(crate) include_root: Vec<String>,
    /// Files that options name and the preprocessor does not read.
    pub(crate) also_read: Vec<String>,
    /// Whether debug information is kept free of the current directory.
    pub(crate) compilation_dir_is_dot: bool,
}

impl CommandLine {
    /// Reads the arguments after the compiler's name, response files expanded. `cxx_driver`: whether
    /// that name is a C++ compiler's.
    ///
    /// # Errors
    /// `NotRemote` for what Goma clients run locally: linking, preprocessing alone, assembling,
    /// stdin, precompiled headers, several sources.
    pub(crate) fn parse(args: &[String], cxx_driver: bool) -> Result<Self> {
        let not_remote = |why: &str| Err(Error::NotRemote(why.to_owned()));
        let mut read = Options::default();
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let value = SEPARATE.contains(&arg.as_str()).then(|| args.next()).flatten();
            read.take(arg, value.map(String::as_str))?;
        }
        if !read.compiles {
            return not_remote("no -c");
        }
        let [(source, x)] = &read.sources[..] else {
            return Err(Error::NotRemote(format!("{} source files", read.sources.len())));
        };
        if source == "-" {
            return not_remote("source from stdin");
        }
        let language = match x {
            Some(x) => Language::of_x(x),
            None => Language::of_file(source, cxx_driver),
        };
        let Some(language) = language else {
            return Err(Error::NotRemote(format!("language of {source}")));
        };
        Ok(Self {
            outputs: read.outputs(source),
            source: source.clone(),
            language,
            reading: read.reading,
            include_root: read.include_root,
            also_read: read.also_read,
            compilation_dir_is_dot: read.compilation_dir_is_dot,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<CommandLine> {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        CommandLine::parse(&args, false)
    }

    #[track_caller]
    fn check(line: &str, outputs: &[&str], reading: &str) {
        let line = parse(line).expect("a compile");
        assert_eq!(line.outputs, outputs);
        assert_eq!(line.reading.join(" "), reading);
    }

    #[test]
    fn outputs_are_named_as_the_compiler_names_them() {
        check("-c a.c -o obj/a.o", &["obj/a.o"], "a.c");
        check("-O2 -c src/a.b.c", &["a.b.o"], "-O2 src/a.b.c");
        check("-MD -c a.c -oobj/a.o", &["obj/a.o", "obj/a.d"], "a.c");
        check("-MMD -MF x.d -MT y -MP -c a.c -o a.o", &["a.o", "x.d"], "a.c");
        check("-Wp,-MD,.a.o.d -c a.c -o a.o", &["a.o", ".a.o.d"], "a.c");
        check("-Wp,-MMD,a.d,-DX -c a.c -o a.o", &["a.o", "a.d"], "-Wp,-DX a.c");
        check(
            "-gsplit-dwarf --coverage -c a.c -o d.x/a",
            &["d.x/a", "d.x/a.dwo", "d.x/a.gcno"],
            "-gsplit-dwarf --coverage a.c",
        );
    }

    #[test]
    fn values_of_options_are_no_sources() {
        check(
            "-I inc -include pre.h -isystem sys -D A=b.c -c a.c -o a.o",
            &["a.o"],
            "-I inc -include pre.h -isystem sys -D A=b.c a.c",
        );
    }

    #[test]
    fn what_clients_run_themselves_is_refused() {
        for line in [
            "a.o -o a",
            "-E a.c",
            "-c a.S -o a.o",
            "-c - -o a.o",
            "-c a.c b.c",
            "-S a.c -c",
            "-x c-header a.h -c -o a.gch",
            "-c a.o",
        ] {
            assert!(matches!(parse(line), Err(Error::NotRemote(_))), "{line}");
        }
    }

    #[test]
    fn languages_come_from_x_the_name_or_the_driver() {
        let language = |line: &str| parse(line).expect("a compile").language;
        assert_eq!(language("-c a.c"), Language::C);
        assert_eq!(language("-c a.cc"), Language::Cxx);
        assert_eq!(language("-x c++ -c a.c"), Language::Cxx);
        assert_eq!(language("-x c++ -x none -c a.c"), Language::C);
        let args = ["-c", "a.c"].map(str::to_owned);
        assert_eq!(CommandLine::parse(&args, true).expect("a compile").language, Language::Cxx);
    }

    #[test]
    fn files_for_later_stages_are_known() {
        let line = parse("-fprofile-use=a.prof -fprofile-use -c a.c").expect("a compile");
        assert_eq!(line.also_read, ["a.prof"]);
    }

    #[test]
    fn what_moves_the_include_directories_is_known() {
        let line = parse("-nostdinc --sysroot=../r -isysroot q -O2 -c a.c").expect("a compile");
        assert_eq!(line.include_root, ["-nostdinc", "--sysroot=../r", "-isysroot", "q"]);
    }
}
