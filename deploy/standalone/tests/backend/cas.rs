//! What is stored, verified, read back, and evicted.

use goma_common::Digest;
use goma_proto::bytestream::{QueryWriteStatusRequest, WriteRequest};
use goma_proto::reapi::{self, Directory, DirectoryNode};
use prost::Message as _;
use tonic::Code;

use crate::farm::Farm;

fn blob_of(size: usize) -> Vec<u8> {
    (0..size).map(|index| (index * 7 + index / 251) as u8).collect()
}

#[tokio::test]
async fn capabilities_promise_what_the_services_keep() {
    let capabilities = Farm::start().await.capabilities().await;
    let cache = capabilities.cache_capabilities.expect("a cache");
    assert_eq!(cache.digest_functions, [1]);
    assert!((3 << 20..4 << 20).contains(&cache.max_batch_total_size_bytes));
    assert!(!cache.action_cache_update_capabilities.expect("said").update_enabled);
    assert!(capabilities.execution_capabilities.expect("execution").exec_enabled);
    assert_eq!(capabilities.low_api_version.map(|version| version.minor), Some(0));
    assert_eq!(capabilities.high_api_version.map(|version| version.minor), Some(3));
}

#[tokio::test]
async fn blobs_go_in_by_batch_and_come_back() {
    let farm = Farm::start().await;
    let (here, away) = (Digest::of(b"hello"), Digest::of(b"other"));
    assert_eq!(farm.missing(&[here, away, Digest::EMPTY]).await, [here, away]);
    farm.put(b"hello").await;
    assert_eq!(farm.missing(&[here, away]).await, [away]);
    let digests = vec![here.into(), away.into(), Digest::EMPTY.into()];
    let request = reapi::BatchReadBlobsRequest { digests, ..Default::default() };
    let answer = farm.cas().batch_read_blobs(request).await.expect("a batch").into_inner();
    let codes = answer.responses.iter().map(|one| one.status.as_ref().expect("a status").code);
    assert_eq!(codes.collect::<Vec<_>>(), [0, Code::NotFound as i32, 0]);
    assert_eq!(answer.responses[0].data, b"hello");
}

#[tokio::test]
async fn wrong_contents_are_refused_and_stay_invisible() {
    let farm = Farm::start().await;
    let digest = Digest::of(b"right");
    assert_eq!(farm.put_as(digest, b"wrong").await, Code::InvalidArgument);
    let refused = farm.write("", digest, b"wrong", 5).await.expect_err("a wrong hash");
    assert_eq!(refused.code(), Code::InvalidArgument);
    let large = blob_of(3 << 20);
    let mut wrong = large.clone();
    wrong[2 << 20] ^= 1;
    let refused = farm.write("", Digest::of(&large), &wrong, 1 << 20).await;
    assert_eq!(refused.expect_err("a wrong hash").code(), Code::InvalidArgument);
    assert_eq!(farm.missing(&[digest, Digest::of(&large)]).await.len(), 2);
    let left = std::fs::read_dir(farm.data_dir().join("tmp")).expect("tmp").count();
    assert_eq!(left, 0, "nothing of it stays on disk");
}

