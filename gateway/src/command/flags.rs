//! The flags of compilers with GNU command lines, as data.
//!
//! From the manuals of GCC 12 and Clang 14. A flag that is not here makes a compile run at the
//! client's own path, which is always right and shares less; it is never refused.

use Meaning::{
    Absolute, CompilationDir, Coverage, DebugInfo, Dumps, HandedOn, LinkTime, NoDebugInfo,
    NoLinkTime, NoStdInc, NoStdIncxx, Path, Plain, Recorded, Remap,
};
use Shape::{Alone, Either, Joined, Prefix, Separate};

/// How a flag takes its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// No value: the whole argument.
    Alone,
    /// The rest of the argument, if any, is part of the flag: `-Wall`.
    Prefix,
    /// The rest of the argument is the value: `-std=c11`.
    Joined,
    /// The next argument is the value: `-Xclang X`.
    Separate,
    /// Either: `-Ix` and `-I x`.
    Either,
}

/// What a flag does to the question of where a compile may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// Nothing.
    Plain,
    /// Its value is a file or directory.
    Path,
    /// Debug information, which names the current directory.
    DebugInfo,
    /// No debug information.
    NoDebugInfo,
    /// Names the directory that is told instead of the current one.
    CompilationDir,
    /// The same in debug information alone.
    DebugDir,
    /// The same in coverage alone.
    CoverageDir,
    /// Maps a prefix of the paths told: it names where the compile runs.
    Remap,
    /// The result holds the current directory whatever else is said.
    Absolute,
    /// Flags for another program, which are read like these.
    HandedOn,
    /// The program writes counts of what it ran, into a file that it knows by the current directory.
    Coverage,
    /// Files beside the object, named after it, which tell paths.
    Dumps,
    /// The result holds the command line.
    Recorded,
    /// Code for a linker to compile on. gcc puts the current directory into it, clang does not.
    LinkTime,
    /// No such code.
    NoLinkTime,
    /// Headers compiled beforehand, known by the times and paths of their files.
    Precompiled,
    /// No standard include directories.
    NoStdInc,
    /// No standard C++ include directories.
    NoStdIncxx,
}

