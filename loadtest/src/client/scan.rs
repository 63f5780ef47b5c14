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
    let run = |args: &[&OsStr], stdout: Stdio, stderr: Stdio| {
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
            .stderr(stderr)
            .output()
            .map_err(|e| failed(e.to_string()))
    };
    let deps = depfile.path().as_os_str();
    let args = ["-M".as_ref(), "-H".as_ref(), "-MF".as_ref(), deps, "-MT".as_ref(), "x".as_ref()];
    let output = run(&args, Stdio::null(), Stdio::piped())?;
    let mut names: BTreeSet<String> = if output.status.success() {
        let rule = std::fs::read(depfile.path()).map_err(|e| Error::file(depfile.path(), e))?;
        let rule =
            String::from_utf8(rule).map_err(|_| failed("a path that is not UTF-8".into()))?;
        let mut names = depfile::prerequisites(&rule).into_iter().collect();
        respell(&mut names, &String::from_utf8_lossy(&output.stderr));
        names
    } else {
        let output = run(&["-E".as_ref()], Stdio::piped(), Stdio::null())?;
        line_markers(&String::from_utf8_lossy(&output.stdout))
    };
    names.insert(line.source.clone());
    names.extend(line.also_read.iter().cloned());
    names.retain(|name| cwd.join(name).is_file());
    Ok(names)
}

/// Dependency rules lose a leading `./`; the list of `-H` has it, and so has the stock client.
fn respell(names: &mut BTreeSet<String>, includes: &str) {
    for spelled in includes.lines().filter_map(included) {
        let mut bare = spelled;
        while let Some(rest) = bare.strip_prefix("./") {
            bare = rest.trim_start_matches('/');
        }
        if bare != spelled && names.remove(bare) {
            names.insert(spelled.to_owned());
        }
    }
}

/// The name in a line `... name`, a dot for each level.
fn included(line: &str) -> Option<&str> {
    let (dots, name) = line.split_once(' ')?;
    (!dots.is_empty() && dots.bytes().all(|b| b == b'.')).then_some(name)
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
    fn a_directory_of_dot_shows_in_the_names_below_it() {
        let args = ["-nostdinc", "-I.", "-c", "a.c"];
        // Quoted, it would be found beside the source and not through -I.
        assert_eq!(scan("#include <inc/a b.h>\n", &args), ["./inc/a b.h", "a.c"]);
    }

    #[test]
    fn a_source_that_does_not_preprocess_still_has_inputs() {
        let args = ["-nostdinc", "-Iinc", "-c", "a.c"];
        let names = scan("#include \"a b.h\"\n#include \"gone.h\"\n", &args);
        assert_eq!(names, ["a.c", "inc/a b.h"]);
    }
}
