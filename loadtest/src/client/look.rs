//! Runs a script of ours on a worker, by an Exec whose compiler it is.

use goma_common::FileKey;
use goma_proto::api::exec_req::Input;
use goma_proto::api::file_blob::BlobType;
use goma_proto::api::{CommandSpec, ExecReq, ExecResp, FileBlob, ToolchainSpec};
use sha2::{Digest, Sha256};

use super::outputs::Outputs;
use super::process::Client;
use crate::error::{Error, Result};
use crate::http::Traffic;

/// Where the script stands, and what it is given to read and to write.
const SCRIPT: &str = "tools/gcc";
const SOURCE: &str = "look.c";
const OUTPUT: &str = "look.o";

impl Client {
    /// What a script writes into the file that is its fourth argument, on whatever worker runs it. No
    /// cache has the answer.
    ///
    /// # Errors
    /// A call that failed, a server that refuses it, or a script that ended badly.
    pub async fn run_on_worker(&self, script: &str) -> Result<Vec<u8>> {
        let process = self.process();
        let requester = process.identity.requester(0, 0);
        let traffic = Traffic::default();
        // Another source each time, so that no result of another day is found.
        let source = format!("// {:032x}\n", fastrand::u128(..));
        let hash = hex::encode(Sha256::digest(script));
        let request = ExecReq {
            command_spec: Some(CommandSpec {
                name: Some("gcc".to_owned()),
                binary_hash: Some(hash.clone().into()),
                local_compiler_path: Some(SCRIPT.to_owned()),
                ..CommandSpec::default()
            }),
            arg: ["gcc", "-c", SOURCE, "-o", OUTPUT].map(ToOwned::to_owned).to_vec(),
            env: vec!["PWD=/goma-look".to_owned()],
            cwd: Some("/goma-look".to_owned()),
            input: vec![input(SCRIPT, script), input(SOURCE, &source)],
            requester_info: Some(requester.clone()),
            expected_output_files: vec![OUTPUT.to_owned()],
            toolchain_included: Some(true),
            toolchain_specs: vec![ToolchainSpec {
                path: Some(SCRIPT.to_owned()),
                hash: Some(hash),
                size: i64::try_from(script.len()).ok(),
                is_executable: Some(true),
                symlink_path: None,
            }],
            ..ExecReq::default()
        };
        let answer: ExecResp = process.transport.call("/e", &request, &traffic).await?;
        let told = |why: String| Err(Error::Answer(why));
        if !answer.error_message.is_empty() {
            return told(answer.error_message.join("; "));
        }
        if !answer.missing_input.is_empty() {
            return told("files are missing that came along".to_owned());
        }
        let result = answer.result.unwrap_or_default();
        if result.exit_status != Some(0) {
            let stderr = String::from_utf8_lossy(result.stderr_buffer()).trim().to_owned();
            return told(format!(
                "the worker's look ended with {}: {stderr}",
                result.exit_status()
            ));
        }
        let dir = tempfile::tempdir().map_err(|error| Error::file("temporary directory", error))?;
        let outputs = Outputs {
            transport: &process.transport,
            requester: &requester,
            traffic: &traffic,
            cwd: dir.path(),
            expected: &[OUTPUT.to_owned()],
        };
        outputs.write(&result.output).await?;
        let path = dir.path().join(OUTPUT);
        std::fs::read(&path).map_err(|error| Error::file(&path, error))
    }
}

fn input(name: &str, content: &str) -> Input {
    Input {
        filename: Some(name.to_owned()),
        hash_key: Some(FileKey::of_file(content.as_bytes()).hex()),
        content: Some(FileBlob {
            blob_type: Some(BlobType::File.into()),
            file_size: i64::try_from(content.len()).ok(),
            content: Some(content.to_owned().into_bytes().into()),
            ..FileBlob::default()
        }),
    }
}
