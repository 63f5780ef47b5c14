//! Command lines of clang-cl on Linux, each family of flags, relative and absolute, as data.

use crate::mode::Mode;

/// One command line.
pub(super) struct Case {
    pub(super) name: &'static str,
    /// Behind the compiler, in the directory `build`. `{abs}` is the project's directory, and
    /// `NAME=VALUE` at the start a variable.
    pub(super) line: &'static str,
    /// What it writes, from there.
    pub(super) outputs: &'static [&'static str],
    pub(super) except: Except,
}

/// Where a case is not served, and why.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Except {
    Nowhere,
    /// Where paths are rewritten, with these words of the reason.
    Rewritten(&'static str),
    /// Everywhere.
    Everywhere(&'static str),
    /// Nowhere, but no two runs of the compiler write the same time into the object.
    HoldsTheTime,
}

impl Case {
    /// Words of the refusal, if it is refused there.
    pub(super) fn refusal(&self, mode: Mode) -> Option<&'static str> {
        match self.except {
            Except::Rewritten(why) => (mode == Mode::Rewrite).then_some(why),
            Except::Everywhere(why) => Some(why),
            Except::Nowhere | Except::HoldsTheTime => None,
        }
    }
}

const fn case(name: &'static str, line: &'static str) -> Case {
    Case { name, line, outputs: &["a.obj"], except: Except::Nowhere }
}

const fn into(name: &'static str, line: &'static str, outputs: &'static [&'static str]) -> Case {
    Case { name, line, outputs, except: Except::Nowhere }
}

const fn except(name: &'static str, line: &'static str, except: Except) -> Case {
    Case { name, line, outputs: &["a.obj"], except }
}

