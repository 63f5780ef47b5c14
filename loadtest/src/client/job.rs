//! A compile made ready: everything about it that stays the same from attempt to attempt.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::command_line::CommandLine;
use super::compile::Compile;
use super::compiler::{self, Compiler, Compilers};
use super::files::Source;
use super::{response_file, scan};
use crate::error::{Error, Result};

/// Variables that change what a compiler does and are sent, besides PWD.
const SENT_ENV: &[&str] = &[
    "CPATH",
    "C_INCLUDE_PATH",
    "CPLUS_INCLUDE_PATH",
    "OBJC_INCLUDE_PATH",
    "GCC_EXEC_PREFIX",
    "COMPILER_PATH",
    "LIBRARY_PATH",
    "SOURCE_DATE_EPOCH",
    "SDKROOT",
];
/// What stands for the current directory where nothing depends on it.
const ANY_CWD: &str = "/this/path/is/set/by/goma";

/// One compile, ready to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) compiler: Arc<Compiler>,
    pub(crate) line: CommandLine,
    /// As typed, the compiler first.
    pub(crate) argv: Vec<String>,
    /// The same with response files read; empty where there are none.
    pub(crate) expanded: Vec<String>,
    /// Where outputs are written.
    pub(crate) cwd: PathBuf,
    /// What the request says.
    pub(crate) cwd_sent: String,
    /// `NAME=value`, PWD first.
    pub(crate) env: Vec<String>,
    /// By name as sent, sorted.
    pub(crate) inputs: BTreeMap<String, Source>,
}

impl Job {
    /// Reads the command line, asks the compiler about itself and about what it reads. With
    /// `toolchain_included` the compiler itself is an input.
    ///
    /// # Errors
    /// `NotRemote` when a Goma client would not send it.
    pub(crate) fn prepare(
        compile: &Compile,
        compilers: &Compilers,
        toolchain_included: bool,
    ) -> Result<Self> {
        let Some((program, args)) = compile.argv.split_first() else {
            return Err(Error::NotRemote("no command".into()));
        };
        let expanded = response_file::expand(&compile.cwd, args)?;
        let line = CommandLine::parse(&expanded.args, compiler::is_cxx_driver(program))?;
        let path_env = compile.env("PATH").unwrap_or("/usr/bin:/bin");
        let compiler = compilers.get(program, &compile.cwd, path_env, &line)?;
        let mut names = scan::inputs(&compiler.path, &line, &compile.cwd, &compile.env)?;
        names.extend(expanded.files.iter().cloned());
        if toolchain_included {
            names.extend(compiler.inputs.iter().cloned());
        }
        names.extend(compile.extra_inputs.iter().map(|p| p.to_string_lossy().into_owned()));
        let mut inputs: BTreeMap<String, Source> = names
            .into_iter()
            .map(|name| {
                let path = compile.cwd.join(&name);
                (name, Source::Disk(path))
            })
            .collect();
        for (name, bytes) in &compile.overrides {
            let name = name.to_string_lossy().into_owned();
            inputs.insert(name, Source::Memory(bytes.clone()));
        }
        let cwd = compile.cwd.to_string_lossy().into_owned();
        let anywhere =
            line.compilation_dir_is_dot && inputs.keys().all(|name| !name.starts_with('/'));
        let (cwd_sent, pwd) = if anywhere {
            (ANY_CWD.to_owned(), ANY_CWD)
        } else {
            let pwd = compile.env("PWD").filter(|pwd| same_dir(pwd, &compile.cwd));
            (cwd.clone(), pwd.unwrap_or(&cwd))
        };
        let pwd = format!("PWD={pwd}");
        let sent =
            SENT_ENV.iter().filter_map(|name| Some(format!("{name}={}", compile.env(name)?)));
        let env = [pwd].into_iter().chain(sent).collect();
        let expanded = if expanded.files.is_empty() {
            Vec::new()
        } else {
            [program.clone()].into_iter().chain(expanded.args).collect()
        };
        Ok(Self {
            compiler,
            line,
            argv: compile.argv.clone(),
            expanded,
            cwd: compile.cwd.clone(),
            cwd_sent,
            env,
            inputs,
        })
    }
}

/// Whether `PWD` is a name of the compile's directory and not left over from elsewhere.
fn same_dir(pwd: &str, cwd: &std::path::Path) -> bool {
    match (std::fs::canonicalize(pwd), std::fs::canonicalize(cwd)) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    }
}
