//! Inputs that compilers themselves make: profiles of a run, a plugin, a precompiled header.

use std::path::Path;
use std::process::Command;

use crate::support::has_program;

const PROFILED: &str = "#include \"x.h\"\nstatic int often(int x) { return x % 3 ? x * X_VALUE : x + 1; }\n\
    int main(void) { int sum = 0; for (int i = 0; i < 1000; i++) sum += often(i); return sum == 7; }\n";
/// Loaded by both compilers, it says so; no header of theirs is needed for that.
const PLUGIN: &str = "#include <stdio.h>\nint plugin_is_GPL_compatible;\n\
    int plugin_init(void *info, void *version) { return 0; }\n\
    __attribute__((constructor)) static void loaded(void) { fputs(\"the plugin is loaded\\n\", stderr); }\n";
const SAMPLES: &str = "main:1000:1\n 0: 1\n 3: 1000 often:1000\n";
/// Of another `main`, which clang says.
const COUNTS: &str = "main\n# Func Hash:\n24\n# Num Counters:\n2\n# Counter Values:\n1\n1000\n";
const MODULES: &str = "module x { header \"../inc/x.h\" export * }\n";

/// Makes them in a project.
pub(crate) fn make(dir: &Path) {
    let write = |name: &str, text: &str| std::fs::write(dir.join(name), text).expect("written");
    for at in ["prof", "pch/all.h.gch"] {
        std::fs::create_dir_all(dir.join(at)).expect("a directory");
    }
    write("src/plugin.c", PLUGIN);
    run(dir, "gcc -shared -fPIC -o src/plugin.so src/plugin.c");
    write("prof/samples.txt", SAMPLES);
    write("src/x.modulemap", MODULES);
    if has_program("llvm-profdata") {
        write("prof/counts.txt", COUNTS);
        run(dir, "llvm-profdata merge -o prof/counts.profdata prof/counts.txt");
    }
    write("src/ignore-more.txt", "src:*/nothing\n[address]\nfun:run\n");
    write("pch/all.h", "#define ALL 1\nstatic inline int all_of(int x) { return x + ALL; }\n");
    for (suffix, gcc) in [("c", "gcc"), ("cc", "g++")] {
        write(&format!("src/prof.{suffix}"), PROFILED);
        // gcc looks for one that fits among all that are in the directory.
        let header = if suffix == "c" { "c-header" } else { "c++-header" };
        let made = format!("../pch/all.h.gch/{suffix}.gch");
        run(&dir.join("build"), &format!("{gcc} -x {header} -I../inc ../pch/all.h -o {made}"));
        // gcc names a profile after the directory of the compile.
        let build = dir.join("build");
        let profiled = "-O2 -fprofile-generate=../prof -I../inc";
        run(&build, &format!("{gcc} {profiled} -c ../src/prof.{suffix} -o {suffix}.o"));
        run(&build, &format!("{gcc} -fprofile-generate {suffix}.o -o run"));
        run(&build, "./run");
        for made in [format!("{suffix}.o"), "run".to_owned()] {
            std::fs::remove_file(build.join(made)).expect("removed");
        }
    }
}

fn run(dir: &Path, line: &str) {
    let words: Vec<&str> = line.split(' ').collect();
    let ended = Command::new(words[0]).args(&words[1..]).current_dir(dir).output();
    let ended = ended.expect("it starts");
    assert!(ended.status.success(), "{line}: {}", String::from_utf8_lossy(&ended.stderr));
}
