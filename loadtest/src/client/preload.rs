//! Puts files on a server before any compile needs them: only what it does not have.
//!
//! A Goma server has no question for that, but it names what an Exec lacks. So each batch of files is
//! the inputs of an Exec that wants cached results alone, and whatever is named is stored, until the
//! only one named is an input that nobody can have: without it an answer that names nothing could also
//! be one that never looked.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use futures::stream::{self, StreamExt, TryStreamExt};
use goma_common::FileKey;
use goma_proto::api::exec_req::{CachePolicy, Input};
use goma_proto::api::file_blob::BlobType;
use goma_proto::api::{
    CommandSpec, ExecReq, ExecResp, FileBlob, RequesterInfo, StoreFileReq, StoreFileResp,
    ToolchainSpec,
};

use super::blocking::blocking;
use super::files::{Hashed, Source, hash_contents};
use super::inputs::manifest;
use super::process::{Client, Process};
use super::store::store;
use crate::error::{Error, Result};
use crate::http::Traffic;

/// Files in one question.
const BATCH: usize = 200;
/// Questions under way at once.
const OVERLAP: usize = 4;
/// Contents in one StoreFile, in bytes; more are begun with another.
const STORE_BYTES: usize = 8 << 20;
/// Questions about one batch. A server names half of what it lacks, or a hundred at a time.
const MAX_ROUNDS: usize = 40;
/// What nobody has.
const NOBODYS: &str = "/goma-preload/nobody-has-this";

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Preloaded {
    /// Files that were asked about.
    pub files: usize,
    /// Those of them that the server lacked, and has now.
    pub sent: usize,
    /// Bytes in those.
    pub sent_bytes: u64,
}

impl Client {
    /// Puts these files, by absolute names, in place. `told` hears of each batch how many files it had.
    ///
    /// # Errors
    /// The first file that cannot be read, a call that failed, or an answer that shows that the server did
    /// not look.
    pub async fn preload(
        &self,
        files: Vec<PathBuf>,
        told: impl Fn(usize) + Sync,
    ) -> Result<Preloaded> {
        let process = self.process();
        let batches = files.chunks(BATCH).map(<[PathBuf]>::to_vec).zip(0..);
        stream::iter(batches)
            .map(|(batch, number)| async move { one_batch(process, batch, number).await })
            .buffer_unordered(OVERLAP)
            .try_fold(Preloaded::default(), async |sum, batch| {
                told(batch.files);
                Ok(Preloaded {
                    files: sum.files + batch.files,
                    sent: sum.sent + batch.sent,
                    sent_bytes: sum.sent_bytes + batch.sent_bytes,
                })
            })
            .await
    }
}

async fn one_batch(process: &Process, batch: Vec<PathBuf>, number: u64) -> Result<Preloaded> {
    let requester = process.identity.requester(number, 0);
    let mut preloaded = Preloaded { files: batch.len(), ..Preloaded::default() };
    let files = blocking(move || batch.into_iter().map(hashed).collect::<Result<Vec<_>>>()).await?;
    let files: HashMap<String, (Source, Hashed)> = files.into_iter().collect();
    let mut sent = HashSet::new();
    let traffic = Traffic::default();
    for _ in 0..MAX_ROUNDS {
        let request = question(&files, &sent, requester.clone());
        let answer: ExecResp = process.transport.call("/e", &request, &traffic).await?;
        let lacking: Vec<&String> =
            answer.missing_input.iter().filter(|name| *name != NOBODYS).collect();
        if answer.missing_input.is_empty() {
            return Err(Error::Answer(format!(
                "it did not look at the files: {}",
                answer.error_message.join("; ")
            )));
        }
        if lacking.is_empty() {
            return Ok(preloaded);
        }
        for name in &lacking {
            let Some((_, hashed)) = files.get(*name) else {
                return Err(Error::Answer(format!("{name:?} is missing, and was not asked about")));
            };
            if sent.insert((*name).clone()) {
                preloaded.sent += 1;
                preloaded.sent_bytes += hashed.size;
            }
        }
        put(process, &files, &lacking, &requester, &traffic).await?;
    }
    Err(Error::Answer("it goes on naming files that it was sent".to_owned()))
}

