//! The values of [`crate::shards`] as messages of the shard contract, and back.
//!
//! A conversion to a message never fails. One back fails with `DataLoss`: the bytes were written by
//! another release, or are damaged.

use goma_proto::reapi::ActionResult;
use goma_proto::shard as proto;
use goma_proto::shard::file_entry::Kind;
use goma_proto::shard::outcome::End;
use prost::Message;

use crate::digest::Digest;
use crate::entry::{FileEntry, View};
use crate::error::{Code, Error, Result};
use crate::file_key::FileKey;
use crate::reapi::Executed;
use crate::shard_status::ShardStatus;

/// The header of a call, 16 hexadecimal digits, that tells whose facts it is about; without it those
/// that all have in common.
pub const TENANT: &str = "goma-tenant";
/// Contents from this size on go by `Upload`, in bytes: beside them a message of gRPC's default
/// bound of 4 MiB still has room for what is small.
pub const LARGE: u64 = 1 << 20;

fn damaged(what: &str) -> Error {
    Error::new(Code::DataLoss, format!("{what} of the shard contract cannot be read"))
}

impl From<Digest> for proto::Digest {
    fn from(digest: Digest) -> Self {
        Self {
            hash: digest.hash.to_vec().into(),
            size_bytes: i64::try_from(digest.size).unwrap_or(i64::MAX),
        }
    }
}

impl TryFrom<&proto::Digest> for Digest {
    type Error = Error;

    fn try_from(message: &proto::Digest) -> Result<Self> {
        let hash = message.hash.as_ref().try_into().map_err(|_| damaged("a digest"))?;
        let size = u64::try_from(message.size_bytes).map_err(|_| damaged("a digest"))?;
        Ok(Self { hash, size })
    }
}

/// Reads a digest that must be there.
///
/// # Errors
/// `DataLoss` when there is none, or it is damaged.
pub fn digest(message: Option<&proto::Digest>) -> Result<Digest> {
    message.ok_or_else(|| damaged("a digest"))?.try_into()
}

/// Reads a file key.
///
/// # Errors
/// `DataLoss` when it is none.
pub fn file_key(bytes: &[u8]) -> Result<FileKey> {
    bytes.try_into().map(FileKey).map_err(|_| damaged("a file key"))
}

impl From<&FileEntry> for proto::FileEntry {
    fn from(entry: &FileEntry) -> Self {
        match entry {
            FileEntry::File(digest) => Self {
                kind: Kind::File.into(),
                digest: Some((*digest).into()),
                ..Default::default()
            },
            FileEntry::Chunk { view, offset } => Self {
                kind: Kind::Chunk.into(),
                digest: Some(view.digest.into()),
                offset: view.offset,
                length: view.length,
                chunk_offset: *offset,
                ..Default::default()
            },
            FileEntry::Manifest { size, chunks, whole } => Self {
                kind: Kind::Manifest.into(),
                digest: whole.map(Into::into),
                length: *size,
                chunk_key: chunks.iter().map(|key| key.0.to_vec().into()).collect(),
                ..Default::default()
            },
        }
    }
}

impl TryFrom<&proto::FileEntry> for FileEntry {
    type Error = Error;

    fn try_from(message: &proto::FileEntry) -> Result<Self> {
        let told = message.digest.as_ref();
        match message.kind() {
            Kind::File => Ok(Self::File(digest(told)?)),
            Kind::Chunk => {
                let (digest, offset, length) = (digest(told)?, message.offset, message.length);
                let is_within = offset.checked_add(length).is_some_and(|end| end <= digest.size);
                if !is_within {
                    return Err(damaged("a piece of a file"));
                }
                let view = View { digest, offset, length };
                Ok(Self::Chunk { view, offset: message.chunk_offset })
            }
            Kind::Manifest => {
                let chunks: Result<Vec<FileKey>> =
                    message.chunk_key.iter().map(|key| file_key(key)).collect();
                let whole = told.map(Digest::try_from).transpose()?;
                Ok(Self::Manifest { size: message.length, chunks: chunks?.into(), whole })
            }
            Kind::Unspecified => Err(damaged("a file entry")),
        }
    }
}

