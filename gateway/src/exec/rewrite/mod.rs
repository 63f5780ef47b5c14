//! The client's own paths in what a worker compiles in a directory of its own, without help of the backend. Pure.
//!
//! The compile runs wherever the worker lays the inputs out. Linux offers that place under a name
//! that is the same everywhere, `/proc/self/cwd`; absolute paths of the client lead over it, and the
//! compilers are told to write the client's paths instead ([`arguments`]). What no flag reaches is
//! edited on the way back ([`restore`], [`notes`]), and what still tells of it is found ([`search`]).

mod arguments;
mod maps;
mod notes;
mod restore;
mod search;

pub(crate) use search::PathSearch;
pub(super) use search::tells_of_worker;

use super::job::Job;
use super::layout::Layout;
use super::toolchain::{Laid, MAX_LINKS, Toolchain};
use crate::command::{self, Family, Reading};
use crate::paths::AbsPath;
use crate::refusal::{Refusal, impossible};

/// Where the compile runs: `PWD`, which gcc and clang believe if it leads to the same directory.
const CWD: &str = "/proc/self/cwd";
/// `PWD` again, spelled so that neither of the two begins the other and each can be mapped by itself.
const START: &str = "/proc/self/./cwd";
/// Has a compiler look for its own headers by the name that it is called by.
const BY_NAME: &str = "-no-canonical-prefixes";
/// Directories between the root and the cwd. The names that they take must fit one file name.
const MAX_UPS: usize = 70;
/// The directory of the input root in which a rewritten compile stands.
///
/// gcc tells the real path of a system header where that is shorter than the one by which it was
/// found. A name as long as the way over `/proc` keeps a worker's real paths from ever being that.
const LONG: &str = "goma--------------------------------------------------------------------------\
                    -------------------------------------------------------------------------------\
                    -------------------------------------------------------------------------------";

/// A compile in a directory that nobody knows, which is to tell of the client's.
#[derive(Clone, Debug)]
pub(crate) struct Rewrite {
    root: AbsPath,
    cwd: AbsPath,
    /// The root as the worker's compiler finds it.
    at: String,
    gcc: bool,
    reading: Reading,
}

impl Rewrite {
    /// For a job whose files are below `root`.
    ///
    /// # Errors
    /// [`Refusal::Impossible`] for a cwd that is too deep in the root.
    pub(super) fn new(job: &Job, root: &AbsPath) -> Result<Self, Refusal> {
        let at = format!("{START}{}", "/..".repeat(ups(job, root)?));
        let reading = job.reading.clone();
        let gcc = reading.family == Family::Gcc;
        Ok(Self { root: root.clone(), cwd: job.cwd.clone(), at, gcc, reading })
    }

    /// The name of the directory of the input root that stands for `root`.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub(super) fn base(job: &Job, root: &AbsPath) -> Result<&'static str, Refusal> {
        Ok(&LONG[..START.len() + 3 * ups(job, root)?])
    }

    /// The command: a program, with `PWD` as it is to be and not as a worker sets it. Where there is no
    /// `/proc` it fails before anything is compiled, with a status that [`super::verdict`] knows.
    ///
    /// A compiler of the user's finds its own headers by its real path, which would be the worker's,
    /// unless it is told not to: then by the name that it is called by, which here is the way to it.
    ///
    /// # Errors
    /// [`Refusal::Impossible`] for a program that `env` would take for a variable, and for a link that
    /// leads to another directory, where its headers are looked for from there.
    pub(super) fn program(
        &self,
        toolchain: &Toolchain,
        args: &[String],
    ) -> Result<Vec<String>, Refusal> {
        let program = &toolchain.program;
        if program.contains('=') {
            return impossible(format!("the compiler {program} has a `=` in its path"));
        }
        let env = ["/usr/bin/env".to_owned(), format!("--chdir={CWD}"), format!("PWD={CWD}")];
        let as_named = [&env[..], &[self.path(program)]].concat();
        let path = self.cwd.walk(program).map(|walked| walked.path);
        let Some(path) = path.ok().filter(|path| !path.is_system()) else { return Ok(as_named) };
        if args.iter().any(|arg| arg == BY_NAME) {
            return Ok(as_named);
        }
        if leads_away(&path, toolchain) {
            return impossible(format!(
                "the compiler {path} is a symbolic link to another directory, so that its own headers \
                 would be told by paths of the worker: call it by the name of what it leads to"
            ));
        }
        Ok([&env[..], &[self.path(path.as_str()), BY_NAME.to_owned()]].concat())
    }

    /// As a layout asks for it.
    pub(super) fn of(job: &Job, layout: &Layout) -> Result<Option<Self>, Refusal> {
        layout.rewritten.then(|| Self::new(job, &layout.root)).transpose()
    }

    /// A variable with the user's directories as the worker finds them, if it is a list of such.
    pub(super) fn variable(&self, name: &str, value: String) -> String {
        if !command::is_list(name) {
            return value;
        }
        command::of_each(name, &value, |dir| self.path(dir))
    }

    /// The user's absolute path as the worker finds it; any other as it is.
    pub(super) fn path(&self, name: &str) -> String {
        // `/` itself is where a sysroot of the worker's own is.
        let users =
            AbsPath::parse(name).is_ok_and(|path| !path.is_system() && path != AbsPath::root());
        match below(name, self.root.as_str()).filter(|_| users) {
            Some(rest) => format!("{}{rest}", self.at),
            None => name.to_owned(),
        }
    }
}

