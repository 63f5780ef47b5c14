//! The client's system headers inside the input root, for workers that have others. Pure.
//!
//! They stand under a directory of their own; the compiler is told to look there and nowhere else,
//! and to tell their paths as the client knows them.

use super::job::Job;
use crate::command::{self, Token};
use crate::paths::AbsPath;

/// The directory under `top` that holds the client's `/`.
pub(super) fn dir(top: &AbsPath) -> AbsPath {
    top.join(".goma-system")
}

/// Where a system file stands in it.
pub(super) fn inside(dir: &AbsPath, path: &AbsPath) -> AbsPath {
    dir.join(path.as_str().trim_start_matches('/'))
}

/// The command line with `prefix` before system paths, and without the worker's include directories.
///
/// `-idirafter` puts the directories where the built-in ones are: after all that the user named but
/// for the user's own `-idirafter`, which is why these come first.
pub(super) fn arguments(job: &Job, tokens: &[Token], prefix: &str) -> Vec<String> {
    let has = |flag: &str| job.expanded_args.iter().any(|arg| arg == flag);
    let mut args = vec![format!("-ffile-prefix-map={prefix}/=/")];
    if !has("-nostdinc") {
        args.push("-nostdinc".to_owned());
        for dir in &job.compiler.system_include {
            if has("-nostdinc++") && dir.as_str().contains("/c++/") {
                continue;
            }
            // A compiler that is part of the tree has its own headers there.
            let dir =
                if dir.is_system() { format!("{prefix}{dir}") } else { dir.relative_to(&job.cwd) };
            args.extend(["-idirafter".to_owned(), dir]);
        }
        if reads_unasked(job) && !has("-ffreestanding") && !has("-fno-hosted") {
            args.extend(["-include", UNASKED].map(ToOwned::to_owned));
        }
    }
    let mapped: Vec<Token> = tokens
        .iter()
        .map(|token| {
            token.clone().map_path(|flag, value| {
                // The compiler's own programs and libraries stay the worker's.
                let ours = !flag.starts_with("-B") && !flag.starts_with("-o");
                let system = AbsPath::parse(value).is_ok_and(|path| path.is_system());
                (ours && system).then(|| format!("{prefix}{value}"))
            })
        })
        .collect();
    args.extend(command::render(&mapped));
    args
}

/// gcc reads it before anything else, but not with `-nostdinc`.
const UNASKED: &str = "stdc-predef.h";

/// Whether the client's gcc has this header.
fn reads_unasked(job: &Job) -> bool {
    let gcc = !job.compiler.name.contains("clang");
    let mut paths = job.inputs.iter().map(|input| &input.path);
    gcc && paths.any(|path| path.is_system() && path.as_str().ends_with("/stdc-predef.h"))
}

/// Tells paths as the client knows them: in diagnostics and dependency files.
pub(super) fn restore(text: &[u8], prefix: &str) -> Vec<u8> {
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
    use super::*;

    #[test]
    fn paths_are_restored_wherever_they_stand() {
        let text = b"a.o: ../.goma-system/usr/include/a.h \\\n ../.goma-systems/x";
        assert_eq!(
            restore(text, "../.goma-system"),
            b"a.o: /usr/include/a.h \\\n ../.goma-systems/x"
        );
    }
}
