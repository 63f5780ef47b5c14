//! What is built, round after round, so that each round has work that no cache knows.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::error::{Error, Result};
use crate::sources::Sources;

/// The source of rounds.
#[derive(Debug)]
pub(super) enum Workload {
    /// A project of our own, some of whose files change.
    Generated(Sources),
    /// Somebody's project: every other compile is given a define of its own each round.
    Project {
        entries: Vec<Value>,
        /// The list as it is in this round.
        list: PathBuf,
    },
}

impl Workload {
    /// The project in `project`, which has a `compile_commands.json`. Lists are written into `dir`;
    /// objects go where the project's own do.
    ///
    /// # Errors
    /// When there is no list, or none that can be read.
    pub(super) fn of_project(project: &Path, dir: &Path) -> Result<Self> {
        let file = project.join("compile_commands.json");
        let text = std::fs::read(&file).map_err(|error| Error::file(&file, error))?;
        let invalid = |reason: String| Error::Config { flag: "--project", reason };
        let mut entries: Vec<Value> = serde_json::from_slice(&text)
            .map_err(|error| invalid(format!("{}: {error}", file.display())))?;
        let project = std::path::absolute(project).map_err(|error| Error::file(project, error))?;
        for entry in &mut entries {
            let directory = entry["directory"].as_str().unwrap_or_default();
            entry["directory"] = project.join(directory).to_string_lossy().into();
        }
        Ok(Self::Project { entries, list: dir.join("compile_commands.json") })
    }

    /// Makes round `round`, from 1; its list of compiles.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub(super) fn round(&self, round: usize) -> Result<PathBuf> {
        match self {
            Self::Generated(sources) => {
                sources.change(round)?;
                Ok(sources.compile_commands())
            }
            Self::Project { entries, list } => {
                let text = Value::from(defined(entries, round)).to_string();
                std::fs::write(list, text).map_err(|error| Error::file(list, error))?;
                Ok(list.clone())
            }
        }
    }
}

/// The compiles with a define of this round in every other one, in turns.
fn defined(entries: &[Value], round: usize) -> Vec<Value> {
    let mut entries = entries.to_vec();
    let define = format!("-DGOMA_ROUND={round}");
    for entry in entries.iter_mut().skip(round % 2).step_by(2) {
        if let Some(arguments) = entry["arguments"].as_array_mut() {
            arguments.push(define.clone().into());
        } else if let Some(command) = entry["command"].as_str() {
            entry["command"] = format!("{command} {define}").into();
        }
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_other_compile_of_a_project_is_new_in_a_round() {
        let (project, dir) = (tempfile::tempdir().expect("a"), tempfile::tempdir().expect("b"));
        let list = serde_json::json!([
            {"directory": ".", "file": "a.c", "command": "gcc -c a.c"},
            {"directory": "/x", "file": "b.c", "arguments": ["gcc", "-c", "b.c"]},
        ]);
        std::fs::write(project.path().join("compile_commands.json"), list.to_string())
            .expect("written");
        let workload = Workload::of_project(project.path(), dir.path()).expect("read");
        let round = |n| -> Value {
            let list = workload.round(n).expect("written");
            serde_json::from_slice(&std::fs::read(list).expect("there")).expect("JSON")
        };
        let (first, second) = (round(1), round(2));
        assert_eq!(first[0]["command"], "gcc -c a.c");
        assert_eq!(first[1]["arguments"][3], "-DGOMA_ROUND=1");
        assert_eq!(second[0]["command"], "gcc -c a.c -DGOMA_ROUND=2");
        assert_eq!(second[1]["directory"], "/x");
        assert!(second[0]["directory"].as_str().expect("text").starts_with('/'));
    }
}