fn hashed(path: PathBuf) -> Result<(String, (Source, Hashed))> {
    let Some(name) = path.to_str().map(ToOwned::to_owned) else {
        let reason = std::io::Error::other("its name is not UTF-8, which Goma's messages need");
        return Err(Error::file(&path, reason));
    };
    let source = Source::Disk(path);
    let hashed = hash_contents(&source.read()?);
    Ok((name, (source, hashed)))
}

/// An Exec with these inputs. Of a large file that was sent its list of pieces goes along.
fn question(
    files: &HashMap<String, (Source, Hashed)>,
    sent: &HashSet<String>,
    requester: RequesterInfo,
) -> ExecReq {
    let input = |name: &str, key: FileKey, content| Input {
        filename: Some(name.to_owned()),
        hash_key: Some(key.hex()),
        content,
    };
    let mut inputs: Vec<Input> = files
        .iter()
        .map(|(name, (_, hashed))| {
            let large = !hashed.chunks.is_empty() && sent.contains(name);
            input(name, hashed.key, large.then(|| manifest(hashed)))
        })
        .collect();
    let nonce = format!("{}{}", requester.compiler_proxy_id(), fastrand::u128(..));
    inputs.push(input(NOBODYS, FileKey::of_file(nonce.as_bytes()), None));
    inputs.sort_unstable_by(|one, other| one.filename.cmp(&other.filename));
    // Any compiler will do: nothing is compiled.
    let compiler = "/usr/bin/gcc".to_owned();
    let hash = "0".repeat(64);
    ExecReq {
        command_spec: Some(CommandSpec {
            name: Some("gcc".to_owned()),
            binary_hash: Some(hash.clone().into()),
            local_compiler_path: Some(compiler.clone()),
            ..CommandSpec::default()
        }),
        arg: ["gcc", "-c", NOBODYS].map(ToOwned::to_owned).to_vec(),
        cwd: Some("/goma-preload".to_owned()),
        input: inputs,
        requester_info: Some(requester),
        cache_policy: Some(CachePolicy::LookupOnly.into()),
        toolchain_included: Some(true),
        toolchain_specs: vec![ToolchainSpec {
            path: Some(compiler),
            hash: Some(hash),
            size: Some(1),
            is_executable: Some(true),
            symlink_path: None,
        }],
        ..ExecReq::default()
    }
}

async fn put(
    process: &Process,
    files: &HashMap<String, (Source, Hashed)>,
    lacking: &[&String],
    requester: &RequesterInfo,
    traffic: &Traffic,
) -> Result<()> {
    let mut small = Vec::new();
    let mut bytes = 0;
    let lacking = lacking.iter().filter_map(|name| files.get(*name));
    for (source, hashed) in lacking {
        if !hashed.chunks.is_empty() {
            store(&process.transport, requester, source, hashed, traffic).await?;
            continue;
        }
        let read = source.clone();
        let content = blocking(move || read.read()).await?;
        bytes += content.len();
        small.push(FileBlob {
            blob_type: Some(BlobType::File.into()),
            file_size: i64::try_from(content.len()).ok(),
            content: Some(content),
            ..FileBlob::default()
        });
        if bytes >= STORE_BYTES {
            put_small(process, std::mem::take(&mut small), requester, traffic).await?;
            bytes = 0;
        }
    }
    put_small(process, small, requester, traffic).await
}

async fn put_small(
    process: &Process,
    blob: Vec<FileBlob>,
    requester: &RequesterInfo,
    traffic: &Traffic,
) -> Result<()> {
    if blob.is_empty() {
        return Ok(());
    }
    let count = blob.len();
    let request = StoreFileReq { blob, requester_info: Some(requester.clone()) };
    let answer: StoreFileResp = process.transport.call("/s", &request, traffic).await?;
    let stored = answer.hash_key.iter().filter(|key| !key.is_empty()).count();
    match stored == count {
        true => Ok(()),
        false => Err(Error::Answer(format!("{stored} of {count} files were stored"))),
    }
}
