//! The client's system headers inside the input root, for workers that have others. Pure.
//!
//! They stand under a directory of their own; the compiler is told to look there and nowhere else,
//! and to tell their paths as the client knows them.

use super::job::Job;
use super::layout::Layout;
use super::placing::Placing;
use crate::command::{self, Family};
use crate::paths::AbsPath;
use crate::refusal::{Refusal, impossible};

/// Where the client's `/` stands on the worker.
#[derive(Clone, Debug)]
pub(crate) struct Sysroot {
    dir: AbsPath,
    /// The directory as the command line spells it: relative to the cwd.
    prefix: String,
    /// The compile runs where the client has its files, so that `dir` is a path there too.
    fixed: bool,
    /// It runs where no real path is short enough to be told.
    rewritten: bool,
}

impl Sysroot {
    pub(super) fn new(job: &Job, layout: &Layout) -> Self {
        let dir = layout.top.join(".goma-system");
        let prefix = dir.relative_to(&job.cwd);
        Self { dir, prefix, fixed: layout.fixed && !layout.rewritten, rewritten: layout.rewritten }
    }

    /// Where a system file stands in it.
    pub(super) fn inside(&self, path: &AbsPath) -> AbsPath {
        self.dir.join(path.as_str().trim_start_matches('/'))
    }

    /// The command line with the prefix before system paths, and without the worker's include
    /// directories.
    ///
    /// `-idirafter` puts the directories where the built-in ones are: after all that the user named
    /// but for the user's own `-idirafter`, which is why these come first.
    ///
    /// # Errors
    /// [`Refusal::Impossible`] naming an argument that would reach the worker's files.
    pub(super) fn arguments(&self, job: &Job) -> Result<Vec<String>, Refusal> {
        let prefix = &self.prefix;
        let has = |flag: &str| job.expanded_args.iter().any(|arg| arg == flag);
        let family = job.reading.family;
        let (gcc, cl) = (family == Family::Gcc, family == Family::ClangCl);
        if let Some(flag) = command::recording_flag(family, &job.tokens) {
            return impossible(format!(
                "the worker's system files are others than the client's, and {flag} would tell where \
                 those were put"
            ));
        }
        let mut args = Vec::with_capacity(job.expanded_args.len() + 24);
        // Without debug information, which would name the flag, real paths can be forbidden.
        if gcc && !self.fixed && !self.rewritten {
            args.push("-fno-canonical-system-headers".to_owned());
        }
        if cl {
            args.extend(self.of_cl(job));
        } else if !has("-nostdinc") {
            args.push("-nostdinc".to_owned());
            for dir in &job.compiler.system_include {
                if has("-nostdinc++") && dir.as_str().contains("/c++/") {
                    continue;
                }
                // A compiler that is part of the tree has its own headers there.
                let dir = match dir.is_system() {
                    true => format!("{prefix}{dir}"),
                    false => dir.relative_to(&job.cwd),
                };
                args.extend(["-idirafter".to_owned(), dir]);
            }
            if reads_unasked(job) && !has("-ffreestanding") && !has("-fno-hosted") {
                args.extend(["-include", UNASKED].map(ToOwned::to_owned));
            }
        }
        let placed = command::render(&Placing::new(job, prefix).tokens(&job.tokens)?);
        // Of several maps for a path gcc takes the last, clang the first by name.
        if gcc {
            args.extend(placed);
            args.extend(self.maps());
        } else if cl {
            let maps = self.maps().into_iter().flat_map(command::for_front_end);
            args.splice(0..0, maps);
            args.extend(placed);
        } else {
            args.splice(0..0, self.maps());
            args.extend(placed);
        }
        Ok(args)
    }

    /// Where clang-cl finds its own headers, and those that it knows of by itself.
    fn of_cl(&self, job: &Job) -> Vec<String> {
        let dirs = job.compiler.system_include.iter().filter(|dir| dir.is_system());
        let flag = |dir: &AbsPath| match dir.as_str().strip_suffix("/include") {
            Some(own) if own.contains("/lib/clang/") => {
                format!("-resource-dir={}{own}", self.prefix)
            }
            _ => format!("-imsvc{}{dir}", self.prefix),
        };
        dirs.map(flag).collect()
    }

    /// The flags that tell system paths as the client's in what is compiled.
    ///
    /// gcc tells the real path of a system header where that is shorter than the one by which it was
    /// found. It is the worker's, and known where the compile has a fixed place.
    fn maps(&self) -> Vec<String> {
        let real = self.fixed.then_some(self.dir.as_str());
        let dirs = std::iter::once(self.prefix.as_str()).chain(real);
        dirs.map(|dir| format!("-ffile-prefix-map={dir}/=/")).collect()
    }

