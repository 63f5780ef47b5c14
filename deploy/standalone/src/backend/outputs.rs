//! Which outputs a command is to yield, in the newer and in the older way to say so.

use goma_common::Result;
use goma_proto::reapi::Command;
use goma_proto::reapi::command::OutputDirectoryFormat;

use super::input_tree::Dir;
use super::rel_path;

/// What an output was announced as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Announced {
    /// Anything: `output_paths`.
    Path,
    /// `output_files`.
    File,
    /// `output_directories`.
    Directory,
}

/// One output.
pub(super) struct Output {
    pub(super) announced: Announced,
    /// As the client wrote it.
    pub(super) path: String,
    /// Below the input root.
    pub(super) parts: Vec<String>,
}

/// All outputs of a command.
pub(super) struct Outputs {
    pub(super) all: Vec<Output>,
    /// Directories are stored one by one too, not only as trees.
    pub(super) with_directories: bool,
}

impl Outputs {
    /// Reads and checks them.
    ///
    /// # Errors
    /// `InvalidArgument` for a path out of the input root.
    pub(super) fn parse(command: &Command) -> Result<Self> {
        let base = rel_path::resolve("working directory", &[], &command.working_directory)?;
        let format = command.output_directory_format();
        let with_directories = format != OutputDirectoryFormat::TreeOnly;
        let mut outputs = Self { all: Vec::new(), with_directories };
        if command.output_paths.is_empty() {
            outputs.add(Announced::File, &base, deprecated_files(command))?;
            outputs.add(Announced::Directory, &base, deprecated_directories(command))?;
        } else {
            outputs.add(Announced::Path, &base, &command.output_paths)?;
        }
        Ok(outputs)
    }

    fn add(&mut self, announced: Announced, base: &[&str], paths: &[String]) -> Result<()> {
        for path in paths {
            let parts = rel_path::resolve("output", base, path)?;
            let parts = parts.into_iter().map(str::to_owned).collect();
            self.all.push(Output { announced, path: path.clone(), parts });
        }
        Ok(())
    }

    /// Makes what is above each output exist, so that the command can write it.
    ///
    /// # Errors
    /// `InvalidArgument` where a file is in the way.
    pub(super) fn prepare(&self, command: &Command, root: &mut Dir) -> Result<()> {
        root.make_writable(&rel_path::resolve("", &[], &command.working_directory)?)?;
        for output in &self.all {
            let parts: Vec<_> = output.parts.iter().map(String::as_str).collect();
            root.make_writable(&parts[..parts.len().saturating_sub(1)])?;
            root.make_output_writable(&parts);
        }
        Ok(())
    }
}

#[allow(deprecated, reason = "older clients say it this way")]
fn deprecated_files(command: &Command) -> &[String] {
    &command.output_files
}

#[allow(deprecated, reason = "older clients say it this way")]
fn deprecated_directories(command: &Command) -> &[String] {
    &command.output_directories
}
