//! Checks of CAS and ByteStream.

use bytes::Bytes;
use futures::FutureExt;
use futures::stream::iter;
use goma_common::reapi::Upload;
use goma_common::reapi::limits::{MAX_MESSAGE, PER_BLOB};
use goma_common::{Code, Digest, Result, View};
use goma_proto::bytestream::{QueryWriteStatusRequest, ReadRequest, WriteRequest};
use goma_proto::reapi::{BatchUpdateBlobsRequest, batch_update_blobs_request, compressor};

use super::visited::{Visited, ensure, fresh, not, sha256};
use super::{Need, Run};

const LARGE: usize = 9 << 20;

pub(super) const CHECKS: &[(Need, &str, Run)] = &[
    (Need::Must, "takes SHA-256", |v| takes_sha256(v).boxed()),
    (Need::Must, "tells which blobs it lacks", |v| tells_missing(v).boxed()),
    (Need::Must, "takes and gives batches", |v| batches(v).boxed()),
    (Need::Must, "takes a batch as large as it says, or as gRPC's 4 MiB", |v| {
        full_batch(v).boxed()
    }),
    (Need::Must, "takes and gives 9 MiB as streams", |v| streams(v).boxed()),
    (Need::Must, "takes a stream of what it has", |v| stream_again(v).boxed()),
    (Need::Must, "gives a blob from an offset on", |v| from_offset(v).boxed()),
    (Need::Must, "says NOT_FOUND of a blob that it lacks", |v| not_found(v).boxed()),
    (Need::Must, "keeps nothing of a stream that broke", |v| broken_stream(v).boxed()),
    (Need::May, "has the empty blob unasked", |v| empty_blob(v).boxed()),
    (Need::May, "gives a part of a blob", |v| part(v).boxed()),
    (Need::May, "refuses contents that are not their digest's", |v| verifies(v).boxed()),
    (Need::May, "tells how much of a broken stream it has", |v| write_status(v).boxed()),
    (Need::May, "tells its limit on batches", |v| tells_limit(v).boxed()),
    (Need::May, "takes and gives zstd", |v| zstd(v).boxed()),
];

async fn takes_sha256(visited: &Visited) -> Result<String> {
    let told = visited.capabilities().await?.cache_capabilities.unwrap_or_default();
    let functions = told.digest_functions;
    ensure(
        functions.is_empty() || functions.contains(&sha256()),
        format!("digest functions {functions:?}"),
    )?;
    Ok(format!("digest functions {functions:?}"))
}

async fn tells_missing(visited: &Visited) -> Result<String> {
    let ((has, contents), (lacks, _)) = (fresh(100), fresh(100));
    visited.upload(&[(has, contents)]).await?;
    let missing = visited.backend.cas.find_missing(&[lacks, has], visited.deadline()).await?;
    ensure(missing == [lacks], format!("one of two is missing, it says {}", missing.len()))?;
    Ok("of two blobs the right one".to_owned())
}

async fn batches(visited: &Visited) -> Result<String> {
    let blobs: Vec<_> = (1..50).map(|n| fresh(n * 100)).collect();
    visited.upload(&blobs).await?;
    let digests: Vec<Digest> = blobs.iter().map(|(digest, _)| *digest).collect();
    let read = visited.backend.cas.download_batch(&digests, visited.deadline()).await?;
    let read = read.into_iter().collect::<Result<Vec<Bytes>>>()?;
    ensure(read.iter().zip(&blobs).all(|(read, (_, wrote))| read == wrote), "other bytes")?;
    Ok(format!("{} blobs, the same bytes", blobs.len()))
}

async fn full_batch(visited: &Visited) -> Result<String> {
    visited.backend.health.check(visited.deadline()).await?;
    let limit = visited.backend.limits.batch_bytes();
    let each = (limit / 4 - PER_BLOB) as usize;
    let blobs: Vec<_> = (0..4).map(|_| fresh(each)).collect();
    visited.upload(&blobs).await?;
    Ok(format!("{limit} bytes"))
}

async fn streams(visited: &Visited) -> Result<String> {
    let (digest, contents) = fresh(LARGE);
    let cas = visited.backend.cas.as_ref();
    cas.upload_stream(&Upload::of(digest, contents.clone()), visited.deadline()).await?;
    ensure(visited.has(digest).await?, "it does not have what it took")?;
    let read = goma_common::reapi::fetch_view(cas, View::whole(digest), visited.deadline()).await?;
    ensure(read == contents, "other bytes")?;
    Ok("the same bytes".to_owned())
}

async fn stream_again(visited: &Visited) -> Result<String> {
    let (digest, contents) = fresh(5 << 20);
    for _ in 0..2 {
        let upload = Upload::of(digest, contents.clone());
        visited.backend.cas.upload_stream(&upload, visited.deadline()).await?;
    }
    Ok("it is content".to_owned())
}