/// Whether a compiler is a link that leads out of its directory. One that stays in it, as `clang++` to
/// `clang`, has the same headers by either name.
fn leads_away(path: &AbsPath, toolchain: &Toolchain) -> bool {
    let mut at = path.clone();
    for _ in 0..MAX_LINKS {
        let laid = toolchain.files.iter().find(|(file, _)| *file == at);
        let Some((_, Laid::Symlink { target })) = laid else { return false };
        match at.parent().walk(target).map(|walked| walked.path) {
            Ok(next) if next.parent() == at.parent() => at = next,
            _ => return true,
        }
    }
    true
}

fn ups(job: &Job, root: &AbsPath) -> Result<usize, Refusal> {
    let below = job.cwd.below(root).unwrap_or("");
    let ups = below.split('/').filter(|part| !part.is_empty()).count();
    if ups > MAX_UPS {
        return impossible(format!("{} is more than {MAX_UPS} directories below {root}", job.cwd));
    }
    Ok(ups)
}

/// What follows the directory in a name, from the slash on; the rest of the name stays as spelled.
fn below<'a>(name: &'a str, dir: &str) -> Option<&'a str> {
    let rest = name.strip_prefix(if dir == "/" { "" } else { dir })?;
    (rest.is_empty() || rest.starts_with('/')).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::super::testing::job;
    use super::*;

    pub(super) fn rewrite(line: &str) -> Rewrite {
        rewrite_in("/home/u", line)
    }

    pub(super) fn rewrite_in(root: &str, line: &str) -> Rewrite {
        Rewrite::new(&job(line, &[]), &AbsPath::parse(root).expect("a path")).expect("one")
    }

    #[test]
    fn absolute_paths_of_the_user_lead_over_the_workers_own_directory() {
        let rewrite = rewrite("gcc -c a.c");
        assert_eq!(rewrite.path("/home/u/inc//x/../y.h"), "/proc/self/./cwd/../inc//x/../y.h");
        assert_eq!(rewrite.path("/home/u"), "/proc/self/./cwd/..");
        for other in ["/home/users/x.h", "/usr/include/x.h", "../inc/y.h", "a.c", ""] {
            assert_eq!(rewrite.path(other), other);
        }
        let of_all = rewrite_in("/", "gcc -c a.c");
        assert_eq!(of_all.path("/var/x/y.h"), "/proc/self/./cwd/../../../var/x/y.h");
        for other in ["/usr/include/x.h", "/", "a.c"] {
            assert_eq!(of_all.path(other), other);
        }
        let value = "/usr/x:/home/u/inc:".to_owned();
        assert_eq!(rewrite.variable("CPATH", value), "/usr/x:/proc/self/./cwd/../inc:");
        assert_eq!(rewrite.variable("X", "/home/u".to_owned()), "/home/u");
        let value = "../sdk;/home/u/inc".to_owned();
        assert_eq!(rewrite.variable("INCLUDE", value), "../sdk;/proc/self/./cwd/../inc");
    }

    #[test]
    fn a_real_path_on_a_worker_is_never_shorter_than_the_way_over_proc() {
        let root = AbsPath::parse("/home").expect("a path");
        for depth in [0, 1, 20, MAX_UPS] {
            let mut job = job("gcc -c a.c", &[]);
            job.cwd = root.join(&"d/".repeat(depth)).as_str().trim_end_matches('/').pipe();
            let at = Rewrite::new(&job, &root).expect("one").at;
            // Where the input root is the worker's `/`.
            let real = format!("/{}", Rewrite::base(&job, &root).expect("a name"));
            assert!(real.len() >= at.len(), "{depth}: {real} {at}");
        }
        let mut job = job("gcc -c a.c", &[]);
        job.cwd = "/home/d".repeat(MAX_UPS + 1).as_str().pipe();
        assert!(matches!(Rewrite::new(&job, &root), Err(Refusal::Impossible(_))));
    }

    #[test]
    fn a_compiler_of_the_users_is_not_asked_for_its_real_path() {
        let program = |program: &str, links: &[(&str, &str)]| {
            let link = |(path, target): &(&str, &str)| {
                (path.pipe(), Laid::Symlink { target: (*target).to_owned() })
            };
            let files = links.iter().map(link).collect();
            let toolchain =
                Toolchain { program: program.to_owned(), files, ..Toolchain::default() };
            let args = ["-c".to_owned(), "a.c".to_owned()];
            rewrite("gcc -c a.c").program(&toolchain, &args).map(|words| words[3..].join(" "))
        };
        assert_eq!(program("/usr/bin/gcc", &[]).expect("one"), "/usr/bin/gcc");
        let own = "/proc/self/./cwd/../tc/gcc -no-canonical-prefixes";
        assert_eq!(program("/home/u/tc/gcc", &[]).expect("one"), own);
        let beside = [("/home/u/tc/gcc", "gcc-12"), ("/home/u/tc/gcc-12", "../tc/gcc-12.2")];
        assert_eq!(program("../tc/gcc", &beside).expect("one"), own);
        for target in ["../llvm/gcc", "/usr/bin/gcc", "gcc"] {
            let refused = program("../tc/gcc", &[("/home/u/tc/gcc", target)]);
            assert!(matches!(refused, Err(Refusal::Impossible(_))), "{target}");
        }
        assert!(matches!(program("/home/u/a=b/gcc", &[]), Err(Refusal::Impossible(_))));
    }

    /// A text as a path, in a chain.
    trait Pipe {
        fn pipe(self) -> AbsPath;
    }

    impl Pipe for &str {
        fn pipe(self) -> AbsPath {
            AbsPath::parse(self).expect("a path")
        }
    }
}
