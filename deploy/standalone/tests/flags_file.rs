//! An operator's file of what flags mean: over our own tables, at the start and whenever it changes.

mod support;

use std::fs::write;
use std::process::Command;

use goma_common::testing::free_port;
use goma_proto::api::ExecReq;
use support::process::{Program, temp_dir};
use support::requests::{compiler_script, object};
use support::{eventually, http};

/// By a compiler that takes any flag, in this directory.
fn compile(cwd: &str, source: &str) -> ExecReq {
    let script = "#!/bin/sh\nexec cp \"$2\" \"$4\"\n";
    let mut request = compiler_script(cwd, source.as_bytes(), script);
    request.arg.push("-zeal=secret".to_owned());
    request
}

fn meaning(takes: &str) -> String {
    format!("[gcc]\n\"-zeal=\" = {{ takes = \"{takes}\", means = \"nothing\" }}\n")
}

#[tokio::test]
async fn a_flag_means_what_the_file_says_as_soon_as_it_says_so() {
    let dir = temp_dir();
    let path = dir.path().join("flags.toml");
    write(&path, "[clang]\n").expect("writes");
    let admin = free_port();
    let listen = format!("127.0.0.1:{admin}");
    let args = ["--flags-file", path.to_str().expect("UTF-8"), "--admin-listen", &listen];
    let program = Program::proxy(dir.path(), &args).await;
    program.ready().await;
    let goma = program.goma();
    // Whether users with two directories have one result.
    let is_shared = async |source: &str| {
        object(&goma.exec(&compile("/home/a", source)).await);
        let second = goma.exec(&compile("/home/b", source)).await;
        object(&second);
        second.cache_hit.unwrap_or(0) != 0
    };
    assert!(!is_shared("int one;").await, "an unknown flag is tied to its directory");
    let metrics = http::get(admin, "/metrics").await.expect("an answer").text();
    assert!(metrics.contains("goma_unknown_flags_total{family=\"gcc\"} 2"), "{metrics}");
    let log = program.log();
    assert_eq!(log.matches("a flag that no table knows").count(), 1, "it is named once: {log}");
    assert!(log.contains("-zeal") && !log.contains("zeal=secret"), "{log}");

    write(&path, meaning("joined")).expect("writes");
    let sources = std::sync::atomic::AtomicU32::new(0);
    let is_shared_by_now = async || {
        let number = sources.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        is_shared(&format!("int two{number};")).await
    };
    eventually("the file is read again", is_shared_by_now).await;

    write(&path, meaning("everything")).expect("writes");
    eventually("it is said", async || {
        object(&goma.exec(&compile("/home/a", "int three;")).await);
        program
            .log()
            .contains("flags.toml: line 2: gcc: \"-zeal=\": takes: \"everything\" is none of")
            || program.log().contains(
                "flags.toml: line 2: gcc: \\\"-zeal=\\\": takes: \\\"everything\\\" is none of",
            )
    })
    .await;
    assert!(is_shared("int four;").await, "what was said before is kept");
}

#[test]
fn a_bad_file_is_refused_at_the_start() {
    let dir = temp_dir();
    let path = dir.path().join("flags.toml");
    write(&path, "[gcc]\n\n\"-x\" = { takes = \"rest\", means = \"path\" }\n").expect("writes");
    let mut command = Command::new(env!("CARGO_BIN_EXE_remoteexec_proxy"));
    command.arg("--port=0").arg("--data-dir").arg(dir.path()).arg("--flags-file").arg(&path);
    let ended = command.output().expect("it starts");
    let told = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(64), "{told}");
    assert!(
        told.contains("--flags-file") && told.contains("line 3: gcc: \"-x\": takes: "),
        "{told}"
    );
}
