//! What requests are made of, ready before anything is measured.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use goma_common::{Digest, FileKey};
use goma_proto::api::exec_req::Input;
use goma_proto::api::file_blob::BlobType;
use goma_proto::api::{ExecReq, FileBlob};

use super::again::Again;
use super::blobs::Blobs;
use super::checked::Expect;
use super::template::Template;
use super::workload::{Choice, Kind};
use crate::error::Result;
use crate::http::Coding;

/// For each size, one after the other, and for each action of that size.
#[derive(Debug)]
pub(crate) enum Material {
    /// Compiles.
    Exec(Vec<Vec<Template>>),
    /// Files to put there.
    Store(Vec<Vec<Blobs>>),
    /// Files to get from there.
    Lookup(Vec<Vec<Blobs>>),
}

/// What all requests of a run have in common.
#[derive(Clone, Debug)]
pub(crate) struct Making {
    /// Part of all that is new, and of no other run.
    pub(crate) nonce: String,
    pub(crate) coding: Option<Coding>,
}

/// A request, ready to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) choice: Choice,
    /// `/e`, `/s` or `/l`.
    pub(crate) path: &'static str,
    /// The message as it goes out.
    pub(crate) packed: Bytes,
    pub(crate) expect: Expect,
    /// Bytes of files in it, or expected in its answer.
    pub(crate) contents: u64,
    /// Of an Exec: what it takes to send it again with what the server lacks.
    pub(crate) again: Option<Again>,
}

impl Material {
    /// The request that was chosen. Takes a millisecond or so for one that is not known.
    ///
    /// # Errors
    /// Only where compressors fail.
    pub(crate) fn request(&self, choice: Choice, making: &Making) -> Result<Request> {
        match self {
            Self::Exec(sizes) => {
                let template = &sizes[choice.size][choice.action];
                template.request(choice, making)
            }
            Self::Store(sizes) => {
                let blobs = &sizes[choice.size][choice.action];
                let made = match choice.kind {
                    Kind::Known => blobs.clone(),
                    _ => blobs.fresh(&format!("{} {}", making.nonce, choice.number), making)?,
                };
                let expect = Expect::Keys(made.keys);
                let (packed, contents) = (made.packed, made.contents);
                Ok(Request { choice, path: "/s", packed, expect, contents, again: None })
            }
            Self::Lookup(sizes) => {
                let blobs = sizes[choice.size][choice.action].clone();
                let expect = Expect::Files(blobs.keys);
                let (packed, contents) = (blobs.packed, blobs.contents);
                Ok(Request { choice, path: "/l", packed, expect, contents, again: None })
            }
        }
    }

    /// Every request that is known, once.
    pub(crate) fn known(&self) -> impl Iterator<Item = Choice> {
        let counts: Vec<usize> = match self {
            Self::Exec(sizes) => sizes.iter().map(Vec::len).collect(),
            Self::Store(sizes) | Self::Lookup(sizes) => sizes.iter().map(Vec::len).collect(),
        };
        counts.into_iter().enumerate().flat_map(|(size, actions)| {
            let choice = Choice { number: 0, size, action: 0, user: 0, kind: Kind::Known };
            (0..actions).map(move |action| Choice { action, ..choice })
        })
    }

    /// Roughly how large the largest request is.
    pub(crate) fn largest(&self) -> usize {
        match self {
            Self::Exec(sizes) => {
                sizes.iter().flatten().map(|template| 2 * template.plain.len()).max()
            }
            Self::Store(sizes) | Self::Lookup(sizes) => {
                sizes.iter().flatten().map(|blobs| blobs.contents as usize).max()
            }
        }
        .unwrap_or(0)
    }
}

/// An input with its contents, as the stock client sends a file that was written this minute.
pub(crate) fn embedded(name: String, content: Bytes) -> Input {
    Input {
        filename: Some(name),
        hash_key: Some(FileKey::of_file(&content).hex()),
        content: Some(file_blob(content)),
    }
}

pub(crate) fn file_blob(content: Bytes) -> FileBlob {
    FileBlob {
        blob_type: Some(BlobType::File.into()),
        file_size: i64::try_from(content.len()).ok(),
        content: Some(content),
        ..Default::default()
    }
}

/// A message with nothing but these inputs. Messages that are written one after the other are read
/// as one, so what all requests have in common need not be written for each.
pub(crate) fn with_inputs(input: Vec<Input>) -> ExecReq {
    ExecReq { input, ..Default::default() }
}

/// The digest that the first answer has, once there is one.
pub(crate) type First = Arc<OnceLock<Digest>>;
