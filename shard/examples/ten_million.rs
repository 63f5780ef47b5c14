//! What a shard weighs that knows ten million files: bytes of memory and of Redis for each of them,
//! and how fast it finds them. Starts a `redis-server` of its own.
//!
//! The files are made up: keys and digests that look like hashes. All else is the real code, over a
//! CAS that holds everything, on one thread.

#[allow(dead_code, reason = "shared with tests, which use more of it")]
#[path = "../tests/support/mod.rs"]
mod support;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use clap::Parser;
use futures::stream::{self, BoxStream, StreamExt};
use goma_common::reapi::{Backend, Cas, Upload};
use goma_common::shards::{Blob, Shards, Source, Trust};
use goma_common::testing::ScriptedBackend;
use goma_common::{Deadline, Digest, FileEntry, FileKey, Result, View};
use goma_shard::facts::{Facts, Redis};
use goma_shard::{LocalShard, ShardConfig};
use indicatif::{ProgressBar, ProgressStyle};
use support::RedisServer;

/// Files in one question: what a compile has.
const QUESTION: u64 = 500;
/// Questions under way at once.
const AT_ONCE: usize = 4;

#[derive(Parser)]
struct Args {
    /// Files that the shard gets to know
    #[arg(long, value_name = "N", default_value_t = 10_000_000)]
    files: u64,
    /// Files that are looked up, in memory and then in Redis
    #[arg(long, value_name = "N", default_value_t = 2_000_000)]
    lookups: u64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let Args { files, lookups } = Args::parse();
    let redis = RedisServer::start().await;
    let facts = Arc::new(Counted { inner: redis.facts(), keys: AtomicU64::new(0) });
    let shard = shard(files, &facts);
    let (memory, stored) = (resident(), used(&redis));

    each("telling it the mappings", files, |some| record(&shard, some)).await;
    let mapped = used(&redis);
    each("telling it what is present", files, |some| ensure(&shard, some)).await;
    let grown = resident() - memory;
    println!("{:>10} bytes of memory a file, its mapping and its presence", grown / files);
    println!("{:>10} MB of memory in all", resident() / 1_000_000);
    println!("{:>10} bytes of Redis a mapping", (mapped - stored) / files);
    println!("{:>10} bytes of Redis a presence entry", (used(&redis) - mapped) / files);

    let before = facts.keys.load(Ordering::Relaxed);
    let anywhere = |some: Range<u64>| some.map(move |n| n * 7919 % files);
    let cpu = each("resolving keys", lookups, |some| resolve(&shard, anywhere(some))).await;
    println!("{:>10} keys resolved a CPU second", rate(lookups, cpu));
    let cpu = each("ensuring blobs", lookups, |some| ensure(&shard, anywhere(some))).await;
    println!("{:>10} blobs found present a CPU second", rate(lookups, cpu));
    let asked = facts.keys.load(Ordering::Relaxed) - before;
    println!("{:>10} of these {} not in memory", asked, 2 * lookups);

    // One that was just started knows what Redis knows.
    let shard = self::shard(1000, &facts);
    let cpu = each("resolving from Redis", lookups, |some| resolve(&shard, anywhere(some))).await;
    println!("{:>10} keys resolved from Redis a CPU second of the shard", rate(lookups, cpu));
}

fn shard(entries: u64, facts: &Arc<Counted>) -> LocalShard {
    let config = ShardConfig {
        memory_entries: usize::try_from(entries).expect("fits"),
        presence_life: Duration::from_secs(4 * 60 * 60),
        max_upload_bytes: 1 << 20,
        contents_memory: 0,
        contents_disk: None,
    };
    let backend = Backend { cas: Arc::new(Everything), ..ScriptedBackend::default().backend(0) };
    LocalShard::start(config, facts.clone(), backend).expect("no disk")
}

async fn record(shard: &LocalShard, files: impl Iterator<Item = u64>) {
    let files = files.map(|n| (key(n), FileEntry::File(digest(n)))).collect();
    shard.record(files, soon()).await.expect("recorded");
}

async fn resolve(shard: &LocalShard, files: impl Iterator<Item = u64>) {
    let files: Vec<u64> = files.collect();
    let keys: Vec<FileKey> = files.iter().map(|n| key(*n)).collect();
    let entries = shard.resolve(&keys, soon()).await.expect("resolved");
    for (n, entry) in files.into_iter().zip(entries) {
        assert_eq!(entry, Some(FileEntry::File(digest(n))), "file {n}");
    }
}

async fn ensure(shard: &LocalShard, files: impl Iterator<Item = u64>) {
    let blobs = files.map(|n| Blob { digest: digest(n), contents: None }).collect();
    let missing = shard.ensure(blobs, Trust::Presence, Source(1), soon()).await.expect("ensured");
    assert!(missing.is_empty(), "the CAS holds everything");
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(60))
}

