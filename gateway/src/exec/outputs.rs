//! An ActionResult as the outcome of a compile.

use std::collections::HashMap;

use bytes::Bytes;
use goma_common::reapi::fetch_all;
use goma_common::{Code, Deadline, Digest, Error, Result};
use goma_proto::reapi::{self, ActionResult};

use super::Exec;
use super::action::Plan;
use crate::outcome::{Contents, Outcome, OutputFile};
use crate::output_views;

/// Reads what the client is to get.
///
/// # Errors
/// `NotFound` when the CAS has lost an output, or as the backend said.
pub(super) async fn collect(
    exec: &Exec,
    plan: &Plan,
    result: ActionResult,
    cached: bool,
    deadline: Deadline,
) -> Result<Outcome> {
    let failed = result.exit_code != 0;
    let mut expected = expected_files(plan, result.output_files);
    if failed {
        // The client drops them.
        expected.clear();
    }
    let limit = exec.config.max_inline_output;
    let mut wanted = Vec::new();
    for (_, file) in &expected {
        let digest = digest_of(file)?;
        if file.contents.is_empty() && digest.size <= limit {
            wanted.push(digest);
        }
    }
    let stdout = stream_digest(&result.stdout_raw, result.stdout_digest.as_ref())?;
    let stderr = stream_digest(&result.stderr_raw, result.stderr_digest.as_ref())?;
    wanted.extend([stdout, stderr].into_iter().flatten());
    let contents = match wanted.iter().all(Digest::is_empty) {
        true => HashMap::new(),
        false => fetch_all(&exec.backend, &wanted, deadline).await?,
    };
    let get = |digest: Digest| contents.get(&digest).cloned().unwrap_or_default();

    let mut outputs = Vec::with_capacity(expected.len());
    for (name, file) in expected {
        let digest = digest_of(&file)?;
        let inline = match file.contents.is_empty() {
            false => Some(verified(digest, file.contents.into())?),
            true if digest.size <= limit => Some(get(digest)),
            true => None,
        };
        let contents = match inline {
            Some(inline) => {
                output_views::remember_inline(&exec.files, digest, &inline, deadline).await?;
                Contents::Inline(restored(plan, &name, inline))
            }
            None => {
                let chunks =
                    output_views::of_blob(&exec.files, &exec.backend, digest, deadline).await?;
                Contents::Pieces { size: digest.size, chunks }
            }
        };
        outputs.push(OutputFile { name, contents, executable: file.is_executable });
    }
    let text = |raw: Vec<u8>, digest: Option<Digest>| {
        let text = digest.map_or_else(|| raw.into(), get);
        restored(plan, "", text)
    };
    let made = |name: &&String| outputs.iter().any(|output| output.name == **name);
    let lacking = plan.outputs.values().find(|name| !made(name)).cloned();
    let metadata = result.execution_metadata.unwrap_or_default();
    Ok(Outcome {
        exit_status: result.exit_code,
        stdout: text(result.stdout_raw, stdout),
        stderr: text(result.stderr_raw, stderr),
        lacking,
        outputs,
        cached,
        action: plan.action,
        started: metadata.execution_start_timestamp,
        completed: metadata.execution_completed_timestamp,
    })
}

/// The files that were asked for, by the client's names; a backend's other files are none of its
/// business.
fn expected_files(plan: &Plan, files: Vec<reapi::OutputFile>) -> Vec<(String, reapi::OutputFile)> {
    files
        .into_iter()
        .filter_map(|file| Some((plan.outputs.get(&file.path)?.clone(), file)))
        .collect()
}

fn digest_of(file: &reapi::OutputFile) -> Result<Digest> {
    match &file.digest {
        Some(digest) => digest.try_into(),
        None => Err(Error::new(Code::Internal, format!("output {:?} without digest", file.path))),
    }
}

/// The digest to fetch, if a stream was not told inline.
fn stream_digest(raw: &[u8], digest: Option<&reapi::Digest>) -> Result<Option<Digest>> {
    match digest {
        Some(digest) if raw.is_empty() => {
            let digest = Digest::try_from(digest)?;
            Ok((!digest.is_empty()).then_some(digest))
        }
        _ => Ok(None),
    }
}

fn verified(digest: Digest, contents: Bytes) -> Result<Bytes> {
    if Digest::of(&contents) == digest {
        return Ok(contents);
    }
    tracing::error!(%digest, "the backend inlined other bytes than the output's digest");
    Err(Error::new(Code::DataLoss, format!("other bytes inlined than {digest}")))
}

/// Dependency files and diagnostics tell paths of the worker where the client's headers were sent.
fn restored(plan: &Plan, name: &str, contents: Bytes) -> Bytes {
    match &plan.sysroot {
        Some(sysroot) if name.is_empty() || plan.dependency_file.as_deref() == Some(name) => {
            sysroot.restore(&contents).into()
        }
        _ => contents,
    }
}
