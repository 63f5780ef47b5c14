//! The flags of compilers with GNU command lines, as data, and what can be said of any flag.
//!
//! From the manuals of GCC 12 and Clang 14. A flag that is not here makes a compile run at the
//! client's own path, which is always right and shares less; it is never refused. Operators add to it
//! by a file ([`super::flags_file`]).

use Meaning::{
    Absolute, CompilationDir, Coverage, CoverageDir, DebugDir, DebugInfo, Dumps, HandedOn,
    LinkTime, NoDebugInfo, NoLinkTime, NoStdInc, NoStdIncxx, Path, Plain, Precompiled, Recorded,
    Remap,
};
use Shape::{Alone, Either, Joined, Prefix, Separate};

/// A flag as it is spelled, how it takes its value, and what it does.
pub(super) type Flag = (&'static str, Shape, Meaning);

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
    /// Its value is a list of them, with `:` between.
    Paths,
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

/// What gcc means otherwise than clang.
pub(super) const GCC: &[Flag] = &[
    // A directory, in which the profile is named after the one that the compile runs in.
    ("-fprofile-use=", Joined, Absolute),
    // It tells the whole name of the profile that it does not find.
    ("-fprofile-use", Alone, Absolute),
    ("-fbranch-probabilities", Alone, Absolute),
];

/// What means the same in both kinds of command lines that clang has, and in gcc's.
pub(super) const SHARED: &[Flag] = &[
    // For clang's front end, a word each; what the words mean is looked at as if they stood alone.
    ("-Xclang", Alone, Plain),
    ("-mllvm", Separate, Plain),
    ("-emit-pch", Alone, Precompiled),
    ("-fuse-ld=", Joined, Path),
    ("-fplugin=", Joined, Path),
    ("-fprofile-use=", Joined, Path),
    ("-fprofile-instr-use=", Joined, Path),
    ("-fprofile-sample-use=", Joined, Path),
    ("-fprofile-list=", Joined, Path),
    ("-fsanitize-blacklist=", Joined, Path),
    ("-fsanitize-ignorelist=", Joined, Path),
    ("-fsanitize-coverage-allowlist=", Joined, Path),
    ("-fsanitize-coverage-ignorelist=", Joined, Path),
    ("-fmodule-map-file=", Joined, Path),
    ("-fmodule", Prefix, Absolute),
    ("-include-pch", Separate, Precompiled),
    ("-fpch", Prefix, Absolute),
    ("-fdebug-prefix-map=", Joined, Remap),
    ("-ffile-prefix-map=", Joined, Remap),
    ("-fmacro-prefix-map=", Joined, Remap),
    ("-fcoverage-prefix-map=", Joined, Remap),
    ("-fprofile-prefix-map=", Joined, Remap),
    ("-fcoverage-mapping", Alone, Absolute),
    ("-fprofile-instr-generate", Prefix, Absolute),
    ("-fprofile-generate=", Joined, Absolute),
    ("-fprofile-dir=", Joined, Absolute),
    // It embeds the command line, with the directory.
    ("-fembed-bitcode", Prefix, Absolute),
    ("-fdiagnostics-absolute-paths", Alone, Absolute),
    ("-fdump", Prefix, Absolute),
    ("-fsave-optimization-record", Prefix, Absolute),
    ("-ftime-trace", Prefix, Absolute),
    // It prints the current directory.
    ("-v", Alone, Absolute),
    ("-flto", Prefix, LinkTime),
    ("-fno-lto", Alone, NoLinkTime),
];

/// Of gcc and clang, beside those that are shared. The longest spelling that fits an argument wins.
pub(super) const GNU: &[Flag] = &[
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
    ("-fdebug-compilation-dir=", Joined, DebugDir),
    ("-fdebug-compilation-dir", Separate, DebugDir),
    ("-ffile-compilation-dir=", Joined, CompilationDir),
    ("-fcoverage-compilation-dir=", Joined, CoverageDir),
    ("-fprofile-arcs", Alone, Coverage),
    ("-ftest-coverage", Alone, Coverage),
    ("--coverage", Alone, Coverage),
    ("-coverage", Alone, Coverage),
    ("-fprofile-generate", Alone, Coverage),
    ("-fprofile-update=", Joined, Plain),
    ("-frecord-gcc-switches", Alone, Recorded),
    ("-frecord-command-line", Alone, Recorded),
    ("-grecord-command-line", Alone, Recorded),
    ("-fauto-profile=", Joined, Path),
    ("-specs=", Joined, Path),
    ("--specs=", Joined, Path),
    ("--include-directory=", Joined, Path),
    ("--include-directory", Separate, Path),
    ("--include=", Joined, Path),
    ("-frandom-seed=", Joined, Plain),
    ("-save-temps", Prefix, Dumps),
    ("--save-temps", Prefix, Dumps),
    ("-gsplit-dwarf", Prefix, Dumps),
];
