//! What a gateway weighs that knows many files: bytes of memory for each key that it keeps.
//!
//! The files are made up: keys and digests that look like hashes. The cache is the real one, filled as compiles fill
//! it, by what shards answer.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use goma_common::shards::{Blob, Shards, Source, Trust};
use goma_common::turn::Turn;
use goma_common::{Deadline, Digest, FileEntry, FileKey, Result, Tenant};
use goma_gateway::Files;

#[global_allocator]
static ALLOCATOR: goma_common::program::Allocator = goma_common::program::Allocator;

/// Files that the gateway gets to know.
const FILES: u64 = 1_000_000;
/// Files in one question: what a compile has.
const QUESTION: u64 = 500;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let files = Files::new(Arc::new(Everything), usize::try_from(FILES).expect("fits"));
    let before = resident();
    for first in (0..FILES).step_by(QUESTION as usize) {
        let keys: Vec<FileKey> = (first..first + QUESTION).map(key).collect();
        files.resolve(&keys, soon()).await.expect("resolved");
    }
    let grown = resident() - before;
    println!("{:>10} bytes of memory a file, of {FILES}", grown / FILES);
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(60))
}

fn key(n: u64) -> FileKey {
    let mut hash = [0; 32];
    fastrand::Rng::with_seed(n).fill(&mut hash);
    FileKey(hash)
}

/// Bytes that the process holds.
fn resident() -> u64 {
    let told = std::fs::read_to_string("/proc/self/status").expect("a Linux");
    let line = told.lines().find(|line| line.starts_with("VmRSS:")).expect("a size");
    line.split_whitespace().nth(1).expect("a size").parse::<u64>().expect("a number") * 1024
}

/// Shards that know every file.
struct Everything;

#[async_trait]
impl Shards for Everything {
    async fn resolve(&self, keys: &[FileKey], _: Deadline) -> Result<Vec<Option<FileEntry>>> {
        let entry = |key: &FileKey| FileEntry::File(Digest { hash: key.0, size: 1 });
        Ok(keys.iter().map(|key| Some(entry(key))).collect())
    }

    async fn record(&self, _: Vec<(FileKey, FileEntry)>, _: Deadline) -> Result<()> {
        unreachable!("nothing is stored")
    }

    async fn ensure(&self, _: Vec<Blob>, _: Trust, _: Source, _: Deadline) -> Result<Vec<Digest>> {
        unreachable!("nothing is uploaded")
    }

    async fn load(&self, _: Digest, _: Deadline) -> Result<Option<Bytes>> {
        unreachable!("nothing is read")
    }

    async fn join(&self, _: Digest, _: bool, _: Deadline) -> Turn {
        unreachable!("nothing is run")
    }

    async fn forget(&self, _: &[Digest], _: Deadline) -> Result<()> {
        unreachable!("nothing is lost")
    }

    fn of_tenant(self: Arc<Self>, _: Tenant) -> Arc<dyn Shards> {
        self
    }
}
