//! `remoteexec_proxy doctor` on backends with which nothing is wrong, and its exit status.

mod support;

use std::process::Output;

use goma_common::testing::free_port;
use support::casd::Casd;
use support::process::{Program, temp_dir};

async fn doctor(port: u16, more: &[&str]) -> Output {
    let address = format!("127.0.0.1:{port}");
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_remoteexec_proxy"));
    let flags = std::env::vars_os().map(|(name, _)| name);
    for name in flags.filter(|name| name.as_encoded_bytes().starts_with(b"GOMA_")) {
        command.env_remove(name);
    }
    command.args(["doctor", "--remoteexec-addr", &address, "--insecure-remoteexec"]).args(more);
    command.output().await.expect("the program starts")
}

fn all_is_well(output: &Output) {
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("nothing is wrong"), "{text}");
    assert!(text.contains("a worker ran /bin/sh"), "{text}");
}

#[tokio::test]
async fn nothing_is_wrong_with_the_embedded_backend() {
    let dir = temp_dir();
    let backend = Program::backend(dir.path(), free_port()).await;
    all_is_well(&doctor(backend.port, &["--platform-property", "pool=any"]).await);
}

#[tokio::test]
async fn nothing_is_wrong_with_casd() {
    let dir = temp_dir();
    let Some(casd) = Casd::start(dir.path(), None).await else { return };
    all_is_well(&doctor(casd.port, &["--backend-preset", "casd"]).await);
    casd.stop().await;
}

#[tokio::test]
async fn a_script_learns_what_is_wrong_from_the_status_and_the_json() {
    let output = doctor(free_port(), &["--json"]).await;
    assert!(!output.status.success());
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(told["ok"], false);
    let steps = told["steps"].as_array().expect("steps");
    let last = steps.last().expect("a step");
    assert_eq!((&last["step"], &last["outcome"]), (&"connection".into(), &"bad".into()));
    assert!(last["advice"].as_str().expect("advice").contains("Nobody listens"));
}

#[tokio::test]
async fn each_platform_of_a_file_is_examined_and_the_broken_one_named() {
    let (dir, port, dead) = (temp_dir(), free_port(), free_port());
    let backend = Program::backend(dir.path(), port).await;
    let file = dir.path().join("platforms.toml");
    let text = format!(
        "[[platform]]\ndimensions = [\"os:linux\"]\nbackend = \"live\"\n\
         [[platform]]\ndimensions = [\"os:linux\", \"pool:big\"]\nbackend = \"equals\"\n\
         [backend.live]\nremoteexec-addr = \"127.0.0.1:{port}\"\ninsecure-remoteexec = true\n\
         [backend.equals]\nremoteexec-addr = \"127.0.0.1:{port},127.0.0.1:{dead}\"\n\
         insecure-remoteexec = true\n"
    );
    std::fs::write(&file, text).expect("writes");
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_remoteexec_proxy"));
    command.args(["doctor", "--json", "--exec-config-file"]).arg(&file);
    let run = tokio::task::spawn_blocking(move || command.output().expect("it runs"));
    let run = run.await.expect("no panic");
    let told: serde_json::Value = serde_json::from_slice(&run.stdout).expect("JSON");
    assert_eq!(told[0]["platform"], "os:linux");
    assert_eq!(told[0]["ok"], true, "{told}");
    // Of two equals the good one does not hide the other.
    assert_eq!(
        (&told[1]["platform"], &told[1]["ok"]),
        (&"os:linux,pool:big".into(), &false.into())
    );
    assert!(told[1].to_string().contains(&format!("127.0.0.1:{dead}")), "{told}");
    assert!(!run.status.success());
    backend.kill().await;
}
