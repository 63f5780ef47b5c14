//! Several backends by a file of platforms: which compile goes where, with files that are kept in one.

mod support;

use std::fs::write;
use std::path::Path;
use std::process::Command;

use goma_common::testing::free_port;
use goma_proto::api::exec_resp::ExecError;
use goma_proto::api::file_blob::BlobType;
use goma_proto::api::{ExecReq, ExecResp, RequesterInfo};
use support::goma::{CHUNK, key};
use support::process::{Program, temp_dir};
use support::requests::{compiler_script, object, refusal, with_key};
use tempfile::TempDir;

/// What the client has stored beforehand, larger than a batch.
const LARGE: usize = 3 * CHUNK + 1000;

struct Case {
    other: Option<Program>,
    other_port: u16,
    proxy: Program,
    dirs: [TempDir; 2],
}

impl Case {
    /// A proxy with a backend of its own, and another backend for those who ask for `pool:other`, of
    /// whose addresses one leads nowhere.
    async fn start() -> Self {
        let dirs = [temp_dir(), temp_dir()];
        let (live, dead) = (free_port(), free_port());
        let other = Program::backend(dirs[1].path(), live).await;
        let file = dirs[0].path().join("platforms.toml");
        let text = format!(
            "[[platform]]\n\
             dimensions = [\"os:linux\", \"pool:other\"]\n\
             backend = \"other\"\n\
             [[platform]]\n\
             dimensions = [\"os:linux\", \"pool:own\"]\n\
             [backend.other]\n\
             remoteexec-addr = \"127.0.0.1:{dead},127.0.0.1:{live}\"\n\
             insecure-remoteexec = true\n"
        );
        write(&file, text).expect("writes");
        let proxy = start(dirs[0].path(), &file).await;
        Self { other: Some(other), other_port: live, proxy, dirs }
    }

    /// Compiles `source`: the compiler puts the large file after it.
    async fn compile(&self, source: &str, large: &str, dimensions: &[&str]) -> ExecResp {
        self.proxy.goma().exec(&request(source, large, dimensions)).await
    }

    /// Bytes on the other backend's disk.
    fn held_by_the_other(&self) -> u64 {
        let du = Command::new("du").arg("-sb").arg(self.dirs[1].path()).output().expect("du");
        let told = String::from_utf8(du.stdout).expect("UTF-8");
        let bytes = told.split_whitespace().next().and_then(|bytes| bytes.parse().ok());
        bytes.expect("a number")
    }

    /// An output as the client puts it together.
    async fn output(&self, answer: &ExecResp) -> Vec<u8> {
        let result = answer.result.as_ref().expect("a result");
        assert_eq!(result.exit_status(), 0, "{answer:?}");
        let blob = result.output[0].blob.as_ref().expect("a blob");
        assert_eq!(blob.blob_type(), BlobType::FileMeta, "it is too large to be told at once");
        let pieces = self.proxy.goma().lookup(blob.hash_key.clone()).await;
        pieces.iter().flat_map(|piece| piece.content().to_vec()).collect()
    }
}

async fn start(dir: &Path, file: &Path) -> Program {
    let file = file.to_str().expect("UTF-8");
    let args = ["--exec-config-file", file, "--max-inline-output", "1000"];
    let proxy = Program::proxy(dir, &args).await;
    proxy.ready().await;
    proxy
}

fn request(source: &str, large: &str, dimensions: &[&str]) -> ExecReq {
    let script = "#!/bin/sh\nexec cat \"$2\" large.h > \"$4\"\n";
    let mut request = compiler_script("/home/a", source.as_bytes(), script);
    request = with_key(request, "large.h", large);
    let dimensions = dimensions.iter().map(ToString::to_string).collect();
    request.requester_info = Some(RequesterInfo { dimensions, ..Default::default() });
    request
}