async fn read(visited: &Visited, digest: Digest, offset: i64, limit: i64) -> Result<Vec<u8>> {
    let request = ReadRequest {
        resource_name: visited.resource(&format!("blobs/{digest}")),
        read_offset: offset,
        read_limit: limit,
    };
    let mut stream = visited.byte_stream().read(request).await?.into_inner();
    let mut contents = Vec::new();
    while let Some(piece) = stream.message().await? {
        contents.extend(piece.data);
    }
    Ok(contents)
}

async fn from_offset(visited: &Visited) -> Result<String> {
    let (digest, contents) = fresh(1 << 20);
    visited.upload(&[(digest, contents.clone())]).await?;
    let read = read(visited, digest, 1000, 0).await?;
    ensure(read == contents[1000..], format!("{} bytes, or others", read.len()))?;
    Ok("the right bytes".to_owned())
}

async fn part(visited: &Visited) -> Result<String> {
    let (digest, contents) = fresh(1 << 20);
    visited.upload(&[(digest, contents.clone())]).await?;
    let read = read(visited, digest, 1000, 5000).await?;
    ensure(read == contents[1000..6000], format!("{} bytes, or others", read.len()))?;
    Ok("offset and limit".to_owned())
}

async fn not_found(visited: &Visited) -> Result<String> {
    let (digest, _) = fresh(100);
    let answer = visited.backend.cas.download_batch(&[digest], visited.deadline()).await?;
    let batch = answer.into_iter().next().and_then(Result::err).map(|error| error.code);
    let stream = read(visited, digest, 0, 0).await.err().map(|error| error.code);
    let both = [batch, stream];
    ensure(both == [Some(Code::NotFound); 2], format!("a batch: {batch:?}, a stream: {stream:?}"))?;
    Ok("in batches and streams".to_owned())
}

/// The start of an upload, and no more of it.
async fn break_off(visited: &Visited, digest: Digest, contents: &Bytes) -> String {
    let id = fastrand::u128(..);
    let resource = visited.resource(&format!("uploads/{id:032x}/blobs/{digest}"));
    let first = WriteRequest {
        resource_name: resource.clone(),
        data: contents[..contents.len() / 2].to_vec(),
        ..Default::default()
    };
    // How it is refused does not matter.
    let _ = visited.byte_stream().write(iter([first])).await;
    resource
}

async fn broken_stream(visited: &Visited) -> Result<String> {
    let (digest, contents) = fresh(1 << 20);
    break_off(visited, digest, &contents).await;
    ensure(!visited.has(digest).await?, "it claims to have half of a blob")?;
    Ok("half of a blob is none".to_owned())
}

async fn write_status(visited: &Visited) -> Result<String> {
    let (digest, contents) = fresh(1 << 20);
    let resource_name = break_off(visited, digest, &contents).await;
    let request = QueryWriteStatusRequest { resource_name };
    let told = visited.byte_stream().query_write_status(request).await?.into_inner();
    Ok(format!("{} of {} bytes", told.committed_size, digest.size))
}

async fn empty_blob(visited: &Visited) -> Result<String> {
    ensure(visited.has(Digest::EMPTY).await?, "it lacks it")?;
    Ok("it has it".to_owned())
}

async fn verifies(visited: &Visited) -> Result<String> {
    let ((digest, _), (_, other)) = (fresh(100), fresh(100));
    let request = BatchUpdateBlobsRequest {
        instance_name: visited.instance.clone(),
        requests: vec![batch_update_blobs_request::Request {
            digest: Some(digest.into()),
            data: other.to_vec(),
            ..Default::default()
        }],
        digest_function: sha256(),
    };
    let refused = match visited.cas().batch_update_blobs(request).await {
        Err(_) => true,
        Ok(answer) => {
            let answers = answer.into_inner().responses;
            answers.iter().any(|one| one.status.as_ref().is_some_and(|status| status.code != 0))
        }
    };
    ensure(refused, "it takes them: contents there are only as right as who wrote them")?;
    ensure(!visited.has(digest).await?, "it refused them and has them")?;
    Ok("it hashes what it takes".to_owned())
}

async fn tells_limit(visited: &Visited) -> Result<String> {
    let told = visited.capabilities().await?.cache_capabilities.unwrap_or_default();
    match told.max_batch_total_size_bytes {
        0 => Err(not(format!("nothing told, so it is gRPC's {MAX_MESSAGE} bytes"))),
        bytes => Ok(format!("{bytes} bytes")),
    }
}

async fn zstd(visited: &Visited) -> Result<String> {
    let told = visited.capabilities().await?.cache_capabilities.unwrap_or_default();
    let zstd = i32::from(compressor::Value::Zstd);
    let (streams, batches) = (
        told.supported_compressors.contains(&zstd),
        told.supported_batch_update_compressors.contains(&zstd),
    );
    match (streams, batches) {
        (true, true) => Ok("advertised for streams and batches".to_owned()),
        (true, false) => Ok("advertised for streams".to_owned()),
        (false, true) => Ok("advertised for batches".to_owned()),
        (false, false) => Err(not("not advertised")),
    }
}
