//! File keys to digests. Contents that came along are hashed, stored and mapped before any answer,
//! since the client takes what it embedded as kept.

use goma_common::{Deadline, Digest, FileEntry};

use super::Exec;
use super::job::{Input, Job};
use super::toolchain::Toolchain;
use crate::file_blob::{VerifiedBlob, verify};
use crate::paths::AbsPath;
use crate::refusal::{Refusal, impossible};

/// Bytes that are hashed on the spot; more goes to the threads for blocking work, so that other
/// requests are not held up.
const HASH_INLINE: usize = 64 << 10;

/// The inputs that a worker needs of the client, with their contents.
pub(crate) struct Inputs<'a> {
    pub(crate) files: Vec<(&'a Input, Digest)>,
}

/// Stores what came along and finds the rest.
///
/// # Errors
/// [`Refusal::Missing`] with the names of files that nobody knows; [`Refusal::Impossible`] for
/// contents that are not what their key says.
pub(super) async fn gather<'a>(
    exec: &Exec,
    job: &'a Job,
    toolchain: &Toolchain,
    deadline: Deadline,
) -> Result<Inputs<'a>, Refusal> {
    store_embedded(exec, job, deadline).await?;
    // A system compiler is compared with the worker's by its hash; nobody needs its contents.
    let compiler = toolchain.system_files();
    let workers = |path: &AbsPath| path.is_system() && compiler.contains(path.as_str());
    let mut needed: Vec<&Input> = Vec::with_capacity(job.inputs.len());
    needed.extend(job.inputs.iter().filter(|input| !workers(&input.path)));
    let keys: Vec<_> = needed.iter().map(|input| input.key).collect();
    let entries = exec.files.resolve(&keys, deadline).await?;
    let mut digests: Vec<Option<Digest>> = Vec::with_capacity(entries.len());
    for (input, entry) in needed.iter().zip(entries) {
        if matches!(entry, Some(FileEntry::Chunk { .. })) {
            return impossible(format!("the key of input {:?} is that of a chunk", input.name));
        }
        digests.push(entry.and_then(|entry| entry.contents()));
    }
    find_at_hand(exec, &needed, &mut digests).await;
    if digests.iter().any(Option::is_none) {
        let unknown = needed.iter().zip(&digests).filter(|(_, digest)| digest.is_none());
        return Err(Refusal::Missing(names(exec, job, unknown.map(|(input, _)| *input))));
    }
    let mut files = Vec::with_capacity(needed.len());
    files.extend(needed.into_iter().zip(digests.into_iter().flatten()));
    Ok(Inputs { files })
}

/// The names of inputs that are to be sent, as many at a time as the stock client bears.
///
/// Told that more than half is missing, it would embed a random part of everything from then on.
/// The names are the same for the same request, so that what it sends is what is waited for.
pub(super) fn names<'a>(
    exec: &Exec,
    job: &Job,
    inputs: impl Iterator<Item = &'a Input>,
) -> Vec<String> {
    let mut names: Vec<&str> = inputs.map(|input| &*input.name).collect();
    names.sort_unstable();
    names.dedup();
    let mut limit = (job.inputs.len() / 2).max(1);
    if exec.config.missing_input_limit > 0 {
        limit = limit.min(exec.config.missing_input_limit);
    }
    names.truncate(limit);
    names.into_iter().map(ToOwned::to_owned).collect()
}

async fn store_embedded(exec: &Exec, job: &Job, deadline: Deadline) -> Result<(), Refusal> {
    let embedded: Vec<_> = job
        .inputs
        .iter()
        .filter_map(|input| Some((input.name.clone(), input.key, input.contents.clone()?)))
        .collect();
    if embedded.is_empty() {
        return Ok(());
    }
    let bytes: usize =
        embedded.iter().map(|(.., blob)| blob.content.as_ref().map_or(0, |c| c.len())).sum();
    let hash = move || {
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        for (name, key, blob) in embedded {
            match verify(&blob) {
                Ok(verified) if verified.key == key => good.push(verified),
                Ok(_) => bad.push(format!("contents of input {name:?} do not match its hash_key")),
                Err(why) => bad.push(format!("contents of input {name:?}: {why}")),
            }
        }
        (good, bad)
    };
    let (good, bad): (Vec<VerifiedBlob>, Vec<String>) = if bytes <= HASH_INLINE {
        hash()
    } else {
        tokio::task::spawn_blocking(hash).await.map_err(|error| {
            goma_common::Error::new(goma_common::Code::Internal, error.to_string())
        })?
    };
    // What is good is kept also when something else is not: the client takes it as kept.
    exec.files.store(good, job.source, deadline).await?;
    bad.iter().for_each(|why| exec.files.mismatch(why));
    bad.into_iter().next().map_or(Ok(()), impossible)
}

/// System files that are at hand on this machine need not be sent.
async fn find_at_hand(exec: &Exec, needed: &[&Input], digests: &mut [Option<Digest>]) {
    let unknown: Vec<usize> = (0..digests.len())
        .filter(|&at| digests[at].is_none() && needed[at].path.is_system())
        .collect();
    if unknown.is_empty() {
        return;
    }
    let asked: Vec<_> =
        unknown.iter().map(|&at| (needed[at].path.as_str().to_owned(), needed[at].key)).collect();
    for (at, digest) in unknown.into_iter().zip(exec.worker.known(&asked).await) {
        digests[at] = digest;
    }
}
