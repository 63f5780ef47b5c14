//! The command lines of the matrix: each family of flags, relative and absolute, as data.

use super::mode::Mode;

/// One command line, in all compilers that know it.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// Behind the compiler, in the directory `build`. `{s}` is the suffix of the language, `{abs}` the
    /// project's directory, `_` a space within a word, and `NAME=VALUE` at the start a variable.
    pub(crate) line: &'static str,
    pub(crate) of: Of,
    pub(crate) except: Except,
}

/// Compilers that know a case's flags.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Of {
    All,
    Gcc,
    Clang,
}

/// Where a case is not served, and why.
#[derive(Clone, Copy)]
pub(crate) enum Except {
    Nowhere,
    /// Where paths are rewritten, with these words of the reason.
    Rewritten(&'static str),
    /// The same, and with clang alone.
    RewrittenClang(&'static str),
    /// Where the command line is another one than at home: paths rewritten, or headers sent.
    Recorded(&'static str),
    /// The same, and with clang alone.
    RecordedByClang(&'static str),
    /// Nowhere, but gcc makes an object of other bytes where paths are rewritten.
    OtherBytesOfGcc,
    /// The same, and other numbers and checksums of functions in its notes of coverage.
    OtherChecksumsOfGcc,
}

impl Case {
    /// Words of the refusal, if it is refused there.
    pub(crate) fn refusal(&self, compiler: &str, mode: Mode, sent: bool) -> Option<&'static str> {
        let clang = compiler.starts_with("clang");
        match self.except {
            Except::Recorded(why) if sent => Some(why),
            Except::RecordedByClang(why) if sent => clang.then_some(why),
            _ if mode != Mode::Rewrite => None,
            Except::Recorded(why) => Some(why),
            Except::RecordedByClang(why) => clang.then_some(why),
            Except::Nowhere | Except::OtherBytesOfGcc | Except::OtherChecksumsOfGcc => None,
            Except::Rewritten(why) => Some(why),
            Except::RewrittenClang(why) => clang.then_some(why),
        }
    }
}

impl Case {
    /// Whether the object is another one than at home.
    pub(crate) fn has_other_bytes(&self, compiler: &str, mode: Mode) -> bool {
        let gcc = !compiler.starts_with("clang");
        let other = matches!(self.except, Except::OtherBytesOfGcc | Except::OtherChecksumsOfGcc);
        other && gcc && mode == Mode::Rewrite
    }
}

const fn case(name: &'static str, line: &'static str, of: Of, except: Except) -> Case {
    Case { name, line, of, except }
}

const fn all(name: &'static str, line: &'static str) -> Case {
    case(name, line, Of::All, Except::Nowhere)
}

const fn gcc(name: &'static str, line: &'static str) -> Case {
    case(name, line, Of::Gcc, Except::Nowhere)
}

const fn clang(name: &'static str, line: &'static str) -> Case {
    case(name, line, Of::Clang, Except::Nowhere)
}

pub(crate) const CASES: &[Case] = &[
    all("plain", "-I../inc -c ../src/a.{s} -o a.o"),
    all("without -o", "-I../inc -c ../src/a.{s}"),
    all("optimised", "-O2 -I../inc -c ../src/a.{s} -o a.o"),
    all("for size", "-Os -I../inc -c ../src/a.{s} -o a.o"),
    all("another instruction set", "-O3 -mavx2 -mfma -I../inc -c ../src/a.{s} -o a.o"),
    all("position independent", "-fPIC -I../inc -c ../src/a.{s} -o a.o"),
    all("warnings", "-Wall -Wextra -I../inc -c ../src/a.{s} -o a.o"),
    all("warnings of absolute names", "-Wall -I{abs}/inc -c {abs}/src/a.{s} -o a.o"),
    all("coloured warnings", "-Wall -fdiagnostics-color=always -I../inc -c ../src/a.{s} -o a.o"),
    all("no warnings", "-w -I../inc -c ../src/a.{s} -o a.o"),
    all("a warning as an error", "-Wall -Werror -I../inc -c ../src/a.{s} -o a.o"),
    all("an error", "-DBROKEN -I../inc -c ../src/a.{s} -o a.o"),
    all("an error in an absolute name", "-DBROKEN -I{abs}/inc -c {abs}/src/a.{s} -o a.o"),
    all("a missing header", "-DMISSING -I../inc -c ../src/a.{s} -o a.o"),
    all("an unknown flag", "-fno-such-thing -I../inc -c ../src/a.{s} -o a.o"),
    all("include, relative", "-I ../inc -iquote ../src -c ../src/a.{s} -o a.o"),
    all("include, absolute", "-I {abs}/inc -iquote {abs}/src -c ../src/a.{s} -o a.o"),
    all("system include, relative", "-Wall -isystem ../inc -c ../src/a.{s} -o a.o"),
    all("system include, absolute", "-Wall -isystem {abs}/inc -c ../src/a.{s} -o a.o"),
    all("system include and debug", "-g -MD -isystem {abs}/inc -c {abs}/src/a.{s} -o a.o"),
    all("include after", "-idirafter {abs}/inc -c ../src/a.{s} -o a.o"),
    all("a directory that is empty", "-I../empty -I../inc -c ../src/a.{s} -o a.o"),
    all("a directory that is not there", "-I{abs}/none -I../inc -c ../src/a.{s} -o a.o"),
    all("forced include, relative", "-include ../inc/pre.h -I../inc -c ../src/a.{s} -o a.o"),
    all("forced include, absolute", "-include {abs}/inc/pre.h -I../inc -c ../src/a.{s} -o a.o"),
    all("forced macros", "-imacros ../inc/pre.h -I../inc -c ../src/a.{s} -o a.o"),
    all("macros", "-DNAME=1 -D_OTHER -UNAME -DPATH=\"{abs}/x\" -I../inc -c ../src/a.{s} -o a.o"),
    all("variable", "CPATH={abs}/inc -c ../src/a.{s} -o a.o"),
    all("variable, relative", "CPATH=../inc: -c ../src/a.{s} -o a.o"),
    all("debug", "-g -I../inc -c ../src/a.{s} -o a.o"),
    all("debug, absolute source", "-g -I../inc -c {abs}/src/a.{s} -o a.o"),
    all("debug, all absolute", "-g -O2 -I{abs}/inc -c {abs}/src/a.{s} -o {abs}/build/a.o"),
    all("debug with macros", "-g3 -I{abs}/inc -c {abs}/src/a.{s} -o a.o"),
    all("debug of an older form", "-gdwarf-4 -I../inc -c ../src/a.{s} -o a.o"),
    case(
        "debug of an older form, absolute",
        "-gdwarf-4 -I{abs}/inc -c {abs}/src/a.{s} -o a.o",
        Of::All,
        Except::OtherBytesOfGcc,
    ),
    all("debug for gdb", "-ggdb -Og -I../inc -c ../src/a.{s} -o a.o"),
    all("debug apart", "-g -gsplit-dwarf -I{abs}/inc -c {abs}/src/a.{s} -o a.o"),
    all("debug apart elsewhere", "-g -gsplit-dwarf -I../inc -c ../src/a.{s} -o ../out/a.o"),
    all("debug, compressed", "-g -gz -I{abs}/inc -c {abs}/src/a.{s} -o a.o"),
    all("line tables", "-g1 -O2 -I{abs}/inc -c {abs}/src/a.{s} -o a.o"),
    all("map of the root", "-g -ffile-prefix-map={abs}=. -I{abs}/inc -c {abs}/src/a.{s} -o a.o"),
    all("map of debug", "-g -fdebug-prefix-map={abs}=/src -I{abs}/inc -c {abs}/src/a.{s} -o a.o"),
    all("map of macros", "-fmacro-prefix-map={abs}/= -I{abs}/inc -c {abs}/src/a.{s} -o a.o"),
    all("map of a part", "-g -fdebug-prefix-map={abs}/inc=i -I{abs}/inc -c {abs}/src/a.{s} -o a.o"),
    all(
        "two maps",
        "-g -ffile-prefix-map={abs}=X -ffile-prefix-map={abs}/src=Y -I{abs}/inc -c {abs}/src/a.{s}",
    ),
    clang("no directory", "-g -ffile-compilation-dir=. -I../inc -c ../src/a.{s} -o a.o"),
    clang("a directory", "-g -fdebug-compilation-dir=/x -I{abs}/inc -c ../src/a.{s} -o a.o"),
    all("rules", "-MD -I../inc -c ../src/a.{s} -o a.o"),
    all("rules of the user's headers", "-MMD -I../inc -c ../src/a.{s} -o a.o"),
    all("rules, absolute", "-MD -I{abs}/inc -c {abs}/src/a.{s} -o {abs}/build/a.o"),
    all("rules with phony ones", "-MMD -MP -MF x.dep -I{abs}/inc -c {abs}/src/a.{s} -o a.o"),
    all("rules in an absolute place", "-MD -MF {abs}/out/a.d -I../inc -c ../src/a.{s} -o a.o"),
    all("rules for another target", "-MD -MT obj/a.o -MQ $(x) -I{abs}/inc -c ../src/a.{s} -o a.o"),
    all("rules by the preprocessor", "-Wp,-MD,a.dd -I../inc -c ../src/a.{s} -o a.o"),
    all("for the assembler", "-Wa,--noexecstack -I../inc -c ../src/a.{s} -o a.o"),
    all("for the preprocessor", "-Wp,-DNAME=2,-I{abs}/inc -c ../src/a.{s} -o a.o"),
    clang("for the front end", "-Xclang -disable-llvm-passes -O1 -I../inc -c ../src/a.{s} -o a.o"),
    clang("for the back end", "-mllvm -inline-threshold=10 -O2 -I../inc -c ../src/a.{s} -o a.o"),
    clang("a target", "--target=aarch64-linux-gnu -nostdinc -ffreestanding -DBARE -c ../src/a.{s}"),
    gcc("a parameter", "-O2 --param max-inline-insns-single=5 -I../inc -c ../src/a.{s} -o a.o"),
    all("another language", "-x c++ -I../inc -c ../src/a.c -o a.o"),
    all("a standard", "-pedantic -Wall -ansi -I../inc -c ../src/a.{s} -o a.o"),
    all("a file of arguments", "@../src/args.rsp -c ../src/a.{s} -o a.o"),
    all("a file of absolute arguments", "@{abs}/src/abs.rsp -c {abs}/src/a.{s} -o a.o"),
    all("address sanitizer", "-g -fsanitize=address -I../inc -c ../src/a.{s} -o a.o"),
    all("undefined behaviour", "-fsanitize=undefined -I../inc -c ../src/a.{s} -o a.o"),
    case(
        "address sanitizer, absolute",
        "-g -fsanitize=address -I{abs}/inc -c {abs}/src/a.{s} -o a.o",
        Of::All,
        Except::Rewritten("would name the directory"),
    ),
    case(
        "undefined behaviour, absolute",
        "-fsanitize=undefined -I{abs}/inc -c {abs}/src/a.{s} -o a.o",
        Of::All,
        Except::Rewritten("would name the directory"),
    ),
    clang(
        "list for a sanitizer",
        "-fsanitize=address -fsanitize-ignorelist={abs}/src/ignore.txt -I../inc -c ../src/a.{s}",
    ),
    all("a plugin, relative", "-fplugin=../src/plugin.so -I../inc -c ../src/a.{s} -o a.o"),
    all("a plugin, absolute", "-fplugin={abs}/src/plugin.so -I{abs}/inc -c {abs}/src/a.{s}"),
    case(
        "a plugin, absolute, and debug",
        "-fplugin={abs}/src/plugin.so -g -I{abs}/inc -c {abs}/src/a.{s}",
        Of::Gcc,
        Except::Rewritten("with -fplugin="),
    ),
    case(
        "a profile",
        "-O2 -fprofile-use=../prof -I../inc -c ../src/prof.{s} -o {s}.o",
        Of::Gcc,
        Except::Rewritten("-fprofile-use="),
    ),
    case(
        "a profile, absolute",
        "-O2 -g -fprofile-use={abs}/prof -I{abs}/inc -c {abs}/src/prof.{s} -o {s}.o",
        Of::Gcc,
        Except::Rewritten("-fprofile-use="),
    ),
    clang(
        "a profile by counters",
        "-O2 -fprofile-instr-use=../prof/counts.profdata -I../inc -c ../src/prof.{s}",
    ),
    clang(
        "a profile by counters, absolute",
        "-O2 -g -fprofile-instr-use={abs}/prof/counts.profdata -I{abs}/inc -c {abs}/src/prof.{s}",
    ),
    clang(
        "another's counters",
        "-O2 -fprofile-use=../prof/counts.profdata -I../inc -c ../src/a.{s}",
    ),
    clang(
        "a profile by samples",
        "-O2 -g -fprofile-sample-use=../prof/samples.txt -I../inc -c ../src/prof.{s}",
    ),
    gcc("a precompiled header", "-include ../pch/all.h -I../inc -c ../src/a.{s} -o a.o"),
    clang(
        "a map of modules",
        "-fmodule-map-file=../src/x.modulemap -I../inc -c ../src/a.{s} -o a.o",
    ),
    clang(
        "a map of modules, absolute",
        "-g -fmodule-map-file={abs}/src/x.modulemap -I{abs}/inc -c {abs}/src/a.{s}",
    ),
    clang(
        "lists for sanitizers",
        "-fsanitize=address -fsanitize-ignorelist=../src/ignore.txt -fsanitize-blacklist=../src/ignore-more.txt \
         -I../inc -c ../src/a.{s}",
    ),
    case(
        "for the linker",
        "-O2 -flto -frandom-seed=1 -I{abs}/inc -c {abs}/src/a.{s} -o a.o",
        Of::Gcc,
        Except::Rewritten("-flto"),
    ),
    clang("for the linker, relative", "-O2 -flto=thin -I../inc -c ../src/a.{s} -o a.o"),
    case(
        "for the linker, absolute",
        "-O2 -flto -I{abs}/inc -c {abs}/src/a.{s} -o a.o",
        Of::Clang,
        Except::Rewritten("would name the directory"),
    ),
    all("not for the linker", "-O2 -flto -fno-lto -I../inc -c ../src/a.{s} -o a.o"),
    all("sections", "-ffunction-sections -fdata-sections -I../inc -c ../src/a.{s} -o a.o"),
    all("hidden", "-fvisibility=hidden -fno-exceptions -I../inc -c ../src/a.{s} -o a.o"),
    all("fortified", "-O2 -D_FORTIFY_SOURCE=2 -fstack-protector-strong -I../inc -c ../src/a.{s}"),
    all("threads", "-pthread -I../inc -c ../src/a.{s} -o a.o"),
    all("freestanding", "-nostdinc -ffreestanding -DBARE -c ../src/a.{s} -o a.o"),
    all("a sysroot of the user", "--sysroot={abs}/sys -nostdinc -DBARE -g -c ../src/a.{s} -o a.o"),
    all("a sysroot, relative", "--sysroot=../sys -nostdinc -DBARE -c ../src/a.{s} -o a.o"),
    all("out of the tree", "-g -I../inc -c ../src/a.{s} -o ../out/deep/a.o"),
    all("spaces", "-MD -I../inc_dir -I../inc -c ../src/sp_ace.{s} -o sp_ace.o"),
    all("spaces, absolute", "-g -MD -I{abs}/inc_dir -I{abs}/inc -c {abs}/src/sp_ace.{s} -o a.o"),
    all("other letters", "-g -MD -I../inc -c ../src/na\u{ef}ve\u{4e16}.{s} -o \u{4e16}.o"),
    all("a symlinked source", "-g -I../inc -c ../src/link.{s} -o a.o"),
    all("a symlinked directory", "-g -MD -I{abs}/inclink -c ../src/a.{s} -o a.o"),
    all("ways up and down", "-g -I../src/../inc -c ../src/../inc/../src/a.{s} -o a.o"),
    all("ways up, absolute", "-g -I{abs}/src/../inc -c {abs}/inc/../src//a.{s} -o a.o"),
    all("a seed", "-frandom-seed=7 -I../inc -c ../src/a.{s} -o a.o"),
    case(
        "switches in debug",
        "-g -grecord-gcc-switches -I{abs}/inc -c {abs}/src/a.{s} -o a.o",
        Of::All,
        Except::RecordedByClang("-grecord-gcc-switches"),
    ),
    case(
        "switches in the object",
        "-frecord-gcc-switches -I{abs}/inc -c {abs}/src/a.{s} -o a.o",
        Of::All,
        Except::Recorded("-frecord-gcc-switches"),
    ),
    case(
        "coverage of the source",
        "-fprofile-instr-generate -fcoverage-mapping -I{abs}/inc -c {abs}/src/a.{s} -o a.o",
        Of::Clang,
        Except::RewrittenClang("-fprofile-instr-generate"),
    ),
    all("a pipe", "-pipe -I../inc -c ../src/a.{s} -o a.o"),
    all("programs beside", "-B../empty -I../inc -c ../src/a.{s} -o a.o"),
    gcc("a plugin's argument", "-fplugin-arg-x-y={abs}/z -I../inc -c ../src/a.{s} -o a.o"),
    case(
        "counts",
        "--coverage -frandom-seed=1 -I../inc -c ../src/a.{s} -o a.o",
        Of::Gcc,
        Except::OtherChecksumsOfGcc,
    ),
    case(
        "counts, absolute",
        "--coverage -frandom-seed=1 -I{abs}/inc -c {abs}/src/a.{s} -o a.o",
        Of::Gcc,
        Except::OtherChecksumsOfGcc,
    ),
    case(
        "counts of clang",
        "--coverage -I../inc -c ../src/a.{s} -o a.o",
        Of::Clang,
        Except::RewrittenClang("--coverage"),
    ),
    case(
        "counts of clang, absolute",
        "-g -fprofile-arcs -ftest-coverage -I{abs}/inc -c {abs}/src/a.{s} -o {abs}/build/a.o",
        Of::Clang,
        Except::RewrittenClang("-fprofile-arcs"),
    ),
    gcc("a date", "SOURCE_DATE_EPOCH=1000000000 -c ../src/date.{s} -o a.o"),
    gcc("a date, absolute", "SOURCE_DATE_EPOCH=1000000000 -g -c {abs}/src/date.{s} -o a.o"),
];