/// Asks about all files, some at a time; the CPU time that this thread took for it.
async fn each<F>(what: &'static str, files: u64, ask: impl Fn(Range<u64>) -> F) -> Duration
where
    F: Future<Output = ()>,
{
    let style = ProgressStyle::with_template("{msg:28} {wide_bar} {percent:>3} % {eta:>4}");
    let bar = ProgressBar::new(files).with_style(style.expect("a template")).with_message(what);
    let before = cpu_time();
    let questions = (0..files).step_by(QUESTION as usize);
    let questions = questions.map(|first| first..(first + QUESTION).min(files));
    let mut answers = stream::iter(questions.map(&ask)).buffer_unordered(AT_ONCE);
    while answers.next().await.is_some() {
        bar.inc(QUESTION);
    }
    bar.finish_and_clear();
    cpu_time() - before
}

fn rate(count: u64, cpu: Duration) -> u64 {
    (count as f64 / cpu.as_secs_f64()) as u64
}

fn key(n: u64) -> FileKey {
    FileKey(hash(n, 1))
}

fn digest(n: u64) -> Digest {
    Digest { hash: hash(n, 2), size: 1 + n % 50_000 }
}

/// Looks like a hash.
fn hash(n: u64, kind: u64) -> [u8; 32] {
    let mut hash = [0; 32];
    fastrand::Rng::with_seed(n << 2 | kind).fill(&mut hash);
    hash
}

/// CPU time of the main thread so far: the first number that the scheduler tells of it, in ns.
fn cpu_time() -> Duration {
    let told = std::fs::read_to_string("/proc/self/schedstat").expect("a Linux");
    let nanos = told.split(' ').next().expect("a number");
    Duration::from_nanos(nanos.parse().expect("a number"))
}

/// Bytes that the process holds.
fn resident() -> u64 {
    let told = std::fs::read_to_string("/proc/self/status").expect("a Linux");
    let line = told.lines().find(|line| line.starts_with("VmRSS:")).expect("a size");
    line.split_whitespace().nth(1).expect("a size").parse::<u64>().expect("a number") * 1024
}

/// Bytes that Redis says it uses.
fn used(redis: &RedisServer) -> u64 {
    let told = redis.cli(&["INFO", "memory"]);
    let line = told.lines().find_map(|line| line.strip_prefix("used_memory:")).expect("a size");
    line.trim().parse().expect("a number")
}

/// Counts what memory did not know.
struct Counted {
    inner: Redis,
    keys: AtomicU64,
}

#[async_trait]
impl Facts for Counted {
    async fn mappings(&self, keys: &[FileKey]) -> Result<Vec<Option<FileEntry>>> {
        self.keys.fetch_add(keys.len() as u64, Ordering::Relaxed);
        self.inner.mappings(keys).await
    }

    async fn put_mappings(&self, mappings: Vec<(FileKey, FileEntry)>) -> Result<()> {
        self.inner.put_mappings(mappings).await
    }

    async fn present(&self, digests: &[Digest]) -> Vec<Option<Duration>> {
        self.keys.fetch_add(digests.len() as u64, Ordering::Relaxed);
        self.inner.present(digests).await
    }

    async fn put_present(&self, digests: Vec<Digest>) {
        self.inner.put_present(digests).await;
    }

    async fn drop_present(&self, digests: Vec<Digest>) {
        self.inner.drop_present(digests).await;
    }

    async fn epoch(&self) -> Result<u64> {
        self.inner.epoch().await
    }

    async fn bump_epoch(&self) -> Result<u64> {
        self.inner.bump_epoch().await
    }

    async fn was_emptied(&self) -> bool {
        self.inner.was_emptied().await
    }

    async fn flush(&self) {
        self.inner.flush().await;
    }
}

/// A CAS that holds every blob.
struct Everything;

#[async_trait]
impl Cas for Everything {
    async fn find_missing(&self, _: &[Digest], _: Deadline) -> Result<Vec<Digest>> {
        Ok(Vec::new())
    }

    async fn upload_batch(
        &self,
        blobs: &[(Digest, Bytes)],
        _: Deadline,
    ) -> Result<Vec<Result<()>>> {
        Ok(vec![Ok(()); blobs.len()])
    }

    async fn upload_stream(&self, _: &Upload, _: Deadline) -> Result<()> {
        Ok(())
    }

    async fn download_batch(&self, _: &[Digest], _: Deadline) -> Result<Vec<Result<Bytes>>> {
        unreachable!("nothing is read")
    }

    async fn download_stream(
        &self,
        _: View,
        _: Deadline,
    ) -> Result<BoxStream<'static, Result<Bytes>>> {
        unreachable!("nothing is read")
    }
}
