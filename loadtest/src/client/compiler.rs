//! What there is to know about a compiler of this machine, asked once per process.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use goma_common::Digest;
use goma_proto::api::ToolchainSpec;

use super::command_line::CommandLine;
use super::language::Language;
use super::toolchain;
use crate::error::{Error, Result};
use crate::lock::lock;

/// A compiler with one set of include directories.
#[derive(Clone, Debug)]
pub(crate) struct Compiler {
    /// The name servers select by: gcc, g++, clang or clang++.
    pub(crate) name: &'static str,
    pub(crate) version: String,
    pub(crate) target: String,
    /// Hex SHA-256 of the real driver.
    pub(crate) hash: String,
    pub(crate) size: u64,
    /// Where it was found, symlinks not followed.
    pub(crate) path: String,
    /// Directories of `#include <...>`, in order.
    pub(crate) include_dirs: Vec<String>,
    /// The symlinks to the real driver, and it.
    pub(crate) toolchain: Vec<ToolchainSpec>,
    /// Files of the toolchain that go along as inputs.
    pub(crate) inputs: Vec<String>,
}

/// The compilers asked so far.
#[derive(Debug, Default)]
pub(crate) struct Compilers {
    known: Mutex<HashMap<Question, Arc<Compiler>>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Question {
    /// A compiler named relatively is a different one in each directory.
    cwd: Option<PathBuf>,
    program: String,
    language: Language,
    include_root: Vec<String>,
}

/// Whether a program of this name compiles `.c` files as C++.
pub(crate) fn is_cxx_driver(program: &str) -> bool {
    name_of(program).is_some_and(|name| name.ends_with("++"))
}

/// The name that the stock client gives a compiler called like this.
fn name_of(program: &str) -> Option<&'static str> {
    let base = program.rsplit('/').next().unwrap_or(program);
    [("clang++", "clang++"), ("clang", "clang"), ("g++", "g++"), ("gcc", "gcc")]
        .into_iter()
        .find_map(|(part, name)| base.contains(part).then_some(name))
        .or(match base {
            "cc" => Some("gcc"),
            "c++" => Some("g++"),
            _ => None,
        })
}

impl Compilers {
    /// Facts about `program` as `line` uses it in `cwd`.
    pub(crate) fn get(
        &self,
        program: &str,
        cwd: &Path,
        path_env: &str,
        line: &CommandLine,
    ) -> Result<Arc<Compiler>> {
        let relative = program.contains('/') && !program.starts_with('/')
            || line.include_root.iter().any(|arg| arg.contains('/'));
        let question = Question {
            cwd: relative.then(|| cwd.to_owned()),
            program: program.to_owned(),
            language: line.language,
            include_root: line.include_root.clone(),
        };
        if let Some(compiler) = lock(&self.known).get(&question) {
            return Ok(Arc::clone(compiler));
        }
        // Two compiles may ask at once in the beginning; both learn the same.
        let compiler = Arc::new(ask(&question, cwd, path_env)?);
        lock(&self.known).insert(question, Arc::clone(&compiler));
        Ok(compiler)
    }
}

/// Where a compiler of this machine is, and the directories in which it looks for headers.
///
/// # Errors
/// When there is none of this name, or it is none that Goma clients know.
pub(crate) fn compiler_of(program: &str) -> Result<(String, Vec<String>)> {
    let source = if is_cxx_driver(program) { "x.cc" } else { "x.c" };
    let line = CommandLine::parse(&["-c", source].map(ToOwned::to_owned), is_cxx_driver(program))?;
    let path = std::env::var("PATH").unwrap_or_else(|_| "/usr/bin:/bin".to_owned());
    let found = Compilers::default().get(program, Path::new("/"), &path, &line)?;
    Ok((found.path.clone(), found.include_dirs.clone()))
}

