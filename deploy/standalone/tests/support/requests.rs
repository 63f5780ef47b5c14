//! ExecReqs by hand, for what no client would send.

use std::sync::LazyLock;

use goma_proto::api::exec_req::Input;
use goma_proto::api::exec_resp::ExecError;
use goma_proto::api::{CommandSpec, ExecReq, ExecResp, FileBlob, ToolchainSpec};
use sha2::{Digest, Sha256};

use super::goma::{file, key};

/// The embedded backend registers this one, so that a request need only give its hash.
static GCC: LazyLock<String> =
    LazyLock::new(|| sha256(&std::fs::read("/usr/bin/gcc").expect("gcc")));

/// `gcc -c SOURCE -o out.o` in this directory, with no input yet. Sources include nothing.
pub fn gcc(cwd: &str, source: &str) -> ExecReq {
    let words = ["gcc", "-c", source, "-o", "out.o"];
    ExecReq {
        command_spec: Some(CommandSpec {
            name: Some("gcc".to_owned()),
            binary_hash: Some(GCC.clone().into()),
            local_compiler_path: Some("/usr/bin/gcc".to_owned()),
            ..Default::default()
        }),
        arg: words.map(ToOwned::to_owned).to_vec(),
        env: vec![format!("PWD={cwd}")],
        cwd: Some(cwd.to_owned()),
        expected_output_files: vec!["out.o".to_owned()],
        ..Default::default()
    }
}

/// A compiler of the client's own: a shell script that takes so long and copies its source.
pub fn slow_gcc(cwd: &str, source: &[u8], seconds: u32) -> ExecReq {
    let script = format!("#!/bin/sh\nsleep {seconds}\nexec cp \"$2\" \"$4\"\n");
    compiler_script(cwd, source, &script)
}

/// A compile of `a.c` by this script, which the client sends along.
pub fn compiler_script(cwd: &str, source: &[u8], script: &str) -> ExecReq {
    let tool = ToolchainSpec {
        path: Some("tools/gcc".to_owned()),
        hash: Some(sha256(script.as_bytes())),
        size: Some(script.len() as i64),
        is_executable: Some(true),
        ..Default::default()
    };
    let mut request = with(gcc(cwd, "a.c"), "a.c", &file(source));
    let spec = request.command_spec.get_or_insert_default();
    spec.binary_hash = Some(sha256(script.as_bytes()).into());
    spec.local_compiler_path = Some("tools/gcc".to_owned());
    request.toolchain_included = Some(true);
    request.toolchain_specs = vec![tool];
    with(request, "tools/gcc", &file(script.as_bytes()))
}

/// With an input whose contents come along.
pub fn with(request: ExecReq, name: &str, blob: &FileBlob) -> ExecReq {
    with_input(request, name, &key(blob), Some(blob))
}

/// With an input that is known by its key alone.
pub fn with_key(request: ExecReq, name: &str, key: &str) -> ExecReq {
    with_input(request, name, key, None)
}

/// With an input of this key and these contents, true or not.
pub fn with_input(
    mut request: ExecReq,
    name: &str,
    key: &str,
    content: Option<&FileBlob>,
) -> ExecReq {
    request.input.push(Input {
        filename: Some(name.to_owned()),
        hash_key: Some(key.to_owned()),
        content: content.cloned(),
    });
    request
}

/// The object, of a compile that went well.
#[track_caller]
pub fn object(answer: &ExecResp) -> Vec<u8> {
    assert!(answer.missing_input.is_empty(), "missing: {:?}", answer.missing_input);
    assert!(answer.error_message.is_empty(), "{:?}", answer.error_message);
    let result = answer.result.as_ref().expect("a result");
    let stderr = String::from_utf8_lossy(result.stderr_buffer());
    assert_eq!(result.exit_status(), 0, "{stderr}");
    let output = result.output.iter().find(|output| output.filename().ends_with(".o"));
    output.and_then(|output| output.blob.clone()).expect("an object").content().to_vec()
}

/// The words of a refusal that the client does not repeat and takes for no success.
#[track_caller]
pub fn refusal(answer: &ExecResp) -> String {
    assert_eq!(answer.error(), ExecError::BadRequest, "{answer:?}");
    assert_ne!(answer.result.as_ref().map(|result| result.exit_status()), Some(0));
    assert!(answer.missing_input.is_empty(), "{answer:?}");
    answer.error_message.join("; ")
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// `gcc -c a.c` by a client whose `/usr/bin/gcc` has this hash, or the machine's own.
pub fn gcc_with_hash(cwd: &str, source: &FileBlob, hash: Option<&str>) -> ExecReq {
    let hash = hash.unwrap_or(&GCC);
    let mut request = with(gcc(cwd, "a.c"), "a.c", source);
    request.command_spec.get_or_insert_default().binary_hash = Some(hash.to_owned().into());
    request.toolchain_included = Some(true);
    request.toolchain_specs = vec![ToolchainSpec {
        path: Some("/usr/bin/gcc".to_owned()),
        hash: Some(hash.to_owned()),
        size: Some(1),
        is_executable: Some(true),
        ..Default::default()
    }];
    request
}
