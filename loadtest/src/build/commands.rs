//! Reads a `compile_commands.json`.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::shell;
use crate::client::Compile;
use crate::error::{Error, Result};

/// Programs that only pass a compile on.
const WRAPPERS: &[&str] = &["gomacc", "ccache", "distcc", "sccache"];

/// One compile of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Absolute.
    pub(super) directory: PathBuf,
    pub(super) file: String,
    pub(super) argv: Vec<String>,
}

/// As the file spells it.
#[derive(Debug, Deserialize)]
struct Raw {
    directory: PathBuf,
    file: String,
    command: Option<String>,
    arguments: Option<Vec<String>>,
}

/// The entries of the file at `path`, in its order.
pub(super) fn read(path: &Path) -> Result<Vec<Entry>> {
    let invalid = |reason: String| Error::Config {
        flag: "--compile-commands",
        reason: format!("{}: {reason}", path.display()),
    };
    let text = std::fs::read(path).map_err(|e| Error::file(path, e))?;
    let raw: Vec<Raw> = serde_json::from_slice(&text).map_err(|e| invalid(e.to_string()))?;
    // A relative directory is relative to the list.
    let base = std::path::absolute(path).map_err(|e| Error::file(path, e))?;
    let base = base.parent().unwrap_or(Path::new("/"));
    raw.into_iter().map(|raw| raw.entry(base).map_err(invalid)).collect()
}

impl Raw {
    fn entry(self, base: &Path) -> Result<Entry, String> {
        let mut argv = match (self.arguments, self.command) {
            (Some(arguments), _) => arguments,
            (None, Some(command)) => shell::split(&command),
            (None, None) => return Err(format!("{}: no command", self.file)),
        };
        if argv.len() > 1 && is_wrapper(&argv[0]) {
            argv.remove(0);
        }
        if argv.is_empty() {
            return Err(format!("{}: empty command", self.file));
        }
        Ok(Entry { directory: base.join(self.directory), file: self.file, argv })
    }
}

impl Entry {
    /// The compile, with this process's environment.
    pub(super) fn compile(&self) -> Compile {
        Compile::new(self.directory.clone(), self.argv.iter().cloned())
    }

    /// What people call it.
    pub(super) fn name(&self) -> String {
        self.file.clone()
    }
}

fn is_wrapper(program: &str) -> bool {
    WRAPPERS.contains(&program.rsplit('/').next().unwrap_or(program))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<Vec<Entry>> {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("compile_commands.json");
        std::fs::write(&path, text).expect("written");
        read(&path)
    }

    #[test]
    fn commands_and_arguments_are_both_read_and_wrappers_dropped() {
        let entries = read_text(
            r#"[{"directory": "/b", "file": "a.c", "command": "/usr/bin/ccache gcc -DX='1 2' -c a.c"},
                {"directory": "/b", "file": "b.c", "arguments": ["gcc", "-c", "b c.c"], "output": "o"}]"#,
        )
        .expect("valid");
        assert_eq!(entries[0].argv, ["gcc", "-DX=1 2", "-c", "a.c"]);
        assert_eq!(entries[1].argv, ["gcc", "-c", "b c.c"]);
    }

    #[test]
    fn what_is_no_list_is_refused_with_the_flags_name() {
        for text in ["{}", r#"[{"directory": "/b", "file": "a.c"}]"#] {
            let error = read_text(text).expect_err("refused").to_string();
            assert!(error.starts_with("--compile-commands: "), "{error}");
        }
    }
}
