//! What a shard reads of others, for the targets of `fuzz/`: a plain function a decoder, which panics
//! where what must always hold does not. Built by cargo-fuzz alone.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use goma_common::reapi::Backend;
use goma_common::{FileEntry, shard_wire};
use goma_proto::shard as proto;
use goma_proto::shard::shard_server::Shard;
use prost::Message;
use tonic::{Code, Request, Status};

use crate::facts::{Memory, encoding};
use crate::local::{LocalShard, ShardConfig};
use crate::service::Service;

/// What a store of facts answers: an entry that can be read comes back as it was.
pub fn fact(bytes: &[u8]) {
    let Ok(entry) = encoding::decode(bytes) else { return };
    if let FileEntry::Chunk { view, .. } = &entry {
        let end = view.offset.checked_add(view.length);
        assert!(end.is_some_and(|end| end <= view.digest.size), "{entry:?} is no part of its blob");
    }
    assert_eq!(encoding::decode(&encoding::encode(&entry)).ok(), Some(entry));
}

/// How an action ended, as a gateway tells another through a shard: it comes back as it was.
pub fn outcome(bytes: &[u8]) {
    let Ok(message) = proto::Outcome::decode(bytes) else { return };
    let Ok(outcome) = shard_wire::outcome(message) else { return };
    let back = shard_wire::outcome(shard_wire::outcome_message(&outcome)).expect("as before");
    match (outcome, back) {
        (Ok(one), Ok(other)) => {
            assert_eq!((one.result, one.cached), (other.result, other.cached));
        }
        (Err(one), Err(other)) => {
            assert_eq!((one.message, one.missing), (other.message, other.missing));
            assert_eq!(one.code, other.code);
        }
        _ => panic!("a failure is no result"),
    }
}

/// Calls of a gateway, one after the other: each a byte that says which, two of its length, and its
/// message. Whatever they are, the shard answers the next, and what it was told it tells again.
pub async fn calls(bytes: &[u8], backend: Backend) {
    let config = ShardConfig {
        memory_entries: 100,
        presence_life: Duration::from_secs(3600),
        max_upload_bytes: 1 << 20,
        contents_memory: 1 << 16,
        contents_disk: None,
    };
    let shard = LocalShard::start(config, Arc::new(Memory::new(100)), backend).expect("it starts");
    let service = Service::new(proto::DescribeResponse::default(), Arc::new(shard), 1 << 20);
    let mut bytes = Bytes::copy_from_slice(bytes);
    let mut told = HashMap::new();
    for _ in 0..16 {
        if bytes.remaining() < 3 {
            return;
        }
        let (which, length) = (bytes.get_u8(), usize::from(bytes.get_u16()));
        let message = bytes.split_to(length.min(bytes.len()));
        let answered = call(&service, which, message, &mut told).await;
        if let Err(status) = answered {
            let known = [Code::InvalidArgument, Code::Unavailable, Code::DeadlineExceeded];
            assert!(known.contains(&status.code()), "{status:?}");
        }
    }
}

/// Entries by their keys, as far as they stand for contents by themselves.
type Told = HashMap<Bytes, proto::FileEntry>;

async fn call(service: &Service, which: u8, message: Bytes, told: &mut Told) -> Result<(), Status> {
    // The upper bits say how long the caller waits.
    let timeout = ["1S", "20H", "99999999999999999999H", "5", "x"][usize::from(which / 8) % 5];
    match which % 8 {
        0 | 1 => {
            let Ok(request) = proto::RecordRequest::decode(message) else { return Ok(()) };
            let files = request.file.clone();
            service.record(with(timeout, request)).await?;
            for file in files {
                match file.entry {
                    Some(entry) if entry.kind() != proto::file_entry::Kind::Manifest => {
                        told.insert(file.key, entry);
                    }
                    _ => drop(told.remove(&file.key)),
                }
            }
        }
        2 | 3 => {
            let Ok(mut request) = proto::ResolveRequest::decode(message) else { return Ok(()) };
            request.key.extend(told.keys().cloned());
            let keys = request.key.clone();
            let answer = service.resolve(with(timeout, request)).await?.into_inner();
            assert_eq!(answer.resolution.len(), keys.len());
            for (key, resolution) in keys.iter().zip(answer.resolution) {
                let Some(entry) = told.get(key) else { continue };
                let read = |entry: &proto::FileEntry| FileEntry::try_from(entry).ok();
                assert_eq!(resolution.entry.as_ref().and_then(read), read(entry), "forgotten");
            }
        }
        4 | 5 => {
            let Ok(request) = proto::EnsureRequest::decode(message) else { return Ok(()) };
            let asked: Vec<_> = request.blob.iter().filter_map(|it| it.digest.clone()).collect();
            let missing = service.ensure(with(timeout, request)).await?.into_inner().missing;
            assert!(missing.iter().all(|digest| asked.contains(digest)));
        }
        6 => {
            let Ok(request) = proto::ForgetRequest::decode(message) else { return Ok(()) };
            service.forget(with(timeout, request)).await?;
        }
        _ => {
            let Ok(request) = proto::LoadRequest::decode(message) else { return Ok(()) };
            service.load(with(timeout, request)).await.map(drop)?;
        }
    }
    Ok(())
}

fn with<T>(timeout: &'static str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("grpc-timeout", timeout.parse().expect("ASCII"));
    request
}

/// The header by which gRPC tells how long a caller waits.
pub fn timeout(text: &str) {
    let mut metadata = tonic::metadata::MetadataMap::new();
    let Ok(value) = text.parse() else { return };
    metadata.insert("grpc-timeout", value);
    let left = crate::service::deadline(&metadata).remaining();
    assert!(left <= Duration::from_secs(600), "{left:?}");
}
