//! zstd with a backend that advertises it: used both ways, trusted in nothing, done without where it is
//! bad.

use bytes::Bytes;
use futures::stream::{StreamExt, iter};
use goma_common::reapi::{Address, Backend, RemoteConfig, Upload, connect, fetch_all};
use goma_common::testing::{Server, deadline};
use goma_common::{Code, Digest, Error};
use goma_proto::reapi::compressor;

async fn started(compression: bool) -> (Server, Backend) {
    let server = Server::start().await;
    server.services.tell(|told| {
        let cache = told.cache_capabilities.get_or_insert_default();
        cache.supported_compressors = vec![compressor::Value::Zstd.into()];
        cache.supported_batch_update_compressors = vec![compressor::Value::Zstd.into()];
    });
    let plain = RemoteConfig::plain(Address::Network(vec![server.address()]), "main");
    let backend = connect(&RemoteConfig { compression, ..plain }).expect("an address");
    backend.health.check(deadline()).await.expect("it is well");
    (server, backend)
}

fn text(size: usize) -> (Digest, Bytes) {
    let contents: Bytes = b"it repeats itself, ".iter().copied().cycle().take(size).collect();
    (Digest::of(&contents), contents)
}

async fn both_ways(backend: &Backend) {
    let (small, large) = (text(100_000), text(9 << 20));
    let taken = backend.cas.upload_batch(std::slice::from_ref(&small), deadline()).await;
    taken.expect("a batch").into_iter().for_each(|one| one.expect("taken"));
    let upload = Upload::of(large.0, large.1.clone());
    backend.cas.upload_stream(&upload, deadline()).await.expect("taken");
    let read = fetch_all(backend, &[small.0, large.0], deadline()).await.expect("read");
    assert!(read[&small.0] == small.1 && read[&large.0] == large.1, "other bytes");
}

#[tokio::test]
async fn contents_go_and_come_as_zstd_where_it_is_advertised() {
    let (server, backend) = started(true).await;
    both_ways(&backend).await;
    let bytes = server.services.compressed_bytes();
    assert!(bytes.taken > 0 && bytes.taken < 1 << 20, "{bytes:?}");
    assert!(bytes.given > 0 && bytes.given < 1 << 20, "{bytes:?}");
}

#[tokio::test]
async fn no_zstd_is_used_where_it_is_not_wanted() {
    let (server, backend) = started(false).await;
    both_ways(&backend).await;
    let bytes = server.services.compressed_bytes();
    assert_eq!((bytes.taken, bytes.given), (0, 0));
}

#[tokio::test]
async fn a_blob_that_grows_beyond_its_digest_is_not_decoded_and_asked_for_without_zstd() {
    let (server, backend) = started(true).await;
    let (small, large) = (text(1_000_000), text(9 << 20));
    for (digest, contents) in [&small, &large] {
        server.backend.put(contents.clone());
        server.services.inflate(*digest, 64 << 20);
    }
    let read = fetch_all(&backend, &[small.0, large.0], deadline()).await.expect("read without");
    assert!(read[&small.0] == small.1 && read[&large.0] == large.1, "other bytes");
}

#[tokio::test]
async fn a_stream_of_bad_zstd_begins_anew_without() {
    let (server, backend) = started(true).await;
    let large = text(9 << 20);
    server.backend.put(large.1.clone());
    server.services.inflate(large.0, 64 << 20);
    let read = fetch_all(&backend, &[large.0], deadline()).await.expect("read without");
    assert!(read[&large.0] == large.1, "other bytes");
}

#[tokio::test]
async fn a_stream_that_was_taken_in_part_is_not_taken() {
    let (server, backend) = started(true).await;
    let (digest, contents) = text(9 << 20);
    let upload =
        async || backend.cas.upload_stream(&Upload::of(digest, contents.clone()), deadline()).await;
    server.services.commit(1000);
    let error = upload().await.expect_err("a part");
    assert!(error.message.contains("took 1000 of"), "{error}");
    server.services.commit(-1);
    upload().await.expect("it was there already");
}

#[tokio::test]
async fn a_stream_whose_pieces_fail_is_not_said_to_be_whole() {
    let (server, backend) = started(true).await;
    let (digest, contents) = text(9 << 20);
    let upload = Upload::new(digest, move |_| {
        let failed = Err(Error::new(Code::NotFound, "the rest is gone"));
        iter([Ok(contents.slice(..4 << 20)), failed]).boxed()
    });
    let error = backend.cas.upload_stream(&upload, deadline()).await.expect_err("failed");
    assert!(error.message.contains("the rest is gone"), "{error}");
    assert_eq!(server.services.compressed_bytes().finished, 0);
    assert!(!server.backend.has(digest));
}
