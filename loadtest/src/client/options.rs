//! Reads gcc and clang options one by one: those that name outputs, those that say what is read.

use crate::error::{Error, Result};

/// Options whose value is the next argument when they stand alone.
pub(crate) const SEPARATE: &[&str] = &[
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
    "-MJ",
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
    "-fmodule-map-file=",
    "-specs=",
];

/// The state of reading a command line from left to right.
#[derive(Debug, Default)]
pub(crate) struct Options {
    pub(crate) compiles: bool,
    pub(crate) x: Option<String>,
    /// Names, each with the `-x` before it.
    pub(crate) sources: Vec<(String, Option<String>)>,
    pub(crate) output: Option<String>,
    pub(crate) writes_deps: bool,
    pub(crate) depfile: Option<String>,
    /// Suffixes of outputs beside the object.
    pub(crate) extras: Vec<&'static str>,
    pub(crate) reading: Vec<String>,
    pub(crate) include_root: Vec<String>,
    pub(crate) also_read: Vec<String>,
    pub(crate) compilation_dir_is_dot: bool,
}

impl Options {
    /// Takes the next argument and, where it stands apart, its value.
    pub(crate) fn take(&mut self, arg: &str, value: Option<&str>) -> Result<()> {
        match arg {
            "-c" => self.compiles = true,
            "-E" | "-S" | "-M" | "-MM" | "-fsyntax-only" | "-save-temps" | "--analyze" => {
                return Err(Error::NotRemote(arg.to_owned()));
            }
            "-o" => self.output = value.map(str::to_owned),
            "-MD" | "-MMD" => self.writes_deps = true,
            "-MF" => self.depfile = value.map(str::to_owned),
            "-MT" | "-MQ" | "-MP" | "-MG" | "-MJ" | "-pipe" => {}
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

    /// Names of what is written, the object first.
    pub(crate) fn outputs(&self, source: &str) -> Vec<String> {
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
