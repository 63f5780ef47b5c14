//! Uploads to the embedded backend over loopback, by a shard and by a straight client of the same crates
//! that asks and sends blob by blob: `cargo bench -p goma-standalone --bench uploads`.
//!
//! Twenty requests at once, each with a hundred blobs of 1 to 8 KiB that nobody has seen; and eight blobs
//! of 16 MiB at once. divan prints blobs and bytes a second.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use futures::future::join_all;
use futures::stream::iter;
use goma_common::drain::Drain;
use goma_common::reapi::{Address, Lane, RemoteConfig, connect, lane};
use goma_common::shards::{Blob, Shards, Source, Trust};
use goma_common::{Deadline, Digest};
use goma_proto::bytestream::WriteRequest;
use goma_proto::bytestream::byte_stream_client::ByteStreamClient;
use goma_proto::reapi::content_addressable_storage_client::ContentAddressableStorageClient;
use goma_proto::reapi::{
    BatchUpdateBlobsRequest, FindMissingBlobsRequest, batch_update_blobs_request,
};
use goma_shard::facts::Memory;
use goma_shard::{LocalShard, ShardConfig};
use goma_standalone::backend::{Backend, Config, SandboxMode};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_stream::wrappers::TcpListenerStream;

const REQUESTS: usize = 20;
const BLOBS: usize = 100;
const LARGE: usize = 16 << 20;
const LARGE_BLOBS: usize = 8;
/// Bytes of a message of the straight client's streams, as examples of gRPC have it.
const MESSAGE: usize = 64 << 10;

fn main() {
    divan::main();
}

/// The backend, both clients, and a runtime for all.
struct Bench {
    runtime: Runtime,
    shard: LocalShard,
    straight: Lane,
    _dir: TempDir,
}

impl Bench {
    fn new() -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let dir = TempDir::new().expect("a directory");
        let (shard, straight) = runtime.block_on(async {
            let mut config = Config::new(dir.path().join("data"));
            config.sandbox = SandboxMode::Off;
            let backend = Backend::open(config).await.expect("a backend");
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let address = listener.local_addr().expect("an address").to_string();
            let incoming = TcpListenerStream::new(listener);
            tokio::spawn(async move { backend.serve(incoming, Drain::new()).await });
            let remote = RemoteConfig::plain(Address::Network(vec![address]), "");
            let config = ShardConfig {
                memory_entries: 1 << 20,
                presence_life: Duration::from_secs(3600),
                max_upload_bytes: 512 << 20,
                contents_memory: 0,
                contents_disk: None,
            };
            let backend = connect(&remote).expect("an address");
            let shard = LocalShard::start(config, Arc::new(Memory::default()), backend);
            (shard.expect("a shard"), lane(&remote).expect("an address"))
        });
        Self { runtime, shard, straight, _dir: dir }
    }

    fn ours(&self, requests: Vec<Vec<Blob>>) {
        self.runtime.block_on(join_all(requests.into_iter().zip(0..).map(
            async |(blobs, from)| {
                let deadline = Deadline::after(Duration::from_secs(120));
                let source = Source(from);
                let missing = self.shard.ensure(blobs, Trust::Presence, source, deadline).await;
                assert_eq!(missing.expect("uploads"), []);
            },
        )));
    }

    fn straight(&self, requests: Vec<Vec<Blob>>) {
        self.runtime.block_on(join_all(requests.into_iter().map(async |blobs| {
            for blob in blobs {
                let contents = blob.contents.expect("contents");
                match contents.len() < 1 << 20 {
                    true => send(&self.straight, blob.digest, contents).await,
                    false => stream(&self.straight, blob.digest, contents).await,
                }
            }
        })));
    }
}

async fn send(lane: &Lane, digest: Digest, contents: Bytes) {
    let mut cas = ContentAddressableStorageClient::new(lane.clone());
    let asked = FindMissingBlobsRequest { blob_digests: vec![digest.into()], ..Default::default() };
    let missing = cas.find_missing_blobs(asked).await.expect("an answer").into_inner();
    assert_eq!(missing.missing_blob_digests.len(), 1);
    let request = batch_update_blobs_request::Request {
        digest: Some(digest.into()),
        data: contents.to_vec(),
        ..Default::default()
    };
    let batch = BatchUpdateBlobsRequest { requests: vec![request], ..Default::default() };
    cas.batch_update_blobs(batch).await.expect("an answer");
}

async fn stream(lane: &Lane, digest: Digest, contents: Bytes) {
    let mut client = ByteStreamClient::new(lane.clone());
    let resource_name = format!("uploads/{:032x}/blobs/{digest}", fastrand::u128(..));
    let last = contents.len().div_ceil(MESSAGE) - 1;
    let messages: Vec<_> = contents
        .chunks(MESSAGE)
        .enumerate()
        .map(|(at, data)| WriteRequest {
            resource_name: resource_name.clone(),
            write_offset: (at * MESSAGE) as i64,
            finish_write: at == last,
            data: data.to_vec(),
        })
        .collect();
    client.write(iter(messages)).await.expect("an answer");
}

fn blob(size: usize) -> Blob {
    let mut contents = vec![0; size];
    fastrand::Rng::new().fill(&mut contents);
    Blob { digest: Digest::of(&contents), contents: Some(contents.into()) }
}

fn small() -> Vec<Vec<Blob>> {
    let request = || (0..BLOBS).map(|_| blob(fastrand::usize(1 << 10..8 << 10))).collect();
    (0..REQUESTS).map(|_| request()).collect()
}

fn large() -> Vec<Vec<Blob>> {
    (0..LARGE_BLOBS).map(|_| vec![blob(LARGE)]).collect()
}

#[divan::bench(sample_count = 20)]
fn small_by_a_shard(bencher: Bencher<'_, '_>) {
    let bench = Bench::new();
    let bencher = bencher.with_inputs(small).counter(ItemsCount::new(REQUESTS * BLOBS));
    bencher.bench_local_values(|requests| bench.ours(requests));
}

#[divan::bench(sample_count = 20)]
fn small_straight(bencher: Bencher<'_, '_>) {
    let bench = Bench::new();
    let bencher = bencher.with_inputs(small).counter(ItemsCount::new(REQUESTS * BLOBS));
    bencher.bench_local_values(|requests| bench.straight(requests));
}

#[divan::bench(sample_count = 10)]
fn large_by_a_shard(bencher: Bencher<'_, '_>) {
    let bench = Bench::new();
    let bencher = bencher.with_inputs(large).counter(BytesCount::new(LARGE * LARGE_BLOBS));
    bencher.bench_local_values(|requests| bench.ours(requests));
}

#[divan::bench(sample_count = 10)]
fn large_straight(bencher: Bencher<'_, '_>) {
    let bench = Bench::new();
    let bencher = bencher.with_inputs(large).counter(BytesCount::new(LARGE * LARGE_BLOBS));
    bencher.bench_local_values(|requests| bench.straight(requests));
}