#[tokio::test]
async fn a_compile_goes_where_its_dimensions_say_with_files_that_are_kept_elsewhere() {
    let mut case = Case::start().await;
    let large: Vec<u8> = (0..LARGE).map(|_| fastrand::u8(..)).collect();
    let manifest = key(&case.proxy.goma().store_file(&large).await);
    let before = case.held_by_the_other();
    let kinds = [("own", &["pool:own"][..]), ("none", &[]), ("other", &["os:linux", "pool:other"])];
    for (source, dimensions) in kinds {
        assert_eq!(case.held_by_the_other(), before, "nothing has been asked of it");
        let answer = case.compile(source, &manifest, dimensions).await;
        let object = case.output(&answer).await;
        assert!(object == [source.as_bytes(), &large].concat(), "other bytes for {dimensions:?}");
    }
    let now = case.held_by_the_other();
    assert!(now >= before + 2 * LARGE as u64, "the file and the object: {before}, {now}");
    for (source, dimensions) in kinds {
        let answer = case.compile(source, &manifest, dimensions).await;
        assert!(answer.cache_hit.is_some_and(|hit| hit != 0), "{dimensions:?}: {answer:?}");
    }
    // What it made was brought to where clients ask for it.
    let answer = case.compile("other", &manifest, &["pool:other"]).await;
    case.other.take().expect("it runs").kill().await;
    assert!(case.output(&answer).await.starts_with(b"other"));
}

#[tokio::test]
async fn a_backend_that_was_wiped_is_brought_all_files_again() {
    let mut case = Case::start().await;
    let large = vec![7; LARGE];
    let manifest = key(&case.proxy.goma().store_file(&large).await);
    for _ in 0..2 {
        let answer = case.compile("wiped", &manifest, &["pool:other"]).await;
        assert!(case.output(&answer).await.starts_with(b"wiped"));
        assert_eq!(answer.cache_hit.unwrap_or(0), 0, "it forgot its results, too");
        case.other.take().expect("it runs").kill().await;
        let data = case.dirs[1].path().join("backend-data");
        std::fs::remove_dir_all(&data).expect("wiped");
        case.other = Some(Program::backend(case.dirs[1].path(), case.other_port).await);
    }
}

#[tokio::test]
async fn dimensions_that_no_platform_has_are_refused_by_name() {
    let case = Case::start().await;
    let answer = case.compile("int a;\n", &"00".repeat(32), &["os:win", "pool:own"]).await;
    assert_eq!(answer.error(), ExecError::BadRequest);
    let why = refusal(&answer);
    assert!(why.contains("os:win,pool:own") && why.contains("os:linux,pool:other"), "{why}");
    let small = compiler_script("/home/a", b"int a;\n", "#!/bin/sh\nexec cp \"$2\" \"$4\"\n");
    assert_eq!(object(&case.proxy.goma().exec(&small).await), b"int a;\n", "others are served");
}

#[tokio::test]
async fn a_platform_of_which_nothing_is_to_be_kept_compiles_each_time() {
    let dir = temp_dir();
    let file = dir.path().join("platforms.toml");
    let text = "[[platform]]\ndimensions = [\"pool:measured\"]\ndo-not-cache = true\n\
                [[platform]]\ndimensions = [\"pool:usual\"]\n";
    write(&file, text).expect("writes");
    let proxy = start(dir.path(), &file).await;
    let compile = async |pool: &str| {
        let script = "#!/bin/sh\nexec cat /proc/sys/kernel/random/uuid > out.o\n";
        let mut request = compiler_script("/home/a", b"int a;\n", script);
        request.requester_info.get_or_insert_default().dimensions = vec![pool.to_owned()];
        let answer = proxy.goma().exec(&request).await;
        (object(&answer), answer.cache_hit.unwrap_or(0) != 0)
    };
    let (measured, usual) = ("pool:measured", "pool:usual");
    let [(first, hit), (second, again)] = [compile(measured).await, compile(measured).await];
    assert!(first != second && !hit && !again, "it was not run again");
    let [(first, _), (second, again)] = [compile(usual).await, compile(usual).await];
    assert!(first == second && again, "another platform's are kept");
}

#[tokio::test]
async fn two_backends_that_cannot_be_told_apart_are_refused_by_name() {
    let dir = temp_dir();
    let file = dir.path().join("platforms.toml");
    let backend = |name: &str| {
        format!(
            "[[platform]]\ndimensions = [\"{name}\"]\nbackend = \"{name}\"\n\
             [backend.{name}]\nremoteexec-addr = \"farm:1\"\n"
        )
    };
    write(&file, backend("a") + &backend("b")).expect("writes");
    let mut command = Command::new(env!("CARGO_BIN_EXE_remoteexec_proxy"));
    command.args(["--port", "0", "--data-dir"]).arg(dir.path().join("data"));
    command.arg("--exec-config-file").arg(&file);
    let ended = tokio::task::spawn_blocking(move || command.output().expect("it runs"));
    let ended = ended.await.expect("no panic");
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(64), "{said}");
    assert!(said.contains("[backend.b]") && said.contains("backend-name"), "{said}");
}
