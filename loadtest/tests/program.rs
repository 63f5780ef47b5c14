//! The program itself: flags, exit codes and what it prints.

mod support;

use std::process::Output;

use support::{Fake, Tree};

/// Runs the program in `tree` against `fake`, off the runtime's thread.
async fn run(fake: &Fake, tree: &Tree, args: &str) -> Output {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_goma-loadtest"));
    command
        .args(args.split(' '))
        .current_dir(tree.dir.path())
        .env("GOMA_LOADTEST_SERVER", format!("http://{}", fake.address));
    let output = tokio::task::spawn_blocking(move || command.output());
    output.await.expect("no panic").expect("started")
}

#[tokio::test]
async fn compile_tells_all_in_json() {
    let (fake, tree) = (Fake::start().await, Tree::new());
    let output = run(&fake, &tree, "compile --json -- gcc -nostdinc -Iinc -c a.c -o obj/a.o").await;
    assert!(output.status.success(), "{output:?}");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("json");
    assert_eq!(report["exit_status"], 0);
    assert_eq!(report["outputs"][0]["name"], "obj/a.o");
    assert_eq!(report["outputs"][0]["size"], tree.read("obj/a.o").len());
    assert_eq!((&report["attempts"], &report["missing_total"]), (&2.into(), &3.into()));
}

#[tokio::test]
async fn compile_exits_and_prints_as_the_compiler_does() {
    let (fake, tree) = (Fake::start().await, Tree::new());
    tree.write("bad.c", "int x = nonsense;\n");
    let output = run(&fake, &tree, "compile --stock -- gcc -nostdinc -c bad.c -o obj/b.o").await;
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("bad.c:1:9: error"));
}

#[tokio::test]
async fn a_flag_that_cannot_be_meant_is_named() {
    let (fake, tree) = (Fake::start().await, Tree::new());
    let output = run(&fake, &tree, "compile --server ftp://x -- gcc -c a.c").await;
    assert_eq!(output.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--server: ftp://x"));
}

#[tokio::test]
async fn an_override_is_read_from_a_file() {
    let (fake, tree) = (Fake::start().await, Tree::new());
    tree.write("doctored", "int other;");
    let args = "compile --override inc/a.h=doctored -- gcc -nostdinc -Iinc -c a.c -o obj/a.o";
    assert!(run(&fake, &tree, args).await.status.success());
    let request = fake.execs().pop().expect("sent");
    let header = request.input.iter().find(|i| i.filename() == "inc/a.h").expect("an input");
    assert_eq!(header.hash_key(), goma_common::FileKey::of_file(b"int other;").hex());
}
