//! A Command of the protocol, checked, and as a process to start.

use std::path::{Path, PathBuf};
use std::process::Command;

use goma_common::{Code, Error, Result};
use goma_proto::reapi;

use super::process::Outcome;
use super::rel_path;
use super::run_dir::RunDir;
use super::sandbox::{ENV, Sandbox};

/// What to run; all of it is as the client said, and possible.
pub(super) struct Invocation {
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    /// Below the input root.
    pub(super) working_directory: PathBuf,
}

impl Invocation {
    /// Checks a command.
    ///
    /// # Errors
    /// `InvalidArgument` for what no system could start.
    pub(super) fn parse(command: &reapi::Command) -> Result<Self> {
        let invalid = |message: String| Err(Error::new(Code::InvalidArgument, message));
        let Some(program) = command.arguments.first() else {
            return invalid("a command without arguments".to_owned());
        };
        // `env` would take such a program for a variable.
        if program.is_empty() || program.contains('=') {
            return invalid(format!("bad program name {program:?}"));
        }
        if command.arguments.iter().any(|argument| argument.contains('\0')) {
            return invalid("an argument with a zero byte".to_owned());
        }
        let variables = command.environment_variables.iter();
        let environment: Vec<_> =
            variables.map(|variable| (variable.name.clone(), variable.value.clone())).collect();
        for (name, value) in &environment {
            if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
                return invalid(format!("bad environment variable {name:?}"));
            }
        }
        let parts = rel_path::resolve("working directory", &[], &command.working_directory)?;
        let working_directory = parts.iter().collect();
        Ok(Self { arguments: command.arguments.clone(), environment, working_directory })
    }

    /// In a sandbox, with the input root at `root`.
    pub(super) fn sandboxed(
        &self,
        sandbox: &Sandbox,
        run: &RunDir,
        root: &Path,
        read_only: &[PathBuf],
    ) -> Command {
        let cwd = root.join(&self.working_directory);
        let mut command = sandbox.command(run, root, read_only, &cwd);
        command.args([ENV, "-i", "--"]);
        command.args(self.environment.iter().map(|(name, value)| format!("{name}={value}")));
        command.args(&self.arguments);
        command
    }

    /// As a plain process in the run's directory.
    pub(super) fn plain(&self, run: &RunDir) -> Command {
        let cwd = run.root().join(&self.working_directory);
        // A path with a slash is looked up from there too, and scripts see it as it was written.
        let mut command = Command::new(&self.arguments[0]);
        command.args(&self.arguments[1..]).current_dir(cwd).env_clear();
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// The error where it is the sandbox, or `env` in it, that failed, and not the command.
    pub(super) fn failure(&self, outcome: &Outcome) -> Option<Error> {
        let words = String::from_utf8_lossy(&outcome.stderr);
        let words = words.lines().next().unwrap_or_default();
        if matches!(outcome.exit_code, 126 | 127) && words.starts_with(ENV) {
            let why = words.trim_start_matches(ENV).trim_start_matches(": ");
            return Some(self.not_started(why));
        }
        if outcome.exit_code == 1 && words.starts_with("bwrap: ") {
            return Some(Error::new(Code::Internal, format!("sandbox: {words}")));
        }
        None
    }

    /// That the program is not there, or is none: the client's or the worker's fault, no exit code.
    pub(super) fn not_started(&self, why: impl std::fmt::Display) -> Error {
        let message = format!("cannot run {:?} on this worker: {why}", self.arguments[0]);
        Error::new(Code::InvalidArgument, message)
    }
}