#[tokio::test]
async fn a_batch_over_the_limit_is_refused() {
    let farm = Farm::start().await;
    let limit = farm.capabilities().await.cache_capabilities.expect("a cache");
    let size = usize::try_from(limit.max_batch_total_size_bytes).expect("positive");
    let largest = blob_of(size);
    farm.put(&largest).await;
    assert_eq!(farm.get(Digest::of(&largest)).await, largest);
    let digests = vec![Digest::of(&largest).into(), Digest::of(b"one more").into()];
    farm.put(b"one more").await;
    let request = reapi::BatchReadBlobsRequest { digests, ..Default::default() };
    let refused = farm.cas().batch_read_blobs(request).await.expect_err("too much");
    assert_eq!(refused.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn large_blobs_stream_in_and_out_at_any_offset() {
    let farm = Farm::start().await;
    let blob = blob_of(5_000_001);
    let digest = Digest::of(&blob);
    for prefix in ["", "an/instance/"] {
        let committed = farm.write(prefix, digest, &blob, 300_000).await.expect("written");
        assert_eq!(committed, 5_000_001);
    }
    assert_eq!(farm.get(digest).await, blob);
    assert_eq!(farm.read(digest, 1_000_000, 0).await.expect("a tail"), blob[1_000_000..]);
    assert_eq!(farm.read(digest, 10, 700_000).await.expect("a part"), blob[10..700_010]);
    assert_eq!(farm.read(digest, 5_000_001, 0).await.expect("its end"), b"");
    let outside = farm.read(digest, 5_000_002, 0).await.expect_err("outside");
    assert_eq!(outside.code(), Code::OutOfRange);
    let unknown = farm.read(Digest::of(b"?"), 0, 0).await.expect_err("unknown");
    assert_eq!(unknown.code(), Code::NotFound);
}

#[tokio::test]
async fn a_write_of_what_is_there_ends_early() {
    let farm = Farm::start().await;
    let digest = farm.put(b"known").await;
    // The stream has a first message and then never ends.
    let first =
        WriteRequest { resource_name: format!("uploads/u/blobs/{digest}"), ..Default::default() };
    let requests = futures::StreamExt::chain(
        tokio_stream::iter([first]),
        futures::stream::pending::<WriteRequest>(),
    );
    let answer = farm.bytes().write(requests).await.expect("an early answer");
    assert_eq!(answer.into_inner().committed_size, 5);
}

#[tokio::test]
async fn a_write_that_breaks_off_begins_anew() {
    let farm = Farm::start().await;
    let blob = blob_of(2 << 20);
    let digest = Digest::of(&blob);
    let resource_name = format!("uploads/u/blobs/{digest}");
    let data = blob[..1 << 20].to_vec();
    let name = resource_name.clone();
    let part = WriteRequest { resource_name: name, data, ..Default::default() };
    let broken = farm.bytes().write(tokio_stream::iter([part])).await.expect_err("half a blob");
    assert_eq!(broken.code(), Code::InvalidArgument);
    let request = QueryWriteStatusRequest { resource_name };
    let status = farm.bytes().query_write_status(request.clone()).await.expect("a status");
    assert_eq!((status.get_ref().committed_size, status.get_ref().complete), (0, false));
    farm.write("", digest, &blob, 1 << 20).await.expect("written");
    let status = farm.bytes().query_write_status(request).await.expect("a status").into_inner();
    assert_eq!((status.committed_size, status.complete), (2 << 20, true));
}

#[tokio::test]
async fn a_tree_comes_as_its_directories() {
    let farm = Farm::start().await;
    let leaf = Directory::default();
    let leaf_digest = farm.put(&leaf.encode_to_vec()).await;
    let node = |name: &str, digest: Digest| DirectoryNode {
        name: name.to_owned(),
        digest: Some(digest.into()),
    };
    let gone = Digest::of(b"gone");
    let directories = vec![node("a", leaf_digest), node("b", leaf_digest), node("c", gone)];
    let root = Directory { directories, ..Default::default() };
    let root_digest = farm.put(&root.encode_to_vec()).await;
    let request = |digest: Digest| reapi::GetTreeRequest {
        root_digest: Some(digest.into()),
        page_size: 1,
        ..Default::default()
    };
    let mut pages = farm.cas().get_tree(request(root_digest)).await.expect("pages").into_inner();
    let mut directories = Vec::new();
    while let Some(page) = pages.message().await.expect("a page") {
        directories.extend(page.directories);
    }
    assert_eq!(directories, [root, leaf], "each once, what is missing left out");
    let missing = farm.cas().get_tree(request(gone)).await.expect_err("no root");
    assert_eq!(missing.code(), Code::NotFound);
}

#[tokio::test]
async fn the_least_recently_used_blob_goes_and_asking_is_a_use() {
    let farm = Farm::with(|config| config.max_bytes = 3 << 20).await;
    let blobs: Vec<_> = (1..=4).map(|seed| vec![seed; 1 << 20]).collect();
    let digests: Vec<_> = blobs.iter().map(|blob| Digest::of(blob)).collect();
    for blob in &blobs[..3] {
        farm.put(blob).await;
    }
    assert!(farm.missing(&digests[..1]).await.is_empty());
    farm.put(&blobs[3]).await;
    assert_eq!(farm.missing(&digests).await, [digests[1]]);
    let huge = blob_of(4 << 20);
    let too_large = farm.write("", Digest::of(&huge), &huge, 1 << 20);
    assert_eq!(too_large.await.expect_err("no room").code(), Code::ResourceExhausted);
    assert_eq!(farm.missing(&digests).await, [digests[1]], "which costs nobody his place");
}
