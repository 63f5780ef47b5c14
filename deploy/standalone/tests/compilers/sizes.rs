//! Compiles of unusual sizes: thousands of headers, and outputs from nothing to hundreds of megabytes.

use std::fmt::Write;

use crate::mode::Mode;
use crate::support::process::{Program, temp_dir};
use crate::support::requests::{compiler_script, object};
use crate::support::tree::{Tree, assert_success, client};

const HEADERS: usize = 5000;
const LARGE: usize = 300 << 20;

async fn is_as_at_home(mode: Mode, tree: &Tree, line: &str, output: &str) -> usize {
    let dir = temp_dir();
    let program = Program::proxy(dir.path(), &[mode.flag()]).await;
    let home = tree.local(line, output);
    // As often as it takes to send what the server asks for.
    let mut outcome = client(&program, false).compile(tree.command(line)).await;
    for _ in 0..10 {
        if outcome.failure.is_none() {
            break;
        }
        outcome = client(&program, false).compile(tree.command(line)).await;
    }
    assert_success(&outcome);
    assert!(tree.read(output) == home, "{mode:?}: other bytes in {output}");
    home.len()
}

#[tokio::test]
async fn five_thousand_headers() {
    let tree = Tree::new(&[]);
    std::fs::create_dir(tree.path("inc")).expect("a directory");
    let mut source = String::new();
    for n in 0..HEADERS {
        tree.write(&format!("inc/h{n}.h"), &format!("static const int v{n} = {n};\n"));
        writeln!(source, "#include \"h{n}.h\"").expect("written");
    }
    source += "int sum(void) { return v0 + v4999; }\n";
    tree.write("a.c", &source);
    let at = tree.dir().display();
    let line = format!("gcc -g -I{at}/inc -c {at}/a.c -o a.o");
    for mode in [Mode::Property, Mode::Rewrite] {
        is_as_at_home(mode, &tree, &line, "a.o").await;
    }
}

#[tokio::test]
async fn an_object_of_three_hundred_megabytes() {
    let tree = Tree::new(&[("a.c", &format!("char large[{LARGE}] = {{ 1 }};\n"))]);
    let size = is_as_at_home(Mode::Property, &tree, "gcc -c a.c -o a.o", "a.o").await;
    assert!(size > LARGE, "{size}");
}

#[tokio::test]
async fn an_output_without_a_byte() {
    let dir = temp_dir();
    let program = Program::proxy(dir.path(), &[]).await;
    let request = compiler_script("/home/a", b"int x;\n", "#!/bin/sh\n: > \"$4\"\n");
    assert_eq!(object(&program.goma().exec(&request).await), b"");
}