    /// A variable with the prefix before the system directories in it, if it is a list of such.
    pub(super) fn variable(&self, job: &Job, name: &str, value: String) -> String {
        if !command::is_list(name) {
            return value;
        }
        let placing = Placing::new(job, &self.prefix);
        command::of_each(name, &value, |dir| placing.path(dir))
    }

    /// Tells paths as the client knows them: in diagnostics and dependency files.
    pub(super) fn restore(&self, text: &[u8]) -> Vec<u8> {
        let text = restore(text, &self.prefix);
        // As gcc tells a header's real path.
        if self.fixed { restore(&text, self.dir.as_str()) } else { text }
    }
}

/// gcc reads it before anything else, but not with `-nostdinc`.
const UNASKED: &str = "stdc-predef.h";

/// Whether the client's gcc has this header.
fn reads_unasked(job: &Job) -> bool {
    let mut paths = job.inputs.iter().map(|input| &input.path);
    job.reading.family == Family::Gcc
        && paths.any(|path| path.is_system() && path.as_str().ends_with("/stdc-predef.h"))
}

fn restore(text: &[u8], prefix: &str) -> Vec<u8> {
    let pattern = format!("{prefix}/");
    let pattern = pattern.as_bytes();
    let mut restored = Vec::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        if rest.starts_with(pattern) {
            restored.push(b'/');
            rest = &rest[pattern.len()..];
        } else {
            restored.push(rest[0]);
            rest = &rest[1..];
        }
    }
    restored
}

#[cfg(test)]
mod tests {
    use super::super::testing::job;
    use super::*;

    fn sysroot(fixed: bool) -> Sysroot {
        let dir = AbsPath::parse("/home/u/.goma-system").expect("a path");
        Sysroot { dir, prefix: "../.goma-system".to_owned(), fixed, rewritten: false }
    }

    #[test]
    fn variables_with_include_directories_become_the_clients() {
        let job = job("gcc -c a.c", &[]);
        let map = |name: &str, value: &str| sysroot(false).variable(&job, name, value.to_owned());
        // An empty part is the current directory and must stay one.
        assert_eq!(
            map("CPATH", ":/usr/x::inc:/usr/y:"),
            ":../.goma-system/usr/x::inc:../.goma-system/usr/y:"
        );
        for name in ["CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH", "OBJC_INCLUDE_PATH"] {
            assert_eq!(map(name, "/usr/x"), "../.goma-system/usr/x", "{name}");
        }
        assert_eq!(map("PATH", "/usr/bin"), "/usr/bin");
        assert_eq!(map("INCLUDE", "/usr/x;inc"), "../.goma-system/usr/x;inc");
    }

    #[test]
    fn gcc_is_kept_from_telling_real_paths_where_no_debug_information_names_the_flag() {
        let forbids = |fixed: bool, line: &str| {
            let args = sysroot(fixed).arguments(&job(line, &[])).expect("it can be done");
            args.contains(&"-fno-canonical-system-headers".to_owned())
        };
        assert!(forbids(false, "gcc -c a.c"));
        assert!(!forbids(false, "clang -c a.c"));
        assert!(!forbids(true, "gcc -g -c a.c"));
    }

    #[test]
    fn our_maps_come_after_the_users_own_with_gcc() {
        let line = "gcc -g -ffile-prefix-map=/home/u=. -c a.c";
        let args = sysroot(true).arguments(&job(line, &[])).expect("it can be done");
        let maps: Vec<_> = args.iter().filter(|arg| arg.contains("prefix-map")).collect();
        assert_eq!(
            maps,
            [
                "-ffile-prefix-map=/home/u=.",
                "-ffile-prefix-map=../.goma-system/=/",
                "-ffile-prefix-map=/home/u/.goma-system/=/"
            ]
        );
    }

    #[test]
    fn paths_are_restored_wherever_they_stand() {
        let text = b"a.o: ../.goma-system/usr/include/a.h \\\n ../.goma-systems/x";
        assert_eq!(sysroot(false).restore(text), b"a.o: /usr/include/a.h \\\n ../.goma-systems/x");
        let text = b"a.o: /home/u/.goma-system/usr/include/a.h";
        assert_eq!(sysroot(true).restore(text), b"a.o: /usr/include/a.h");
    }
}
