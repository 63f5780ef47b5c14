//! An ActionResult as the outcome of a compile.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use goma_common::file_key::CHUNK_SIZE;
use goma_common::reapi::{fetch_all, fetch_start};
use goma_common::shards::Source;
use goma_common::{Code, Deadline, Digest, Error, Result};
use goma_proto::reapi::{self, ActionResult};

use super::Exec;
use super::action::Plan;
use super::directories::{self, Directories};
use super::text::{self, MAX_TEXT};
use crate::outcome::{Contents, Outcome, OutputFile};
use crate::output_views;

/// All outputs inside an answer together may be so many times as large as each; the rest goes in
/// pieces, or by the keys of files.
const INLINE_FACTOR: u64 = 4;

/// Reads what the client is to get.
///
/// # Errors
/// `NotFound` when the CAS has lost an output, or as the backend said.
pub(super) async fn collect(
    exec: &Exec,
    plan: &Plan,
    result: ActionResult,
    cached: bool,
    source: Source,
    deadline: Deadline,
) -> Result<Outcome> {
    let failed = result.exit_code != 0;
    let mut expected = expected_files(plan, result.output_files);
    let mut dirs = Directories::default();
    if failed {
        // The client drops them.
        expected.clear();
    } else if !plan.output_dirs.is_empty() {
        let made = result.output_directories;
        dirs = directories::files(&exec.backend, &plan.output_dirs, made, deadline).await?;
        expected.append(&mut dirs.files);
    }
    let limit = exec.config.max_inline_output;
    let (mut wanted, mut contents) = (Vec::new(), HashMap::new());
    let most = INLINE_FACTOR.saturating_mul(limit);
    let mut room = most;
    let (mut in_pieces, mut by_key) = (HashSet::new(), HashSet::new());
    for (name, file) in &mut expected {
        let digest = digest_of(file)?;
        // What is no larger than a piece cannot be told in pieces.
        if digest.size > limit.min(room).max(CHUNK_SIZE) {
            in_pieces.insert(digest);
            continue;
        }
        if digest.size > room && !plan.told.edits(name) {
            by_key.insert(digest);
            continue;
        }
        room = room.saturating_sub(digest.size);
        match std::mem::take(&mut file.contents) {
            empty if empty.is_empty() => wanted.push(digest),
            inlined => drop(contents.insert(digest, verified(digest, inlined.into())?)),
        }
    }
    let stdout = stream_digest(&result.stdout_raw, result.stdout_digest.as_ref())?;
    let stderr = stream_digest(&result.stderr_raw, result.stderr_digest.as_ref())?;
    // Texts that are kept whole share the batch.
    wanted.extend([stdout, stderr].into_iter().flatten().filter(|text| text.size <= MAX_TEXT));
    let text = |digest: Option<Digest>| digest.map_or(0, |text| text.size.min(MAX_TEXT));
    let told = (most - room) + text(stdout) + text(stderr);
    let told = exec.common.answers.room(source, told).await?;
    contents.extend(exec.common.kept.get(&wanted));
    wanted.retain(|digest| !digest.is_empty() && !contents.contains_key(digest));
    if !wanted.is_empty() {
        contents.extend(fetch_all(&exec.backend, &wanted, deadline).await?);
    }
    if !failed {
        exec.common.kept.keep(plan.action, &contents);
    }
    let get = |digest: Digest| contents.get(&digest).cloned().unwrap_or_default();

    let mut leaking = None;
    let mut outputs = Vec::with_capacity(expected.len());
    for (name, file) in expected {
        let digest = digest_of(&file)?;
        if by_key.contains(&digest) {
            let contents = match file.contents.is_empty() {
                true => fetch_all(&exec.backend, &[digest], deadline).await?.remove(&digest),
                false => Some(verified(digest, file.contents.into())?),
            };
            let contents = contents.unwrap_or_default();
            if plan.told.leaks(&name, &contents) {
                leaking = Some(name.clone());
            }
            let key = output_views::keep(&exec.files, digest, &contents, deadline).await?;
            let contents = Contents::Kept { size: digest.size, key };
            outputs.push(OutputFile { name, contents, executable: file.is_executable });
            continue;
        }
        let contents = if in_pieces.contains(&digest) {
            if plan.told.edits(&name) {
                leaking = Some(name.clone());
            }
            let cut = output_views::of_blob(&exec.files, &exec.backend, digest, deadline).await?;
            if cut.tells_of_worker && plan.told.is_looked_at(&name) {
                leaking = Some(name.clone());
            }
            Contents::Pieces { size: digest.size, chunks: cut.chunks }
        } else {
            let made = get(digest);
            output_views::remember_inline(&exec.files, digest, &made, deadline).await?;
            let told = plan.told.output(&name, made);
            if plan.told.leaks(&name, &told) {
                leaking = Some(name.clone());
            }
            let digest = match plan.told.edits(&name) {
                true => Digest::of(&told),
                false => digest,
            };
            Contents::Inline { digest, contents: told }
        };
        outputs.push(OutputFile { name, contents, executable: file.is_executable });
    }
    let text = async |name, raw: Vec<u8>, digest: Option<Digest>| {
        let size = digest.map_or(raw.len() as u64, |digest| digest.size);
        let text = match digest {
            None => raw.into(),
            Some(long) if size > MAX_TEXT => {
                let cas = exec.backend.cas.as_ref();
                fetch_start(cas, long, MAX_TEXT, deadline).await?
            }
            Some(digest) => get(digest),
        };
        Ok::<_, Error>(plan.told.text(text::cut(name, text, size)))
    };
    let (stdout, stderr) = (
        text("stdout", result.stdout_raw, stdout).await?,
        text("stderr", result.stderr_raw, stderr).await?,
    );
    let made = |name: &&String| outputs.iter().any(|output| output.name == **name);
    let lacking = plan.outputs.values().find(|name| !made(name));
    let lacking = lacking.or_else(|| plan.output_dirs.values().find(|name| !dirs.is_whole(name)));
    let lacking = lacking.cloned();
    let metadata = result.execution_metadata.unwrap_or_default();
    Ok(Outcome {
        room: told,
        exit_status: result.exit_code,
        stdout,
        stderr,
        lacking,
        leaking,
        outputs,
        cached,
        paths: plan.paths,
        action: plan.action,
        queued: metadata.queued_timestamp,
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
