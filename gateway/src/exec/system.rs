//! May the worker's own system files stand in for the client's? Only where they are the same bytes.

use goma_common::{Code, Deadline};

use super::Exec;
use super::execute;
use super::inputs::Inputs;
use super::job::Job;
use super::toolchain::Toolchain;
use crate::refusal::{Refusal, impossible};
use crate::worker::{Properties, Sha256};

/// What a worker must have under a path for its own files to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// A file of the compiler with this hash. No other way leads to a right result.
    Compiler(Sha256),
    /// A header with this hash; else the client's is sent.
    Header(Sha256),
    /// Nothing: a file there would be found before the client's own. Asked only of directories from
    /// which the client read nothing; in others a file of that name belongs to the same packages,
    /// and was passed over by `#include_next`.
    Nothing,
}

/// What is expected of the worker for this job. Pure.
pub(super) fn expectations(
    job: &Job,
    inputs: &Inputs<'_>,
    toolchain: &Toolchain,
) -> Vec<(String, Expected)> {
    let compiler = toolchain.system.iter();
    let mut expected: Vec<_> =
        compiler.map(|(path, hash)| (path.clone(), Expected::Compiler(*hash))).collect();
    let headers: Vec<_> = inputs.files.iter().filter(|(input, _)| input.path.is_system()).collect();
    let dirs = &job.compiler.system_include;
    let unread: Vec<bool> = dirs
        .iter()
        .map(|dir| !headers.iter().any(|(input, _)| input.path.is_within(dir)))
        .collect();
    for (input, digest) in headers {
        expected.push((input.path.as_str().to_owned(), Expected::Header(digest.hash)));
        for (at, dir) in dirs.iter().enumerate() {
            let Some(rest) = input.path.below(dir) else { continue };
            let before = dirs[..at].iter().zip(&unread).filter(|(_, unread)| **unread);
            expected.extend(before.map(|(dir, _)| (format!("{dir}/{rest}"), Expected::Nothing)));
        }
    }
    expected
}

/// Whether the worker has what is expected. A header that differs is a "no"; a compiler that differs
/// is a refusal that names it.
pub(super) async fn verify(
    exec: &Exec,
    properties: &Properties,
    expected: &[(String, Expected)],
    deadline: Deadline,
) -> Result<bool, Refusal> {
    let paths: Vec<String> = expected.iter().map(|(path, _)| path.clone()).collect();
    if paths.is_empty() {
        return Ok(true);
    }
    let hashes = match exec.worker.hashes(properties, &paths, deadline).await {
        Err(error) if error.code == Code::Unimplemented => return impossible(error.message),
        hashes => hashes.map_err(execute::refused)?,
    };
    let mut agrees = true;
    for ((path, expected), found) in expected.iter().zip(hashes) {
        match (expected, found) {
            (Expected::Compiler(hash), Some(found)) if *hash == found => {}
            (Expected::Compiler(hash), found) => return impossible(differs(path, hash, found)),
            (Expected::Header(hash), Some(found)) if *hash == found => {}
            (Expected::Nothing, None) => {}
            (_, found) => {
                if agrees {
                    tracing::info!(
                        path,
                        on_worker = found.is_some(),
                        "the worker's header is another: sending the client's"
                    );
                }
                agrees = false;
            }
        }
    }
    Ok(agrees)
}

fn differs(path: &str, hash: &Sha256, found: Option<Sha256>) -> String {
    let ours = match found {
        Some(found) => format!("the worker's has SHA-256 {}", hex::encode(found)),
        None => "the worker has none".to_owned(),
    };
    format!(
        "the client's compiler {path} has SHA-256 {}, {ours}: install the same package on the \
         workers, or name an image that has it",
        hex::encode(hash)
    )
}
