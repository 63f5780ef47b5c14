//! What debuggers and coverage tools make of objects that were compiled elsewhere.

use std::path::Path;
use std::process::{Command, Output};

use crate::mode::Mode;
use crate::support::process::{Program, temp_dir};
use crate::support::tree::{assert_success, client};
use crate::support::{has_program, tree::Tree};

const SOURCE: &str = "#include <stdio.h>\nint counted(int n) {\n  if (n > 100)\n    return -1;\n  \
                      return n + 1;\n}\nint main(void) { printf(\"%d\\n\", counted(1)); return 0; }\n";

/// A project whose one object was compiled by the server in a directory of its own.
async fn compiled(flags: &str) -> Tree {
    let dir = temp_dir();
    let program = Program::proxy(dir.path(), &[Mode::Rewrite.flag()]).await;
    let tree = Tree::new(&[("counted.c", SOURCE)]);
    let at = tree.dir().display();
    let line = format!("gcc {flags} -c {at}/counted.c -o counted.o");
    assert_success(&client(&program, false).compile(tree.command(&line)).await);
    run(tree.dir(), &format!("gcc {flags} counted.o -o program"));
    tree
}

fn run(dir: &Path, line: &str) -> Output {
    let mut words = line.split(' ');
    let mut command = Command::new(words.next().expect("a program"));
    let output = command.args(words).current_dir(dir).env("LC_ALL", "C").output().expect("it runs");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {}: {told}", output.status);
    output
}

#[tokio::test]
async fn a_debugger_finds_the_sources() {
    if !has_program("gdb") {
        return;
    }
    let tree = compiled("-g").await;
    // From elsewhere, so that it is by the path in the program.
    let program = tree.path("program").display().to_string();
    std::fs::write(tree.path("script"), "list counted\n").expect("written");
    let script = tree.path("script").display().to_string();
    let told = run(Path::new("/"), &format!("gdb -nx -batch -x {script} {program}"));
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.contains("if (n > 100)"), "{told}");
}

#[tokio::test]
async fn counts_of_what_ran_go_where_gcov_looks_for_them() {
    let tree = compiled("--coverage").await;
    run(tree.dir(), "./program");
    assert!(tree.path("counted.gcda").is_file(), "no counts beside the object");
    run(tree.dir(), "gcov counted.o");
    let lines = String::from_utf8(tree.read("counted.c.gcov")).expect("text");
    let count = |of: &str| {
        let line = lines.lines().find(|line| line.ends_with(of)).expect("the line");
        line.split(':').next().expect("a count").trim().to_owned()
    };
    assert_eq!(count("if (n > 100)"), "1", "{lines}");
    assert_eq!(count("return -1;"), "#####", "{lines}");
}
