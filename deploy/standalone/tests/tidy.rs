//! Rules of the tree that matter enough to fail a build.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the tree")
}

/// Which of our crates each of our crates may use, tests and benchmarks included.
fn arrows() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    BTreeMap::from([
        ("goma-proto", BTreeSet::new()),
        ("goma-common", BTreeSet::from(["goma-proto"])),
        ("goma-shard", BTreeSet::from(["goma-common", "goma-proto"])),
        ("goma-gateway", BTreeSet::from(["goma-common", "goma-proto"])),
        (
            "goma-loadtest",
            BTreeSet::from(["goma-gateway", "goma-shard", "goma-common", "goma-proto"]),
        ),
        (
            "goma-standalone",
            BTreeSet::from([
                "goma-loadtest",
                "goma-gateway",
                "goma-shard",
                "goma-common",
                "goma-proto",
            ]),
        ),
        // Workspaces of their own, each below its crate.
        ("goma-shard-fuzz", BTreeSet::from(["goma-shard", "goma-common"])),
        ("goma-gateway-fuzz", BTreeSet::from(["goma-gateway"])),
    ])
}

/// The packages of the workspace that has this manifest.
fn packages(manifest: &str) -> Vec<serde_json::Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline", "--manifest-path"])
        .arg(manifest)
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    metadata["packages"].as_array().expect("packages").clone()
}

#[test]
fn arrows_point_down_only() {
    let allowed = arrows();
    let manifests = ["Cargo.toml", "gateway/fuzz/Cargo.toml", "shard/fuzz/Cargo.toml"];
    let packages: Vec<_> = manifests.into_iter().flat_map(packages).collect();
    assert_eq!(packages.len(), allowed.len(), "a crate that this test does not know");
    for package in &packages {
        let name = package["name"].as_str().expect("a name");
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            let dependency = dependency["name"].as_str().expect("a name");
            // A crate's tests may want it with its own test doubles.
            let ours = allowed.contains_key(dependency) && dependency != name;
            assert!(
                !ours || allowed[name].contains(dependency),
                "{name} must not depend on {dependency}"
            );
        }
    }
}

#[test]
fn every_file_opens_with_a_sentence() {
    for file in rust_files() {
        let text = std::fs::read_to_string(root().join(&file)).expect("readable");
        let first = text.lines().next().unwrap_or("");
        assert!(first.starts_with("//! "), "{file} opens with {first:?}");
    }
}

#[test]
fn nothing_else_is_visible_at_the_top() {
    let expected = [
        "Cargo.lock",
        "Cargo.toml",
        "LICENSE",
        "README.md",
        "common",
        "deploy",
        "gateway",
        "loadtest",
        "proto",
        "shard",
    ];
    let visible: BTreeSet<String> = tracked()
        .iter()
        .filter_map(|file| file.split('/').next())
        .filter(|name| !name.starts_with('.'))
        .map(ToOwned::to_owned)
        .collect();
    assert_eq!(visible, expected.map(ToOwned::to_owned).into());
}

fn rust_files() -> Vec<String> {
    let files = tracked();
    assert!(files.len() > 100, "the tree is not seen");
    files.into_iter().filter(|file| file.ends_with(".rs")).collect()
}

/// What git knows of, as far as it is there.
fn tracked() -> Vec<String> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("git runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines().filter(|file| root().join(file).exists()).map(ToOwned::to_owned).collect()
}
