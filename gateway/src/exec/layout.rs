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
    /// [`Refusal::Impossible`] naming what makes the result depend on the client's directory where
    /// the backend cannot offer it, or two paths that have no directory in common which it could offer.
    pub(crate) fn of(
        job: &Job,
        inputs: &Inputs<'_>,
        toolchain: &Toolchain,
        absolute_paths: AbsolutePaths,
    ) -> Result<Self, Refusal> {
        let (top, apart) = top(job, inputs, toolchain);
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
                AbsolutePaths::Property if root == AbsPath::root() => {
                    return impossible(hides_the_workers(apart.as_ref(), job));
                }
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

/// Why no backend can be asked to run a compile under `/`: its own files are there.
fn hides_the_workers(apart: Option<&(AbsPath, AbsPath)>, job: &Job) -> String {
    let what = match apart {
        Some((one, other)) => format!("{one} and {other} share no directory but /"),
        None => format!("the compile runs in {}", job.cwd),
    };
    format!(
        "{what}, under which this server's backend cannot run a compile: put all of it below one \
         directory, or start the server with --absolute-paths=rewrite"
    )
}

/// The nearest directory that holds the cwd and all files that are not the distribution's, and the two
/// paths by which that came to be `/`. One that the client asks for wins if it holds them too; `/` is
/// none.
fn top(
    job: &Job,
    inputs: &Inputs<'_>,
    toolchain: &Toolchain,
) -> (AbsPath, Option<(AbsPath, AbsPath)>) {
    let files = inputs.files.iter().map(|(input, _)| &input.path);
    let outputs = job.outputs.iter().chain(&job.output_dirs).map(|output| &output.path);
    let tools = toolchain.files.iter().map(|(path, _)| path);
    let all = files.chain(outputs).chain(tools);
    let mut top = job.cwd.clone();
    let mut apart = None;
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
            apart = Some((path.clone(), top));
        }
        top = common;
    }
    match &job.exec_root {
        Some(asked) if *asked != AbsPath::root() && top.is_within(asked) && !asked.is_system() => {
            (asked.clone(), None)
        }
        _ => (top, apart),
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

    fn laid(job: &Job, absolute_paths: AbsolutePaths) -> Result<Layout, String> {
        let files = job.inputs.iter().map(|input| (input, Digest::EMPTY)).collect();
        let toolchain = Toolchain { program: "/usr/bin/gcc".to_owned(), ..Toolchain::default() };
        Layout::of(job, &Inputs { files }, &toolchain, absolute_paths).map_err(|refusal| {
            match refusal {
                Refusal::Impossible(why) => why,
                other => panic!("{other:?}"),
            }
        })
    }

    #[test]
    fn what_shares_no_directory_is_laid_out_under_the_root_where_that_can_be() {
        let job = job("gcc -c /var/x/a.c", &["/var/x/a.c", "/usr/include/stdio.h"]);
        let chroot = laid(&job, AbsolutePaths::Chroot).expect("a place");
        assert_eq!((chroot.root, chroot.base), (AbsPath::root(), None));
        let rewritten = laid(&job, AbsolutePaths::Rewrite).expect("a place");
        assert!(rewritten.rewritten && rewritten.base.is_some());
        assert_eq!(rewritten.root, AbsPath::root());
        for mode in [AbsolutePaths::Property, AbsolutePaths::Refuse] {
            let why = laid(&job, mode).err().expect("it is refused");
            assert!(why.contains("/var/x/a.c"), "{why}");
        }
        let why = laid(&job, AbsolutePaths::Property).err().expect("it is refused");
        assert!(why.contains("/home/u/src") && why.contains("=rewrite"), "{why}");
    }

    #[test]
    fn what_may_run_anywhere_is_laid_out_from_any_two_ends_of_the_disk() {
        let job = job("gcc -c ../../../var/x/a.c", &["../../../var/x/a.c"]);
        let laid = laid(&job, AbsolutePaths::Refuse).expect("a place");
        assert_eq!((laid.root, laid.base), (AbsPath::root(), Some(BASE)));
    }

    #[test]
    fn a_root_that_the_client_asks_for_counts_where_it_holds_all() {
        for (asked, root) in [
            ("/home", "/home"),
            ("/home/u", "/home/u"),
            ("/home/u/src", "/home/u"),
            ("/opt", "/home/u"),
            ("/", "/home/u"),
        ] {
            let mut job = job("gcc -c a.c", &["a.c", "../b.h"]);
            job.exec_root = AbsPath::parse(asked).ok();
            let laid = laid(&job, AbsolutePaths::Property).expect("a place");
            assert_eq!((laid.root.as_str(), laid.top.as_str()), (root, root), "{asked}");
        }
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
