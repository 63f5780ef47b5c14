//! A compiler of the user's own, in his own directory: its headers are told by his paths, too.

use std::path::Path;
use std::process::Command;

use crate::mode::Mode;
use crate::support::process::{Program, temp_dir};
use crate::support::tree::{Tree, assert_success, client};

const SOURCE: &str = "#include <stddef.h>\n#include <stdarg.h>\nsize_t f(int n) { return n; }\n";

/// Copies clang and its headers into `tree`.
fn install(tree: &Tree) {
    let asked = Command::new("clang").arg("-print-resource-dir").output().expect("clang");
    let resources = String::from_utf8(asked.stdout).expect("a path");
    let version = Path::new(resources.trim()).file_name().expect("a version");
    let dir = tree.path("tc/lib/clang").join(version);
    std::fs::create_dir_all(&dir).expect("a directory");
    std::fs::create_dir_all(tree.path("tc/bin")).expect("a directory");
    for (from, to) in [
        (Path::new("/usr/bin/clang"), tree.path("tc/bin/clang")),
        (&Path::new(resources.trim()).join("include"), dir.join("include")),
    ] {
        let copied = Command::new("cp").arg("-rL").args([from, &to]).status().expect("cp");
        assert!(copied.success(), "{}", from.display());
    }
}

#[tokio::test]
async fn it_is_found_and_told_of_as_at_home() {
    let dir = temp_dir();
    let tree = Tree::new(&[("b.c", SOURCE)]);
    install(&tree);
    let at = tree.dir().display().to_string();
    let line = format!("{at}/tc/bin/clang -g -MD -c {at}/b.c -o b.o");
    let (object, rules) = (tree.local(&line, "b.o"), tree.read("b.d"));
    let told = String::from_utf8_lossy(&rules).into_owned();
    assert!(told.contains("tc/lib/clang"), "not its own headers: {told}");
    let program = Program::proxy(dir.path(), &[Mode::Rewrite.flag()]).await;
    assert_success(&client(&program, false).compile(tree.command(&line)).await);
    assert!(tree.read("b.o") == object, "other bytes");
    assert_eq!(String::from_utf8_lossy(&tree.read("b.d")), told);
}
