//! Where each file stands on the worker. Pure.

use std::collections::BTreeSet;

use super::inputs::Inputs;
use super::job::Job;
use super::toolchain::Toolchain;
use crate::command::{self, Relocation, Token};
use crate::config::AbsolutePaths;
use crate::paths::AbsPath;
use crate::refusal::{Refusal, impossible};

/// Some backends make the input root the `/` of the command and mount their own `/lib` and `/bin`
/// over it. A project that has a `lib` of its own must not lie there.
const BASE: &str = "goma";

/// The ground plan of a compile.
pub(crate) struct Layout {
    /// The directory of the client that the input root stands for.
    pub(crate) root: AbsPath,
    /// The nearest directory that holds all that is the user's: `root`, but where the whole path is
    /// laid out.
    pub(crate) top: AbsPath,
    /// The directory of the input root that stands for `root`; none where it does so itself.
    pub(crate) base: Option<&'static str>,
    /// `InputRootAbsolutePath`, where the result depends on it.
    pub(crate) absolute_root: Option<String>,
    /// Whether the result depends on the client's directories.
    pub(crate) fixed: bool,
    /// The command line after the compiler's name, read.
    pub(crate) tokens: Vec<Token>,
    /// Directories that must exist, empty or not.
    pub(crate) dirs: BTreeSet<AbsPath>,
}

impl Layout {
    /// A directory on the way down from `root`, from the input root.
    pub(crate) fn in_input_root(&self, dir: &AbsPath) -> String {
        let parts = [self.base.unwrap_or(""), dir.below(&self.root).unwrap_or("")];
        parts.iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join("/")
    }

    /// Lays a job out.
    ///
    /// # Errors
    /// [`Refusal::Impossible`] naming two paths that share nothing, or what makes the result depend
    /// on the client's directory where the backend cannot offer it.
    pub(crate) fn of(
        job: &Job,
        inputs: &Inputs<'_>,
        toolchain: &Toolchain,
        absolute_paths: AbsolutePaths,
    ) -> Result<Self, Refusal> {
        let top = top(job, inputs, toolchain)?;
        let tokens = command::parse(&job.expanded_args);
        let relocation = command::relocation(&tokens, &job.env);
        let mut root = top.clone();
        let mut base = Some(BASE);
        let mut absolute_root = None;
        if let Relocation::Fixed(why) = &relocation {
            base = None;
            match absolute_paths {
                AbsolutePaths::Property => absolute_root = Some(root.as_str().to_owned()),
                AbsolutePaths::Chroot => root = AbsPath::root(),
                AbsolutePaths::Refuse => {
                    return impossible(format!(
                        "the result would hold a path of the worker ({why}), and this server's \
                         backend cannot run it under the client's own path"
                    ));
                }
            }
        }
        let dirs = dirs(job, inputs, &tokens);
        let fixed = relocation != Relocation::Relocatable;
        Ok(Self { root, top, base, absolute_root, fixed, tokens, dirs })
    }
}

/// The nearest directory that holds the cwd and all files that are not the distribution's. One that
/// the client asks for wins if it holds them too; `/` is none, it would hide the worker's own files.
fn top(job: &Job, inputs: &Inputs<'_>, toolchain: &Toolchain) -> Result<AbsPath, Refusal> {
    let files = inputs.files.iter().map(|(input, _)| &input.path);
    let outputs = job.outputs.iter().map(|output| &output.path);
    let tools = toolchain.files.iter().map(|(path, _)| path);
    let all = files.chain(outputs).chain(tools);
    let mut top = job.cwd.clone();
    for path in all {
        let is_below = path.below(&top).is_some_and(|below| !below.is_empty());
        if is_below || path.is_system() {
            continue;
        }
        // The file's own directory, since the root must be one.
        let common = top.common(&path.parent());
        if common == AbsPath::root() && top != common {
            return impossible(format!(
                "{path} and {top} share no directory that could be the root of the inputs"
            ));
        }
        top = common;
    }
    match &job.exec_root {
        Some(asked) if *asked != AbsPath::root() && top.is_within(asked) && !asked.is_system() => {
            Ok(asked.clone())
        }
        _ => Ok(top),
    }
}

/// The cwd, where outputs go, what is walked through, and the sysroot.
fn dirs(job: &Job, inputs: &Inputs<'_>, tokens: &[Token]) -> BTreeSet<AbsPath> {
    let mut dirs = BTreeSet::from([job.cwd.clone()]);
    dirs.extend(job.outputs.iter().map(|output| output.path.parent()));
    dirs.extend(inputs.files.iter().flat_map(|(input, _)| input.through.iter().cloned()));
    for token in tokens {
        let Some((flag, value)) = token.path() else { continue };
        let Ok(walked) = job.cwd.walk(value) else { continue };
        dirs.extend(walked.through);
        if flag.starts_with("--sysroot") {
            dirs.insert(walked.path);
        }
    }
    dirs.retain(|dir| !dir.is_system());
    dirs
}
