//! The original's file of platforms and compilers: clients that do not bring their compiler are given
//! the one that its list says is as good.

mod support;

use std::fs::write;

use goma_common::testing::free_port;
use goma_proto::api::ExecReq;
use support::goma::file;
use support::process::{Program, temp_dir};
use support::requests::{compiler_script, gcc, object, refusal, with};
use support::{eventually, http};

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

#[tokio::test]
async fn a_clients_compiler_may_be_another_file_that_is_as_good() {
    let dir = temp_dir();
    let hash = |path: &str| goma_common::Digest::of(&std::fs::read(path).expect("gcc")).hex();
    let text = format!(
        "[[compiler]]\nname = \"gcc\"\nbinary-hash = \"{}\"\nequivalent-hashes = [\"{}\"]\n\
         path = \"/usr/bin/gcc\"\n",
        hash("/usr/bin/gcc"),
        "ab".repeat(32),
    );
    let program = with_file(dir.path(), "inventory.toml", &text).await;
    let compiled = object(&program.goma().exec(&compile("12.9", "")).await);
    assert!(compiled.starts_with(b"\x7fELF"), "no object");
    let mut other = compile("12.9", "");
    let spec = other.command_spec.get_or_insert_default();
    spec.binary_hash = Some("cd".repeat(32).into());
    assert!(refusal(&program.goma().exec(&other).await).contains("not registered"));
}

#[tokio::test]
async fn clang_makes_code_for_the_clients_target_where_the_list_says_so() {
    /// Where an ELF file tells its machine, and the two that are compiled for.
    const MACHINE: usize = 18;
    const AARCH64: u8 = 183;
    const X86_64: u8 = 62;
    let dir = temp_dir();
    let text = "[[compiler]]\nname = \"clang\"\npath = \"/usr/bin/clang\"\nadd-target = true\n";
    let program = with_file(dir.path(), "inventory.toml", text).await;
    let machine = async |target: &str, flag: Option<&str>| {
        let mut request = compile("14", target);
        request.command_spec.get_or_insert_default().name = Some("clang".to_owned());
        request.arg.extend(flag.map(ToOwned::to_owned));
        object(&program.goma().exec(&request).await)[MACHINE]
    };
    assert_eq!(machine("aarch64-linux-gnu", None).await, AARCH64);
    assert_eq!(machine("", None).await, X86_64);
    // The command line's own counts.
    assert_eq!(machine("aarch64-linux-gnu", Some("--target=x86_64-linux-gnu")).await, X86_64);
}

/// gcc of these versions, as the file lists them.
fn versions(versions: &[&str]) -> String {
    let entry = |version| {
        format!("[[compiler]]\nname = \"gcc\"\nversion = \"{version}\"\npath = \"/usr/bin/gcc\"\n")
    };
    versions.iter().map(entry).collect()
}

/// What the program counts for its file so.
async fn reloads(admin: u16, outcome: &str) -> u64 {
    let metrics = http::get(admin, "/metrics").await.expect("an answer").text();
    let lines = metrics.lines().filter(|line| line.starts_with("goma_reloads_total{"));
    let mut lines = lines.filter(|line| line.contains(&format!("outcome=\"{outcome}\"")));
    let line = lines.next().map_or("0", |line| line.rsplit(' ').next().unwrap_or("0"));
    line.parse().expect("a number")
}

#[tokio::test]
async fn the_file_is_read_again_when_it_changes_and_a_bad_one_changes_nothing() {
    let dir = temp_dir();
    let path = dir.path().join("inventory.toml");
    write(&path, versions(&["1", "2", "3"])).expect("writes");
    let admin = free_port();
    let listen = format!("127.0.0.1:{admin}");
    let args = ["--exec-config-file", path.to_str().expect("UTF-8"), "--admin-listen", &listen];
    let program = Program::proxy(dir.path(), &args).await;
    program.ready().await;
    let goma = program.goma();
    let is_served =
        async |version: &str| goma.exec(&compile(version, "")).await.error_message.is_empty();
    assert!(is_served("3").await && !is_served("4").await);

    write(&path, versions(&["1", "2", "4"])).expect("writes");
    eventually("the new one is served", async || is_served("4").await).await;
    assert!(!is_served("3").await, "it is no longer listed");

    write(&path, "[[compiler]]\nname = \"gcc\"\npath = 1\n").expect("writes");
    eventually("it is said", async || program.log().contains("inventory.toml: line 3")).await;
    write(&path, versions(&["4"])).expect("writes");
    eventually("it is said", async || program.log().contains("of 3 platforms and compilers 1"))
        .await;
    assert!(is_served("1").await && is_served("4").await, "what was there before is kept");
    assert_eq!((reloads(admin, "taken").await, reloads(admin, "kept").await), (1, 2));

    write(&path, versions(&["1", "5"])).expect("writes");
    eventually("it goes on", async || is_served("5").await && !is_served("4").await).await;
}

#[tokio::test]
async fn backends_come_and_go_with_the_file() {
    let dirs = [temp_dir(), temp_dir()];
    let port = free_port();
    let _other = Program::backend(dirs[1].path(), port).await;
    let path = dirs[0].path().join("inventory.toml");
    let own = "[[platform]]\ndimensions = [\"pool:own\"]\n";
    let other = |extra: &str| {
        format!(
            "{own}[[platform]]\ndimensions = [\"pool:other\"]\nbackend = \"other\"\n[backend.other]\n\
             remoteexec-addr = \"127.0.0.1:{port}\"\ninsecure-remoteexec = true\n{extra}"
        )
    };
    let program = with_file(dirs[0].path(), "inventory.toml", own).await;
    let compile = async |pool: &str, source: &str| {
        let script = "#!/bin/sh\nexec cp \"$2\" \"$4\"\n";
        let mut request = compiler_script("/home/a", source.as_bytes(), script);
        request.requester_info.get_or_insert_default().dimensions = vec![format!("pool:{pool}")];
        program.goma().exec(&request).await
    };
    assert!(refusal(&compile("other", "int a;").await).contains("no platform"));
    let is_served = async |source: &str| compile("other", source).await.error_message.is_empty();
    write(&path, other("")).expect("writes");
    eventually("the other is served", async || is_served("int b;\n").await).await;
    // The same backend told otherwise: what is known of it is there again.
    write(&path, other("remote-streams = 3\n")).expect("writes");
    eventually("it is read", async || program.log().matches("read again").count() == 2).await;
    eventually("it is followed", async || {
        program.log().matches("as the file now says").count() == 2
    })
    .await;
    object(&compile("other", "int b;\nint c;\n").await);
    object(&compile("own", "int b;\nint c;\n").await);
    write(&path, own).expect("writes");
    eventually("the other is gone", async || !is_served("int d;\n").await).await;
}