/// Spells how an action ended.
#[must_use]
pub fn outcome_message(outcome: &Result<Executed>) -> proto::Outcome {
    match outcome {
        Ok(executed) => proto::Outcome {
            end: Some(End::Result(executed.result.encode_to_vec().into())),
            cached: executed.cached,
        },
        Err(error) => proto::Outcome {
            end: Some(End::Failure(proto::Failure {
                code: error.code.grpc().into(),
                message: error.message.clone(),
                missing: error.missing.iter().map(|digest| (*digest).into()).collect(),
            })),
            cached: false,
        },
    }
}

/// Reads how an action ended.
///
/// # Errors
/// The outer one when the message is damaged; the inner one is the action's.
pub fn outcome(message: proto::Outcome) -> Result<Result<Executed>> {
    match message.end {
        Some(End::Result(bytes)) => {
            let result = ActionResult::decode(bytes).map_err(|_| damaged("an action result"))?;
            Ok(Ok(Executed { result, cached: message.cached }))
        }
        Some(End::Failure(failure)) => {
            let missing: Result<Vec<Digest>> =
                failure.missing.iter().map(Digest::try_from).collect();
            let code = tonic::Code::from(failure.code).into();
            Ok(Err(Error { missing: missing?, ..Error::new(code, failure.message) }))
        }
        None => Err(damaged("an outcome")),
    }
}

/// How a shard says that it is; its name and weight are known from elsewhere.
#[must_use]
pub fn status(status: proto::StatusResponse) -> ShardStatus {
    ShardStatus {
        up: true,
        facts: status.facts,
        facts_trouble: Some(status.facts_trouble).filter(|why| !why.is_empty()),
        uptime: status.uptime_seconds,
        breaker_open: status.breaker_open,
        counts: status.count.into_iter().collect(),
        ..ShardStatus::default()
    }
}

/// How a shard is, for the wire.
#[must_use]
pub fn status_message(status: ShardStatus) -> proto::StatusResponse {
    proto::StatusResponse {
        facts: status.facts,
        uptime_seconds: status.uptime,
        breaker_open: status.breaker_open,
        count: status.counts.into_iter().collect(),
        facts_trouble: status.facts_trouble.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_entry_comes_back_as_it_was() {
        let digest = Digest::of(b"abc");
        let chunks: [FileKey; 2] = [FileKey([1; 32]), FileKey([2; 32])];
        for entry in [
            FileEntry::File(digest),
            FileEntry::Chunk { view: View { digest, offset: 1, length: 2 }, offset: 1 << 40 },
            FileEntry::Manifest { size: 5 << 20, chunks: chunks.into(), whole: None },
            FileEntry::Manifest { size: 5 << 20, chunks: chunks.into(), whole: Some(digest) },
        ] {
            let message = proto::FileEntry::from(&entry);
            assert_eq!(FileEntry::try_from(&message).expect("reads"), entry);
        }
        assert!(FileEntry::try_from(&proto::FileEntry::default()).is_err());
    }

    #[test]
    fn a_piece_lies_within_its_blob() {
        let digest = Digest::of(b"abc");
        let read = |offset, length| {
            let entry = FileEntry::Chunk { view: View { digest, offset, length }, offset: 0 };
            FileEntry::try_from(&proto::FileEntry::from(&entry)).is_ok()
        };
        assert!(read(0, 3) && read(3, 0) && read(1, 2));
        assert!(!read(0, 4) && !read(4, 0) && !read(2, 2) && !read(2, u64::MAX));
    }

    #[test]
    fn an_outcome_comes_back_as_it_was() {
        let result = ActionResult { exit_code: 3, ..Default::default() };
        let ran = Ok(Executed { result: result.clone(), cached: true });
        let back = outcome(outcome_message(&ran)).expect("reads").expect("ran");
        assert_eq!((back.result, back.cached), (result, true));

        let missing = vec![Digest::of(b"x")];
        let failed = Error { missing, ..Error::new(Code::MissingBlobs, "gone") };
        let back =
            outcome(outcome_message(&Err(failed.clone()))).expect("reads").expect_err("failed");
        assert_eq!((back.code, back.message), (failed.code, failed.message));
        assert_eq!(back.missing, failed.missing);
        assert!(outcome(proto::Outcome::default()).is_err());
    }
}