fn ask(question: &Question, cwd: &Path, path_env: &str) -> Result<Compiler> {
    let program = &question.program;
    let Some(name) = name_of(program) else {
        return Err(Error::NotRemote(format!("{program} is no gcc or clang")));
    };
    let path = find(program, cwd, path_env)?;
    let run = |args: &[&str]| run(&path, cwd, args);
    let version = version_of(name, &run(&["-dumpversion"])?.0, &run(&["--version"])?.0);
    let target = run(&["-dumpmachine"])?.0.trim().to_owned();
    let mut args: Vec<&str> = question.include_root.iter().map(String::as_str).collect();
    args.extend(["-v", "-E", "-x", question.language.name(), "/dev/null"]);
    let (_, verbose) = run(&args)?;
    let links = toolchain::follow(cwd, &path)?;
    let contents =
        std::fs::read(cwd.join(&links.real)).map_err(|e| Error::file(cwd.join(&links.real), e))?;
    let digest = Digest::of(&contents);
    let mut inputs = vec![links.real.clone()];
    // How clang finds the GCC installation whose headers and libraries it uses.
    inputs.extend(selected_gcc(&verbose).filter(|file| Path::new(file).exists()));
    Ok(Compiler {
        name,
        version,
        target,
        hash: digest.hex(),
        size: digest.size,
        include_dirs: include_dirs(&verbose),
        toolchain: links.specs(&digest),
        path,
        inputs,
    })
}

/// The program as the shell would find it.
fn find(program: &str, cwd: &Path, path_env: &str) -> Result<String> {
    if program.contains('/') {
        return Ok(program.to_owned());
    }
    path_env
        .split(':')
        .filter(|dir| !dir.is_empty())
        .map(|dir| format!("{dir}/{program}"))
        .find(|candidate| cwd.join(candidate).is_file())
        .ok_or_else(|| Error::Compiler {
            program: program.to_owned(),
            reason: "not in PATH".into(),
        })
}

/// Standard output and standard error of the compiler asked about itself.
fn run(path: &str, cwd: &Path, args: &[&str]) -> Result<(String, String)> {
    let failed = |reason: String| Error::Compiler { program: path.to_owned(), reason };
    // A relative program is looked for in our own directory, not in the child's.
    let program = if path.contains('/') { cwd.join(path) } else { path.into() };
    let output = Command::new(program)
        .args(args)
        .current_dir(cwd)
        .env("LC_ALL", "C")
        .output()
        .map_err(|e| failed(e.to_string()))?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let stderr = text(output.stderr);
    if !output.status.success() {
        return Err(failed(format!("{}: {}: {}", args.join(" "), output.status, stderr.trim())));
    }
    Ok((text(output.stdout), stderr))
}

/// `12[(Debian 12.2.0-14+deb12u1) 12.2.0]`: the short version, and the long one without the
/// program's name.
fn version_of(name: &str, dumpversion: &str, version: &str) -> String {
    let first = version.lines().next().unwrap_or_default();
    let long = match first.find('(') {
        Some(at) if !name.starts_with("clang") => &first[at..],
        _ => first,
    };
    format!("{}[{long}]", dumpversion.trim())
}

/// The list that `-v -E` prints, without notes in brackets.
fn include_dirs(verbose: &str) -> Vec<String> {
    verbose
        .lines()
        .skip_while(|line| !line.starts_with("#include <...>"))
        .skip(1)
        .take_while(|line| line.starts_with(' '))
        .map(|line| line.trim().trim_end_matches(" (framework directory)").to_owned())
        .collect()
}

fn selected_gcc(verbose: &str) -> impl Iterator<Item = String> + '_ {
    verbose
        .lines()
        .filter_map(|line| line.strip_prefix("Selected GCC installation: "))
        .map(|dir| format!("{}/crtbegin.o", dir.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_versions_are_the_stock_clients() {
        assert_eq!(name_of("/usr/bin/x86_64-linux-gnu-g++-12"), Some("g++"));
        assert_eq!(name_of("clang++-14"), Some("clang++"));
        assert_eq!(name_of("cc"), Some("gcc"));
        assert_eq!(name_of("rustc"), None);
        assert_eq!(
            version_of("gcc", "12\n", "gcc (Debian 12.2.0-14+deb12u1) 12.2.0\nCopyright\n"),
            "12[(Debian 12.2.0-14+deb12u1) 12.2.0]"
        );
        assert_eq!(
            version_of("clang", "14.0.6\n", "Debian clang version 14.0.6\nTarget: x\n"),
            "14.0.6[Debian clang version 14.0.6]"
        );
    }

    #[test]
    fn include_directories_are_read_from_the_verbose_output() {
        let verbose = "#include \"...\" search starts here:\n a\n\
                       #include <...> search starts here:\n /usr/lib/gcc/include\n \
                       /usr/include\nEnd of search list.\n # x\n";
        assert_eq!(include_dirs(verbose), ["/usr/lib/gcc/include", "/usr/include"]);
        assert!(include_dirs("End of search list.").is_empty());
    }
}
