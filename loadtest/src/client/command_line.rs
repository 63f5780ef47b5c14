//! What a gcc or clang command line says: what is compiled, what comes out, and the same without
//! its outputs.

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

/// Languages that are compiled remotely.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub(crate) enum Language {
    C,
    Cxx,
    ObjC,
    ObjCxx,
}

impl Language {
    /// As `-x` spells it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::C => "c",
            Self::Cxx => "c++",
            Self::ObjC => "objective-c",
            Self::ObjCxx => "objective-c++",
        }
    }

    /// Whether it uses the C++ include directories.
    pub(crate) fn is_cxx(self) -> bool {
        matches!(self, Self::Cxx | Self::ObjCxx)
    }

    fn of_x(name: &str) -> Option<Self> {
        [Self::C, Self::Cxx, Self::ObjC, Self::ObjCxx].into_iter().find(|l| l.name() == name)
    }

    /// By the file's name; a C++ driver takes `.c` for C++.
    fn of_file(name: &str, cxx_driver: bool) -> Option<Self> {
        Some(match name.rsplit_once('.')?.1 {
            "c" | "i" if !cxx_driver => Self::C,
            "c" | "i" | "cc" | "cpp" | "cxx" | "c++" | "C" | "CPP" | "cp" | "ii" => Self::Cxx,
            "m" => Self::ObjC,
            "mm" | "M" => Self::ObjCxx,
            _ => return None,
        })
    }
}

/// Options whose value is the next argument when they stand alone.
const SEPARATE: &[&str] = &[
    "-I",
    "-D",
    "-U",
    "-L",
    "-l",
    "-B",
    "-T",
    "-u",
    "-z",
    "-A",
    "-x",
    "-o",
    "-MF",
    "-MT",
    "-MQ",
    "-include",
    "-imacros",
    "-isystem",
    "-iquote",
    "-idirafter",
    "-iprefix",
    "-iwithprefix",
    "-iwithprefixbefore",
    "-isysroot",
    "-imultilib",
    "-iframework",
    "-F",
    "-arch",
    "-target",
    "-aux-info",
    "-dumpbase",
    "-dumpdir",
    "-dumpbase-ext",
    "-wrapper",
    "-Xclang",
    "-Xpreprocessor",
    "-Xassembler",
    "-Xlinker",
    "-mllvm",
    "--param",
    "--sysroot",
    "-gcc-toolchain",
    "-specs",
];

/// Options that name a file for a later stage than the preprocessor.
const READ_FILES: &[&str] = &[
    "-fprofile-use=",
    "-fprofile-instr-use=",
    "-fprofile-sample-use=",
    "-fauto-profile=",
    "-fsanitize-blacklist=",
    "-fsanitize-ignorelist=",
    "-fplugin=",
    "-specs=",
];

