//! Where each file stands on the worker. Pure.

use std::collections::BTreeSet;

use super::inputs::Inputs;
use super::job::Job;
use super::rewrite::Rewrite;
use super::toolchain::Toolchain;
use crate::command::{self, Relocation};
use crate::paths::AbsPath;
use crate::refusal::{Refusal, impossible};
use goma_common::preset::AbsolutePaths;

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
    /// Whether it runs elsewhere all the same, and tells of the client's directories.
    pub(crate) rewritten: bool,
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
        let relocation = match named_absolutely(job, inputs, toolchain) {
            // Of a Windows client's no path is absolute by now.
            _ if job.windows.is_some() => Relocation::Relocatable,
            Some(path) => Relocation::Fixed(path),
            None => command::relocation(&job.reading, &job.tokens, &job.env),
        };
        let mut root = top.clone();
        let mut base = Some(BASE);
        let mut absolute_root = None;
        let mut rewritten = false;
        if let Relocation::Fixed(why) = &relocation {
            base = None;
            match absolute_paths {
                AbsolutePaths::Property => absolute_root = Some(root.as_str().to_owned()),
                AbsolutePaths::Chroot => root = AbsPath::root(),
                AbsolutePaths::Rewrite if job.reading.family.compiles_c() => {
                    base = Some(Rewrite::base(job, &root)?);
                    rewritten = true;
                }
                // Of other compilers it is not known how they could be told the client's paths.
                AbsolutePaths::Rewrite | AbsolutePaths::Refuse => {
                    return impossible(format!(
                        "the result would hold a path of the worker ({why}), and this server's \
                         backend cannot run it under the client's own path"
                    ));
                }
            }
        }
        let dirs = dirs(job, inputs);
        let fixed = relocation != Relocation::Relocatable;
        Ok(Self { root, top, base, absolute_root, fixed, rewritten, dirs })
    }
}

/// What of the user's is reached by an absolute path though no flag says so: the compiler, a file of
/// arguments, or an input, which then is included by that path.
fn named_absolutely(job: &Job, inputs: &Inputs<'_>, toolchain: &Toolchain) -> Option<String> {
    let users = |name: &str| AbsPath::parse(name).is_ok_and(|path| !path.is_system());
    if users(&toolchain.program) {
        return Some(format!("compiler {}", toolchain.program));
    }
    let file = job.args.iter().find(|arg| arg.strip_prefix('@').is_some_and(users));
    let named = || {
        let mut files = inputs.files.iter().map(|(input, _)| input);
        let input = files.find(|input| input.name.starts_with('/') && !input.path.is_system())?;
        Some(format!("input {}", input.name))
    };
    file.cloned().or_else(named)
}

/// The nearest directory that holds the cwd and all files that are not the distribution's. One that
/// the client asks for wins if it holds them too; `/` is none, it would hide the worker's own files.
fn top(job: &Job, inputs: &Inputs<'_>, toolchain: &Toolchain) -> Result<AbsPath, Refusal> {
    let files = inputs.files.iter().map(|(input, _)| &input.path);
    let outputs = job.outputs.iter().chain(&job.output_dirs).map(|output| &output.path);
    let tools = toolchain.files.iter().map(|(path, _)| path);
    let all = files.chain(outputs).chain(tools);
    let mut top = job.cwd.clone();
    if let Some(dir) = job.windows.as_ref().and_then(|windows| windows.top()) {
        top = top.common(&dir);
    }
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
fn dirs(job: &Job, inputs: &Inputs<'_>) -> BTreeSet<AbsPath> {
    let mut dirs = BTreeSet::from([job.cwd.clone()]);
    dirs.extend(job.outputs.iter().map(|output| output.path.parent()));
    dirs.extend(job.output_dirs.iter().map(|output| output.path.clone()));
    dirs.extend(inputs.files.iter().flat_map(|(input, _)| input.through.iter().cloned()));
    for token in &job.tokens {
        let Some((flag, value)) = token.path() else { continue };
        let Ok(walked) = job.cwd.walk(value) else { continue };
        dirs.extend(walked.through);
        if flag.starts_with("--sysroot") {
            dirs.insert(walked.path);
        }
    }
    dirs.retain(|dir| !dir.is_system());
    match &job.windows {
        None => dirs,
        Some(windows) => dirs.into_iter().map(|dir| windows.spelled(dir)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use goma_common::Digest;

    use super::super::testing::job;
    use super::*;

    fn is_fixed(job: &Job, program: &str) -> bool {
        let files = job.inputs.iter().map(|input| (input, Digest::EMPTY)).collect();
        let toolchain = Toolchain { program: program.to_owned(), ..Toolchain::default() };
        let layout = Layout::of(job, &Inputs { files }, &toolchain, AbsolutePaths::Property);
        layout.expect("it has a place").fixed
    }

    #[test]
    fn what_is_reached_by_an_absolute_path_of_the_user_fixes_the_place() {
        let plain = job("gcc -c a.c", &["a.c", "../b.h", "/usr/include/x.h"]);
        assert!(!is_fixed(&plain, "/usr/bin/gcc"));
        assert!(!is_fixed(&plain, "../tc/gcc"));
        assert!(is_fixed(&plain, "/home/u/tc/gcc"));
        assert!(is_fixed(&job("gcc -c a.c", &["a.c", "/home/u/src/b.h"]), "/usr/bin/gcc"));
    }

    #[test]
    fn a_file_of_arguments_is_read_where_it_was_typed() {
        for (typed, fixed) in [("@/home/u/src/a.rsp", true), ("@a.rsp", false)] {
            let mut job = job("gcc -c a.c", &["a.c", "a.rsp"]);
            job.args = vec![typed.to_owned()];
            assert_eq!(is_fixed(&job, "/usr/bin/gcc"), fixed, "{typed}");
        }
    }
}