pub(super) const CASES: &[Case] = &[
    case("plain", "/nologo /Brepro /c /I../inc ../src/a.cc"),
    case("in C", "/Brepro /c /I../inc ../src/b.c /Foa.obj"),
    case("with dashes", "-nologo -Brepro -c -I../inc ../src/a.cc -Foa.obj"),
    case("values apart", "/Brepro /c /I ../inc /D NAME=1 /U OTHER /o a.obj ../src/a.cc"),
    // Clang 14 takes it for a part of the name.
    into("a colon before the object", "/Brepro /c /I../inc /Fo:a.obj ../src/a.cc", &[":a.obj"]),
    into(
        "an object elsewhere",
        "/Brepro /c /I../inc /Fo../out/b.obj ../src/a.cc",
        &["../out/b.obj"],
    ),
    into(
        "an object in a directory",
        "/Brepro /c /I../inc /Fo../out/ ../src/a.cc",
        &["../out/a.obj"],
    ),
    into(
        "assembly beside",
        "/Brepro /c /I../inc /FAc /Faa.asm /FA ../src/a.cc",
        &["a.obj", "a.asm"],
    ),
    except("the time", "/c /I../inc ../src/a.cc", Except::HoldsTheTime),
    case("optimised", "/Brepro /O2 /Ob2 /Oy- /Gy /Gw /arch:AVX2 /fp:fast /c /I../inc ../src/a.cc"),
    case("for size", "/Brepro /O1 /Os /GF /c /I../inc ../src/a.cc"),
    case("runtimes", "/Brepro /MDd /EHsc /GR- /GS- /Zc:wchar_t- /Zl /Zp8 /c /I../inc ../src/a.cc"),
    case("charsets", "/Brepro /utf-8 /source-charset:utf-8 /c /I../inc ../src/a.cc"),
    case("warnings", "/Brepro /W4 /wd4100 -Wextra -Wno-shadow /c /I../inc ../src/a.cc"),
    case("all warnings", "/Brepro /Wall /c /I../inc ../src/a.cc"),
    case("warnings of absolute names", "/Brepro /W4 /c /I{abs}/inc {abs}/src/a.cc"),
    case("warnings as errors", "/Brepro /W4 /WX /c /I../inc ../src/a.cc"),
    case("no warnings", "/Brepro /w /c /I../inc ../src/a.cc"),
    case("an error", "/Brepro /DBROKEN /c /I../inc ../src/a.cc"),
    case("an error in an absolute name", "/Brepro /DBROKEN /c /I{abs}/inc {abs}/src/a.cc"),
    case("a missing header", "/Brepro /DMISSING /c /I../inc ../src/a.cc"),
    case("unknown flags", "/Brepro -fno-such-thing --no-such-thing /c /I../inc ../src/a.cc"),
    case("absolute names", "/Brepro /c /I{abs}/inc /Foa.obj {abs}/src/a.cc"),
    case("all absolute", "/Brepro /c /I {abs}/inc /Fo{abs}/build/a.obj -- {abs}/src/a.cc"),
    case("a language", "/Brepro /c /TP /I../inc ../src/b.c /Foa.obj"),
    case("a language of a source", "/Brepro /c /I../inc /Tp../src/b.c /Foa.obj"),
    case("forced include", "/Brepro /FI../inc/pre.h /c /I../inc ../src/a.cc"),
    case("forced include, absolute", "/Brepro /FI {abs}/inc/pre.h /c /I../inc ../src/a.cc"),
    case("a standard", "/Brepro /std:c++17 /permissive- /Zc:__cplusplus /c /I../inc ../src/a.cc"),
    case("an SDK", "/Brepro /DSDK /imsvc../sdk/um -imsvc ../sdk/crt /c /I../inc ../src/a.cc"),
    case(
        "an SDK, absolute",
        "/Brepro /DSDK /imsvc{abs}/sdk/um -imsvc {abs}/sdk/crt /c /I../inc ../src/a.cc",
    ),
    case(
        "an SDK, external",
        "/Brepro /DSDK /external:W0 /external:I ../sdk/um /imsvc../sdk/crt /c /I../inc ../src/a.cc",
    ),
    case("an SDK, variable", "INCLUDE=../sdk/um;../sdk/crt /Brepro /DSDK /c /I../inc ../src/a.cc"),
    case(
        "an SDK, absolute variable",
        "INCLUDE={abs}/sdk/um;{abs}/sdk/crt /Brepro /DSDK /c /I../inc ../src/a.cc",
    ),
    case("libraries, variable", "LIB={abs}/sdk/lib;../sdk /Brepro /c /I../inc ../src/a.cc"),
    case(
        "what is included",
        "/Brepro /DSDK /imsvc../sdk/um /imsvc../sdk/crt /showIncludes /c /I../inc ../src/a.cc",
    ),
    case(
        "what is included, absolute",
        "/Brepro /DSDK /imsvc{abs}/sdk/um /imsvc{abs}/sdk/crt /showIncludes /c /I{abs}/inc ../src/a.cc",
    ),
    case("what is included, the user's", "/Brepro /showIncludes:user /c /I../inc ../src/a.cc"),
    into("rules", "/Brepro /clang:-MD /c /I../inc ../src/a.cc", &["a.obj", "a.d"]),
    into(
        "rules, absolute",
        "/Brepro /clang:-MD /clang:-MFx.d /c /I{abs}/inc {abs}/src/a.cc",
        &["a.obj", "x.d"],
    ),
    into(
        "rules elsewhere",
        "/Brepro /clang:-MMD /clang:-MF /clang:../out/y.d /c /I../inc ../src/a.cc",
        &["a.obj", "../out/y.d"],
    ),
    case("for clang", "/Brepro /clang:-O3 /clang:-I../inc /clang:-fno-builtin /c ../src/a.cc"),
    case(
        "for clang, absolute",
        "/Brepro /clang:-include /clang:{abs}/inc/pre.h /c /I../inc ../src/a.cc",
    ),
    case("for the front end", "/Brepro -Xclang -disable-llvm-passes /O1 /c /I../inc ../src/a.cc"),
    case("for the back end", "/Brepro -mllvm -inline-threshold=10 /O2 /c /I../inc ../src/a.cc"),
    case("a target", "/Brepro --target=i686-pc-windows-msvc /c /I../inc ../src/a.cc"),
    case("another target", "/Brepro --target=aarch64-pc-windows-msvc /c /I../inc ../src/a.cc"),
    case("a version", "/Brepro -fmsc-version=1916 -m32 /c /I../inc ../src/a.cc"),
    except("debug", "/Brepro /Z7 /c /I../inc ../src/a.cc", RECORDED_BY_FLAG),
    except("debug, absolute", "/Brepro /Zi /c /I{abs}/inc {abs}/src/a.cc", RECORDED_BY_FLAG),
    case(
        "debug without a directory",
        "/Brepro /Z7 -ffile-compilation-dir=. /c /I../inc ../src/a.cc",
    ),
    case(
        "debug without both",
        "/Brepro /Zi -fdebug-compilation-dir=. -fcoverage-compilation-dir=. /c /I../inc ../src/a.cc",
    ),
    except(
        "debug, half without",
        "/Brepro /Z7 -fdebug-compilation-dir=. /c /I../inc ../src/a.cc",
        RECORDED_BY_FLAG,
    ),
    case("debug as DWARF", "/Brepro -gdwarf /c /I../inc ../src/a.cc"),
    case("debug as DWARF, absolute", "/Brepro -gdwarf /O2 /c /I{abs}/inc {abs}/src/a.cc"),
    case("a file of arguments", "@../src/args.rsp /c ../src/a.cc"),
    case("a file of wide arguments", "@../src/wide.rsp /c ../src/a.cc"),
    case("a file of absolute arguments", "@{abs}/src/abs.rsp /c {abs}/src/a.cc"),
    case("link time, relative", "/Brepro -flto=thin /c /I../inc ../src/a.cc"),
    except(
        "link time, absolute",
        "/Brepro -flto /c /I{abs}/inc {abs}/src/a.cc",
        Except::Rewritten("would name the directory"),
    ),
    except(
        "coverage",
        "/Brepro -fprofile-instr-generate -fcoverage-mapping /c /I../inc ../src/a.cc",
        Except::Rewritten("-fprofile-instr-generate"),
    ),
    case("own headers", "/Brepro /X /c /I../inc ../src/a.cc"),
    except(
        "headers compiled before",
        "/Yupre.h /Fppre.pch /c /I../inc ../src/a.cc",
        Except::Everywhere("/Yupre.h"),
    ),
    except(
        "flags in a variable",
        "CL=/O2 /Brepro /c /I../inc ../src/a.cc",
        Except::Everywhere("variable CL"),
    ),
];

const RECORDED_BY_FLAG: Except = Except::Rewritten("the result would hold a path of the worker");
