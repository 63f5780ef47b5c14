//! Contents put into a result itself, to save the client a call for each.

use goma_common::Digest;
use goma_proto::reapi::{self, ActionResult};
use prost::Message as _;

use super::capabilities::MAX_INLINE;
use super::store::Store;

/// What a client would like to have inline.
#[derive(Clone, Default)]
pub(super) struct Inline {
    stdout: bool,
    stderr: bool,
    files: Vec<String>,
}

impl Inline {
    pub(super) fn of_lookup(request: reapi::GetActionResultRequest) -> Self {
        Self {
            stdout: request.inline_stdout,
            stderr: request.inline_stderr,
            files: request.inline_output_files,
        }
    }

    pub(super) fn of_execute(request: reapi::ExecuteRequest) -> Self {
        Self {
            stdout: request.inline_stdout,
            stderr: request.inline_stderr,
            files: request.inline_output_files,
        }
    }

    /// Puts in what fits into a message; the rest stays named by its digest.
    pub(super) fn fill(&self, store: &Store, result: &mut ActionResult) {
        let mut room = MAX_INLINE.saturating_sub(result.encoded_len());
        for file in &mut result.output_files {
            if self.files.contains(&file.path) {
                let digest = file.digest.as_ref();
                file.contents = take(store, digest, &mut room).unwrap_or_default();
            }
        }
        if self.stdout && result.stdout_raw.is_empty() {
            let digest = result.stdout_digest.as_ref();
            result.stdout_raw = take(store, digest, &mut room).unwrap_or_default();
        }
        if self.stderr && result.stderr_raw.is_empty() {
            let digest = result.stderr_digest.as_ref();
            result.stderr_raw = take(store, digest, &mut room).unwrap_or_default();
        }
    }
}

fn take(store: &Store, digest: Option<&reapi::Digest>, room: &mut usize) -> Option<Vec<u8>> {
    let digest = Digest::try_from(digest?).ok()?;
    let contents = store.read_blob(digest, *room as u64).ok()?;
    *room -= contents.len();
    Some(contents)
}
