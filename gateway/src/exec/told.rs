//! What a worker wrote, with the client's paths in it. Pure.

use bytes::Bytes;

use super::job::Job;
use super::rewrite::{self, Rewrite};
use super::sysroot::Sysroot;
use super::windows::{self, WindowsTold};
use crate::command::{self, Family};

/// Outputs that are texts whatever made them: preprocessed sources and assembly.
const TEXTS: [&str; 3] = [".i", ".ii", ".s"];

/// The worker's paths that the client must not see.
pub(crate) struct Told {
    /// The output that is a dependency file, by the client's name.
    dependency_file: Option<String>,
    /// Where the client's system headers stand, if they were sent.
    sysroot: Option<Sysroot>,
    /// Set where the compile runs elsewhere than at the client and tells of it.
    rewrite: Option<Rewrite>,
    /// Set for a Windows client.
    windows: Option<WindowsTold>,
    gcc: bool,
}

impl Told {
    pub(super) fn new(job: &Job, sysroot: Option<Sysroot>, rewrite: Option<Rewrite>) -> Self {
        let gcc = job.reading.family == Family::Gcc;
        let windows = job.windows.as_ref().map(|windows| windows.told());
        Self { dependency_file: dependency_file(job), sysroot, rewrite, windows, gcc }
    }

    /// What the compiler printed, as it would have at the client.
    pub(super) fn text(&self, mut text: Bytes) -> Bytes {
        if let Some(sysroot) = &self.sysroot {
            text = sysroot.restore(&text).into();
        }
        if let Some(rewrite) = &self.rewrite {
            text = rewrite.text(&text).into();
        }
        match &self.windows {
            Some(windows) => windows.text(&text),
            None => text,
        }
    }

    /// Why what the compiler printed may be no error at the client; none where it would be.
    pub(super) fn not_found(&self, stderr: &[u8]) -> Option<String> {
        self.windows.as_ref().and_then(|_| windows::not_found(stderr))
    }

    /// An output by the client's name, as it would be there.
    pub(super) fn output(&self, name: &str, contents: Bytes) -> Bytes {
        if self.is_rules(name) {
            return self.rules(contents);
        }
        match &self.rewrite {
            Some(rewrite) if name.ends_with(".gcno") => rewrite.notes(&contents).into(),
            Some(rewrite) if is_text(name) => rewrite.text(&contents).into(),
            _ => contents,
        }
    }

    /// Whether an output cannot be handed on as the worker made it.
    pub(super) fn edits(&self, name: &str) -> bool {
        let rewritten = self.rewrite.is_some() && (name.ends_with(".gcno") || is_text(name));
        rewritten || self.is_rules(name)
    }

    /// Whether an output still tells a path of the worker.
    pub(super) fn leaks(&self, name: &str, contents: &[u8]) -> bool {
        self.is_looked_at(name) && rewrite::tells_of_worker(contents)
    }

    /// Whether an output must not tell a path of the worker.
    pub(super) fn is_looked_at(&self, name: &str) -> bool {
        // A text is the client's by now, and may name such a path for reasons of its own.
        self.rewrite.is_some() && !is_text(name) && !self.is_rules(name)
    }

    fn is_rules(&self, name: &str) -> bool {
        let edited = self.sysroot.is_some() || self.rewrite.is_some() || self.windows.is_some();
        edited && self.dependency_file.as_deref() == Some(name)
    }

    fn rules(&self, contents: Bytes) -> Bytes {
        let mut rules = contents.to_vec();
        if let Some(sysroot) = &self.sysroot {
            rules = sysroot.restore(&rules);
        }
        if let Some(rewrite) = &self.rewrite {
            rules = rewrite.rules(&rules);
        }
        if let Some(windows) = &self.windows {
            return windows.rules(&rules).into();
        }
        match std::str::from_utf8(&rules) {
            Ok(text) if rules != contents => command::broken_into_lines(text, self.gcc).into(),
            _ => rules.into(),
        }
    }
}

fn is_text(name: &str) -> bool {
    TEXTS.iter().any(|suffix| name.ends_with(suffix))
}

/// The output that the command line makes a dependency file.
fn dependency_file(job: &Job) -> Option<String> {
    let path =
        job.cwd.walk(&command::dependency_file(job.reading.table(), &job.tokens)?).ok()?.path;
    let path = match &job.windows {
        Some(windows) => windows.spelled(path),
        None => path,
    };
    job.outputs.iter().find(|output| output.path == path).map(|output| output.name.clone())
}