/// The longest spelling that fits an argument wins.
pub(super) const FLAGS: &[(&str, Shape, Meaning)] = &[
    ("-c", Alone, Plain),
    ("-S", Alone, Plain),
    ("-o", Either, Path),
    ("-x", Either, Plain),
    ("-std=", Joined, Plain),
    ("--std=", Joined, Plain),
    ("-ansi", Alone, Plain),
    ("-pedantic", Prefix, Plain),
    ("-w", Alone, Plain),
    ("-W", Prefix, Plain),
    ("-Wa,", Prefix, HandedOn),
    ("-Wp,", Prefix, HandedOn),
    ("-Wl,", Prefix, Plain),
    ("-O", Prefix, Plain),
    ("-m", Prefix, Plain),
    ("-f", Prefix, Plain),
    ("-D", Either, Plain),
    ("-U", Either, Plain),
    ("-I", Either, Path),
    ("-iquote", Either, Path),
    ("-isystem", Either, Path),
    ("-idirafter", Either, Path),
    ("-isysroot", Either, Path),
    ("--sysroot=", Joined, Path),
    ("--sysroot", Separate, Path),
    ("-include", Either, Path),
    ("-imacros", Either, Path),
    ("-B", Either, Path),
    ("--gcc-toolchain=", Joined, Path),
    ("-fuse-ld=", Joined, Path),
    ("-nostdinc", Alone, NoStdInc),
    ("-nostdinc++", Alone, NoStdIncxx),
    ("-nostdlib", Prefix, Plain),
    ("-stdlib=", Joined, Plain),
    ("-M", Alone, Plain),
    ("-MM", Alone, Plain),
    ("-MD", Alone, Plain),
    ("-MMD", Alone, Plain),
    ("-MP", Alone, Plain),
    ("-MG", Alone, Plain),
    ("-MF", Either, Path),
    ("-MT", Either, Plain),
    ("-MQ", Either, Plain),
    ("-pipe", Alone, Plain),
    ("-pthread", Alone, Plain),
    ("-no-canonical-prefixes", Alone, Plain),
    ("-rdynamic", Alone, Plain),
    ("-static", Prefix, Plain),
    ("-shared", Prefix, Plain),
    ("-P", Alone, Plain),
    ("-C", Alone, Plain),
    ("-v", Alone, Plain),
    ("-l", Prefix, Plain),
    ("-L", Either, Path),
    ("--param", Separate, Plain),
    ("--param=", Joined, Plain),
    ("-target", Separate, Plain),
    ("--target=", Joined, Plain),
    ("-Qunused-arguments", Alone, Plain),
    ("-g", Prefix, DebugInfo),
    ("-g0", Alone, NoDebugInfo),
    ("-grecord-gcc-switches", Alone, Plain),
    ("-gno-record-gcc-switches", Alone, Plain),
    ("-gno-", Prefix, Plain),
    ("-fdebug-compilation-dir=", Joined, CompilationDir),
    ("-fdebug-compilation-dir", Separate, CompilationDir),
    ("-ffile-compilation-dir=", Joined, CompilationDir),
    ("-fcoverage-compilation-dir=", Joined, Plain),
    ("-fdebug-prefix-map=", Joined, Remap),
    ("-ffile-prefix-map=", Joined, Remap),
    ("-fmacro-prefix-map=", Joined, Remap),
    ("-fcoverage-prefix-map=", Joined, Remap),
    ("-fprofile-prefix-map=", Joined, Remap),
    ("-fcoverage-mapping", Alone, Absolute),
    ("-flto", Prefix, LinkTime),
    ("-fno-lto", Alone, NoLinkTime),
    ("-fembed-bitcode-marker", Alone, Absolute),
    ("-fprofile-arcs", Alone, Coverage),
    ("-ftest-coverage", Alone, Coverage),
    ("--coverage", Alone, Coverage),
    ("-coverage", Alone, Coverage),
    ("-fprofile-generate", Alone, Coverage),
    ("-fprofile-generate=", Joined, Absolute),
    ("-fprofile-update=", Joined, Plain),
    ("-frecord-gcc-switches", Alone, Recorded),
    ("-frecord-command-line", Alone, Recorded),
    ("-grecord-command-line", Alone, Recorded),
    ("-fprofile-instr-generate", Prefix, Absolute),
    ("-fprofile-use=", Joined, Path),
    ("-fprofile-instr-use=", Joined, Path),
    ("-fprofile-sample-use=", Joined, Path),
    ("-fprofile-dir=", Joined, Absolute),
    ("-fauto-profile=", Joined, Path),
    ("-fsanitize-blacklist=", Joined, Path),
    ("-fsanitize-ignorelist=", Joined, Path),
    ("-fmodule", Prefix, Absolute),
    ("-fplugin=", Joined, Path),
    ("-specs=", Joined, Path),
    ("--specs=", Joined, Path),
    ("--include-directory=", Joined, Path),
    ("--include-directory", Separate, Path),
    ("--include=", Joined, Path),
    ("-fpch", Prefix, Absolute),
    ("-frandom-seed=", Joined, Plain),
    ("-fdump", Prefix, Absolute),
    ("-fsave-optimization-record", Prefix, Absolute),
    ("-ftime-trace", Prefix, Absolute),
    ("-save-temps", Prefix, Dumps),
    ("--save-temps", Prefix, Dumps),
    ("-gsplit-dwarf", Prefix, Dumps),
];

/// The entry for an argument that begins with `-`.
pub(super) fn lookup(arg: &str) -> Option<(&'static str, Shape, Meaning)> {
    longest(FLAGS, |spelling| arg.strip_prefix(spelling))
}

/// The entry with the longest spelling of those that fit; `rest` is what an argument that begins with
/// a spelling has beside it.
pub(super) fn longest<'a>(
    flags: &'static [(&'static str, Shape, Meaning)],
    rest: impl Fn(&str) -> Option<&'a str>,
) -> Option<(&'static str, Shape, Meaning)> {
    let fits = |spelling: &str, shape: Shape| {
        rest(spelling).is_some_and(|rest| match shape {
            Alone | Separate => rest.is_empty(),
            Prefix | Either => true,
            Joined => !rest.is_empty(),
        })
    };
    let fitting = flags.iter().filter(|(spelling, shape, _)| fits(spelling, *shape));
    fitting.max_by_key(|(spelling, ..)| spelling.len()).copied()
}
