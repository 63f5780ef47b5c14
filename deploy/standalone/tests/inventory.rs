//! The original's file of platforms and compilers: clients that do not bring their compiler are given
//! the one that its list says is as good.

mod support;

use goma_proto::api::ExecReq;
use support::goma::file;
use support::process::{Program, temp_dir};
use support::requests::{gcc, object, refusal, with};

/// gcc by a client that says this of it. Nobody has a compiler of such a hash.
fn compile(version: &str, target: &str) -> ExecReq {
    let mut request = with(gcc("/home/a", "a.c"), "a.c", &file(b"int listed;\n"));
    let spec = request.command_spec.get_or_insert_default();
    spec.binary_hash = Some("ab".repeat(32).into());
    (spec.version, spec.target) = (Some(version.to_owned()), Some(target.to_owned()));
    request
}

async fn with_file(dir: &std::path::Path, name: &str, text: &str) -> Program {
    let path = dir.join(name);
    std::fs::write(&path, text).expect("writes");
    let program = Program::proxy(dir, &["--exec-config-file", path.to_str().expect("UTF-8")]).await;
    program.ready().await;
    program
}

async fn serves_what_is_listed(program: &Program) {
    let goma = program.goma();
    let compiled = object(&goma.exec(&compile("12.9", "x86_64-linux-gnu")).await);
    assert!(compiled.starts_with(b"\x7fELF"), "no object");
    for (version, target) in [("13.1", "x86_64-linux-gnu"), ("12.9", "aarch64-linux-gnu")] {
        let why = refusal(&goma.exec(&compile(version, target)).await);
        assert!(why.contains("not registered"), "{version} {target}: {why}");
    }
}

#[tokio::test]
async fn a_compiler_of_the_originals_list_stands_for_the_clients() {
    let dir = temp_dir();
    let text = "version_id: \"1\"\nconfigs {\n  dimensions: \"os:linux\"\n}\nconfigs {\n  cmd_descriptor {\n    \
                selector { name: \"gcc\" version: \"12.9\" target: \"x86_64-linux-gnu\" }\n    \
                setup { cmd_file { path: \"/usr/bin/gcc\" } path_type: POSIX }\n  }\n}\n";
    serves_what_is_listed(&with_file(dir.path(), "inventory", text).await).await;
}

#[tokio::test]
async fn so_does_one_of_the_list_in_toml() {
    let dir = temp_dir();
    let text = "[[compiler]]\nname = \"gcc\"\nversion = \"12.9\"\ntarget = \"x86_64-linux-gnu\"\n\
                path = \"/usr/bin/gcc\"\n";
    serves_what_is_listed(&with_file(dir.path(), "inventory.toml", text).await).await;
}

#[tokio::test]
async fn a_listed_hash_is_one_that_the_worker_must_have() {
    let dir = temp_dir();
    let hash = "ab".repeat(32);
    let text = format!(
        "[[compiler]]\nname = \"gcc\"\nbinary-hash = \"{hash}\"\npath = \"/usr/bin/gcc\"\n"
    );
    let program = with_file(dir.path(), "inventory.toml", &text).await;
    let why = refusal(&program.goma().exec(&compile("12.9", "x86_64-linux-gnu")).await);
    assert!(why.contains("/usr/bin/gcc") && why.contains(&hash), "{why}");
}