impl CommandLine {
    /// Reads the arguments after the compiler's name, response files expanded. `cxx_driver`: whether
    /// that name is a C++ compiler's.
    ///
    /// # Errors
    /// `NotRemote` for what Goma clients run locally: linking, preprocessing alone, assembling,
    /// stdin, precompiled headers, several sources.
    pub(crate) fn parse(args: &[String], cxx_driver: bool) -> Result<Self> {
        let not_remote = |why: &str| Err(Error::NotRemote(why.to_owned()));
        let mut read = Reading::default();
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

/// The state of reading a command line from left to right.
#[derive(Debug, Default)]
struct Reading {
    compiles: bool,
    x: Option<String>,
    sources: Vec<(String, Option<String>)>,
    output: Option<String>,
    writes_deps: bool,
    depfile: Option<String>,
    /// Suffixes of outputs beside the object.
    extras: Vec<&'static str>,
    reading: Vec<String>,
    include_root: Vec<String>,
    also_read: Vec<String>,
    compilation_dir_is_dot: bool,
}

impl Reading {
    fn take(&mut self, arg: &str, value: Option<&str>) -> Result<()> {
        match arg {
            "-c" => self.compiles = true,
            "-E" | "-S" | "-M" | "-MM" | "-fsyntax-only" | "-save-temps" | "--analyze" => {
                return Err(Error::NotRemote(arg.to_owned()));
            }
            "-o" => self.output = value.map(str::to_owned),
            "-MD" | "-MMD" => self.writes_deps = true,
            "-MF" => self.depfile = value.map(str::to_owned),
            "-MT" | "-MQ" | "-MP" | "-MG" | "-pipe" => {}
            "-x" => {
                self.x = value.filter(|x| *x != "none").map(str::to_owned);
                self.keep(arg, value);
            }
            _ if arg == "-" || !arg.starts_with('-') => {
                self.sources.push((arg.to_owned(), self.x.clone()));
                self.keep(arg, None);
            }
            _ => self.take_joined(arg, value),
        }
        Ok(())
    }

    /// Options that carry their value with them, and those without one.
    fn take_joined(&mut self, arg: &str, value: Option<&str>) {
        if let Some(path) = arg.strip_prefix("-o").filter(|path| !path.is_empty()) {
            self.output = Some(path.to_owned());
            return;
        }
        if let Some(path) = arg.strip_prefix("-MF") {
            self.depfile = Some(path.to_owned());
            return;
        }
        if arg.starts_with("-MT") || arg.starts_with("-MQ") {
            return;
        }
        if let Some(list) = arg.strip_prefix("-Wp,") {
            return self.take_preprocessor(list);
        }
        match arg {
            "-gsplit-dwarf" | "-gsplit-dwarf=split" => self.extra(".dwo"),
            "--coverage" | "-coverage" | "-ftest-coverage" => self.extra(".gcno"),
            "-fstack-usage" => self.extra(".su"),
            "-fdebug-compilation-dir=."
            | "-ffile-compilation-dir=."
            | "-fcoverage-compilation-dir=." => {
                self.compilation_dir_is_dot = true;
            }
            _ => {}
        }
        let named = READ_FILES.iter().find_map(|prefix| arg.strip_prefix(prefix));
        self.also_read.extend(named.map(str::to_owned));
        let moves_includes = matches!(arg, "-nostdinc" | "-nostdinc++" | "-m32" | "-mx32" | "-m64")
            || [
                "--sysroot",
                "-isysroot",
                "--target",
                "-target",
                "-stdlib=",
                "--gcc-toolchain",
                "-B",
            ]
            .iter()
            .any(|prefix| arg.starts_with(prefix));
        if moves_includes {
            self.include_root.push(arg.to_owned());
            self.include_root.extend(value.map(str::to_owned));
        }
        self.keep(arg, value);
    }

    /// `-Wp,-MD,file` and the like, as the Linux kernel's makefiles write it.
    fn take_preprocessor(&mut self, list: &str) {
        let mut rest = Vec::new();
        let mut words = list.split(',');
        while let Some(word) = words.next() {
            match word {
                "-MD" | "-MMD" => {
                    self.writes_deps = true;
                    self.depfile = words.next().map(str::to_owned);
                }
                "-MF" => self.depfile = words.next().map(str::to_owned),
                "-MT" | "-MQ" => drop(words.next()),
                "-MP" => {}
                word => rest.push(word),
            }
        }
        if !rest.is_empty() {
            self.reading.push(format!("-Wp,{}", rest.join(",")));
        }
    }

    fn keep(&mut self, arg: &str, value: Option<&str>) {
        self.reading.push(arg.to_owned());
        self.reading.extend(value.map(str::to_owned));
    }

    fn extra(&mut self, suffix: &'static str) {
        if !self.extras.contains(&suffix) {
            self.extras.push(suffix);
        }
    }

    fn outputs(&self, source: &str) -> Vec<String> {
        let file = source.rsplit('/').next().unwrap_or(source);
        let object = self.output.clone().unwrap_or_else(|| with_suffix(file, ".o"));
        let mut outputs = vec![object.clone()];
        if self.writes_deps {
            let default = || with_suffix(&object, ".d");
            outputs.push(self.depfile.clone().unwrap_or_else(default));
        }
        outputs.extend(self.extras.iter().map(|suffix| with_suffix(&object, suffix)));
        outputs
    }
}

/// `path` with the last extension of its file name replaced.
fn with_suffix(path: &str, suffix: &str) -> String {
    let name = path.rfind('/').map_or(0, |slash| slash + 1);
    match path[name..].rfind('.') {
        Some(dot) if dot > 0 => format!("{}{suffix}", &path[..name + dot]),
        _ => format!("{path}{suffix}"),
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
