//! A compiler of the user's own, in his own directory: its headers are told by his paths, too.

use std::path::Path;
use std::process::Command;

use crate::mode::Mode;
use crate::support::process::{Program, temp_dir};
use crate::support::tree::{Tree, assert_success, client};

const SOURCE: &str = "#include <stddef.h>\n#include <stdarg.h>\nsize_t f(int n) { return n; }\n";

/// Copies clang and its headers into `tree`.
pub(crate) fn install(tree: &Tree) {
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

/// A user's tree with that compiler, and links to it from its own directory and from another.
fn with_compiler() -> Tree {
    let tree = Tree::new(&[("b.c", SOURCE), ("b.cc", SOURCE)]);
    install(&tree);
    std::fs::create_dir(tree.path("links")).expect("a directory");
    for (link, target) in [
        ("tc/bin/clang++", "clang"),
        ("tc/bin/x-clang++", "clang++"),
        ("links/clang", "../tc/bin/clang"),
    ] {
        std::os::unix::fs::symlink(target, tree.path(link)).expect("a link");
    }
    tree
}

async fn is_as_at_home(program: &Program, tree: &Tree, compiler: &str, suffix: &str) {
    let at = tree.dir().display();
    let line = format!("{compiler} -g -MD -c {at}/b.{suffix} -o b.o");
    let (object, rules) = (tree.local(&line, "b.o"), tree.read("b.d"));
    let told = String::from_utf8_lossy(&rules).into_owned();
    assert!(told.contains("tc/lib/clang"), "not its own headers: {told}");
    std::fs::remove_file(tree.path("b.d")).expect("removed");
    assert_success(&client(program, false).compile(tree.command(&line)).await);
    assert!(tree.read("b.o") == object, "{line}: other bytes");
    assert_eq!(String::from_utf8_lossy(&tree.read("b.d")), told, "{line}");
}

#[tokio::test]
async fn it_is_found_and_told_of_as_at_home_by_any_of_its_names() {
    let modes = [&[Mode::Rewrite.flag(), "--sandbox=off"][..], &[Mode::Property.flag()]];
    for args in modes {
        let (dir, tree) = (temp_dir(), with_compiler());
        let at = tree.dir().display().to_string();
        let program = Program::proxy(dir.path(), args).await;
        for (compiler, suffix) in [
            (format!("{at}/tc/bin/clang"), "c"),
            ("tc/bin/clang".to_owned(), "c"),
            ("tc/bin/clang -no-canonical-prefixes".to_owned(), "c"),
            (format!("{at}/tc/bin/clang++"), "cc"),
            ("./tc/bin/x-clang++".to_owned(), "cc"),
        ] {
            is_as_at_home(&program, &tree, &compiler, suffix).await;
        }
    }
}

#[tokio::test]
async fn a_link_from_another_directory_works_under_the_clients_own_path_alone() {
    let (dirs, tree) = ([temp_dir(), temp_dir()], with_compiler());
    let at = tree.dir().display().to_string();
    let compiler = format!("{at}/links/clang");
    let program = Program::proxy(dirs[0].path(), &[Mode::Property.flag()]).await;
    is_as_at_home(&program, &tree, &compiler, "c").await;
    let program = Program::proxy(dirs[1].path(), &[Mode::Rewrite.flag()]).await;
    let line = format!("{compiler} -g -c {at}/b.c -o b.o");
    let outcome = client(&program, false).compile(tree.command(&line)).await;
    let told = outcome.error_messages.join("; ");
    assert!(told.contains("links/clang is a symbolic link to another directory"), "{told}");
}
