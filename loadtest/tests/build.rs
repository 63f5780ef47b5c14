//! A whole build against a scripted server.

mod support;

use goma_loadtest::build::{self, BuildConfig};
use support::{Fake, Tree, Turn, padding};

/// A tree with a list of three compiles and a link that is none.
fn project() -> Tree {
    let tree = Tree::new();
    let mut list = Vec::new();
    for name in ["a", "b", "c"] {
        tree.write(&format!("{name}.c"), &format!("int {name};\n{}", padding(600)));
        list.push(serde_json::json!({
            "directory": tree.dir.path(),
            "file": format!("{name}.c"),
            "command": format!("gcc -nostdinc -c {name}.c -o out/{name}.o"),
        }));
    }
    tree.write("d.S", ".text\n");
    list.push(serde_json::json!({
        "directory": tree.dir.path(),
        "file": "d.S",
        "arguments": ["gcc", "-c", "d.S", "-o", "obj/d.o"],
    }));
    tree.write("compile_commands.json", &serde_json::Value::from(list).to_string());
    tree
}

fn config(tree: &Tree) -> BuildConfig {
    BuildConfig {
        compile_commands: tree.path("compile_commands.json"),
        jobs: 2,
        verify: true,
        limit: None,
        local_dir: Some(tree.path("local")),
    }
}

#[tokio::test]
async fn every_object_is_compared_with_a_local_one() {
    let (fake, tree) = (Fake::start().await, project());
    let report = build::run(&fake.client(true), &config(&tree)).await.expect("built");
    assert!(report.is_success(), "{report:?}");
    assert_eq!((report.compiles, report.local, report.identical), (4, 1, 3));
    assert!(tree.path("out/b.o").exists() && tree.path("obj/d.o").exists());
    let names: Vec<&str> = report.results.iter().map(|unit| unit.name.as_str()).collect();
    assert_eq!(names, ["a.c", "b.c", "c.c", "d.S"], "in the list's order");

    // The second run takes the local results as they are.
    for entry in std::fs::read_dir(tree.path("local")).expect("kept") {
        std::fs::write(entry.expect("read").path().join("0"), "changed").expect("written");
    }
    let report = build::run(&fake.client(true), &config(&tree)).await.expect("built");
    assert_eq!((report.cache_hits, report.failed), (3, 0));
    assert_eq!(report.different, ["out/a.o", "out/b.o", "out/c.o"]);
    assert!(!report.is_success());
}

#[tokio::test]
async fn a_failed_compile_is_named_and_the_others_go_on() {
    let (fake, tree) = (Fake::start().await, project());
    fake.script([Turn::Status(400)]);
    let config = BuildConfig { jobs: 1, verify: false, limit: Some(2), ..config(&tree) };
    let report = build::run(&fake.client(false), &config).await.expect("built");
    assert_eq!((report.compiles, report.failed), (2, 1));
    let failure = report.results[0].failure.as_deref().expect("failed");
    assert!(failure.starts_with("http status 400"), "{failure}");
    assert!(tree.path("out/b.o").exists());
}

#[tokio::test]
async fn a_source_that_no_compiler_takes_is_agreed_on() {
    let (fake, tree) = (Fake::start().await, project());
    tree.write("a.c", &format!("nonsense\n{}", padding(600)));
    let report = build::run(&fake.client(false), &config(&tree)).await.expect("built");
    assert!(report.is_success(), "{report:?}");
    assert_eq!(report.results[0].compile.exit_status, 1);
    let config = BuildConfig { verify: false, ..config(&tree) };
    let report = build::run(&fake.client(false), &config).await.expect("built");
    assert_eq!(report.failed, 1);
    assert!(report.results[0].stderr.as_deref().expect("told").contains("nonsense"));
}
