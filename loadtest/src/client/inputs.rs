//! The inputs of one Exec: which go by key, which with contents, which through `/s` first.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use goma_common::FileKey;
use goma_common::file_key::CHUNK_SIZE;
use goma_proto::api::FileBlob;
use goma_proto::api::exec_req::Input;
use goma_proto::api::file_blob::BlobType;
use tokio::time::Instant;

use super::embed::{self, EMBED_LIMIT, Sending, Situation};
use super::files::{self, Facts, Hashed, Source};
use super::job::Job;
use super::process::Process;
use crate::error::Result;
use crate::lock::lock;

/// Contents in one Exec of a polite client that was asked for files.
const POLITE_LIMIT: usize = 16 * EMBED_LIMIT;

/// What the last answer lacked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Missing {
    pub(crate) names: HashSet<String>,
    /// When the request that lacked it was sent.
    pub(crate) asked_at: Option<Instant>,
}

/// How one input will go out.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) name: String,
    pub(crate) source: Source,
    pub(crate) hashed: Arc<Hashed>,
    pub(crate) sending: Sending,
}

/// Decides for every input of `job`. Reads files.
pub(crate) fn plan(process: &Process, job: &Job, missing: &Missing) -> Result<Vec<Plan>> {
    let embed_all = process.config.stock && process.trap.is_sprung();
    let mut plans = Vec::with_capacity(job.inputs.len());
    for (name, source) in &job.inputs {
        let facts = process.files.look(source)?;
        let young = embed_all || facts.age.is_some_and(|age| age < process.config.young);
        let is_missing = missing.names.contains(name);
        let sending = embed::decide(&situation(name, &facts, young, is_missing, missing.asked_at));
        // An old file that was never asked for is taken for known from its first mention on.
        if !young && sending != Sending::Store {
            process.files.accept(source, facts.hashed.key, None);
        }
        plans.push(Plan {
            name: name.clone(),
            source: source.clone(),
            hashed: facts.hashed,
            sending,
        });
    }
    Ok(plans)
}

fn situation(
    name: &str,
    facts: &Facts,
    young: bool,
    missing: bool,
    asked_at: Option<Instant>,
) -> Situation {
    Situation {
        size: facts.hashed.size,
        response_file: name.ends_with(".rsp"),
        young,
        accepted: facts.accepted,
        key_known: facts.key_known,
        changed: facts.changed,
        missing,
        sent_since: facts.sent_at.zip(asked_at).is_some_and(|(sent, asked)| sent >= asked),
    }
}

/// The messages, contents within them where planned and not cut. Reads files.
pub(crate) fn fill(process: &Process, plans: &[Plan], missing: &Missing) -> Result<Vec<Input>> {
    let mut inputs = plans.iter().map(input).collect::<Result<Vec<Input>>>()?;
    let polite_and_asked = !process.config.stock && !missing.names.is_empty();
    let limit = if polite_and_asked { POLITE_LIMIT } else { EMBED_LIMIT };
    embed::cut(&mut inputs, limit, &mut lock(&process.random));
    Ok(inputs)
}

fn input(plan: &Plan) -> Result<Input> {
    let with = |key: &FileKey, content| Input {
        filename: Some(plan.name.clone()),
        hash_key: Some(key.hex()),
        content,
    };
    match plan.sending {
        Sending::Key => Ok(with(&plan.hashed.key, None)),
        Sending::Embed if plan.hashed.size <= CHUNK_SIZE => {
            let contents = plan.source.read()?;
            // The file may have changed since it was planned; what is sent must agree with itself.
            let hashed = files::hash_contents(&contents);
            if hashed.chunks.is_empty() {
                return Ok(with(&hashed.key, Some(file(contents))));
            }
            Ok(with(&hashed.key, Some(manifest(&hashed))))
        }
        Sending::Embed | Sending::Store => Ok(with(&plan.hashed.key, Some(manifest(&plan.hashed)))),
    }
}

fn file(contents: Bytes) -> FileBlob {
    FileBlob {
        blob_type: Some(BlobType::File.into()),
        file_size: i64::try_from(contents.len()).ok(),
        content: Some(contents),
        ..Default::default()
    }
}

pub(super) fn manifest(hashed: &Hashed) -> FileBlob {
    FileBlob {
        blob_type: Some(BlobType::FileMeta.into()),
        file_size: i64::try_from(hashed.size).ok(),
        hash_key: hashed.chunks.iter().map(FileKey::hex).collect(),
        ..Default::default()
    }
}
