//! Finds what a compile reads by asking its own preprocessor.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

use super::command_line::CommandLine;
use super::depfile;
use crate::error::{Error, Result};

/// The files that the compile opens, spelled as the compiler spells them, sorted.
///
/// Where the source does not even preprocess, the files opened up to then: the server's compiler is
/// to say what is wrong, not ours.
pub(crate) fn inputs(
    program: &str,
    line: &CommandLine,
    cwd: &Path,
    env: &[(String, String)],
) -> Result<BTreeSet<String>> {
    let failed = |reason: String| Error::Compiler { program: program.to_owned(), reason };
    let depfile = tempfile::NamedTempFile::new().map_err(|e| Error::file("temporary file", e))?;
    let run = |args: &[&OsStr], stdout: Stdio| {
        // A relative program is looked for in our own directory, not in the child's.
        let program = if program.contains('/') { cwd.join(program) } else { program.into() };
        Command::new(program)
            .args(&line.reading)
            .args(args)
            .current_dir(cwd)
            .envs(env.iter().map(|(name, value)| (name, value)))
            .env("LC_ALL", "C")
            .env_remove("DEPENDENCIES_OUTPUT")
            .env_remove("SUNPRO_DEPENDENCIES")
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(Stdio::null())
            .output()
            .map_err(|e| failed(e.to_string()))
    };
    let args = ["-M", "-MF"].map(OsStr::new);
    let args = [args[0], args[1], depfile.path().as_os_str(), "-MT".as_ref(), "x".as_ref()];
    let mut names: BTreeSet<String> = if run(&args, Stdio::null())?.status.success() {
        let rule = std::fs::read(depfile.path()).map_err(|e| Error::file(depfile.path(), e))?;
        let rule =
            String::from_utf8(rule).map_err(|_| failed("a path that is not UTF-8".into()))?;
        depfile::prerequisites(&rule).into_iter().collect()
    } else {
        let output = run(&["-E".as_ref()], Stdio::piped())?;
        line_markers(&String::from_utf8_lossy(&output.stdout))
    };
    names.insert(line.source.clone());
    names.retain(|name| cwd.join(name).is_file());
    Ok(names)
}

/// The names in `# 1 "name" 1` lines of preprocessed text.
fn line_markers(text: &str) -> BTreeSet<String> {
    text.lines()
        .filter_map(|line| line.strip_prefix("# "))
        .filter_map(|rest| rest.split_once(" \"")?.1.rsplit_once('"'))
        .map(|(name, _)| name.replace("\\\\", "\\").replace("\\\"", "\""))
        .filter(|name| !name.starts_with('<') && !name.ends_with("//"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(source: &str, args: &[&str]) -> Vec<String> {
        let dir = tempfile::tempdir().expect("temporary directory");
        std::fs::create_dir(dir.path().join("inc")).expect("created");
        std::fs::write(dir.path().join("inc/a b.h"), "int x;\n").expect("written");
        std::fs::write(dir.path().join("a.c"), source).expect("written");
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let line = CommandLine::parse(&args, false).expect("a compile");
        inputs("gcc", &line, dir.path(), &[]).expect("scanned").into_iter().collect()
    }

    #[test]
    fn headers_are_named_as_the_compiler_reaches_them() {
        let args = ["-nostdinc", "-Iinc", "-MD", "-c", "a.c", "-o", "gone/a.o"];
        assert_eq!(scan("#include \"a b.h\"\n", &args), ["a.c", "inc/a b.h"]);
    }

    #[test]
    fn a_source_that_does_not_preprocess_still_has_inputs() {
        let args = ["-nostdinc", "-Iinc", "-c", "a.c"];
        let names = scan("#include \"a b.h\"\n#include \"gone.h\"\n", &args);
        assert_eq!(names, ["a.c", "inc/a b.h"]);
    }
}
