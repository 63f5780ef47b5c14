//! Files in pieces: assembled when all are there, missing when one is gone.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use goma_common::file_key::CHUNK_SIZE;
use goma_common::shards::{Blob, Shards, Source, Trust};
use goma_common::testing::ScriptedBackend;
use goma_common::{Deadline, Digest, FileEntry, FileKey, View};
use goma_shard::facts::{Facts, Memory};
use goma_shard::{LocalShard, ShardConfig};

const BATCH: i64 = 64 << 10;

struct Large {
    whole: Digest,
    manifest: (FileKey, FileEntry),
    pieces: Vec<(FileKey, FileEntry, Blob)>,
}

fn large() -> Large {
    let size = usize::try_from(CHUNK_SIZE).expect("fits") * 2 + 1000;
    let contents: Bytes = (0..size).map(|n| (n % 251) as u8).collect();
    let mut pieces = Vec::new();
    let mut offset = 0;
    while offset < size {
        let end = size.min(offset + usize::try_from(CHUNK_SIZE).expect("fits"));
        let piece = contents.slice(offset..end);
        let digest = Digest::of(&piece);
        let key = FileKey::of_chunk(offset as u64, &piece, piece.len() as u64);
        let entry = FileEntry::Chunk { view: View::whole(digest), offset: offset as u64 };
        pieces.push((key, entry, Blob { digest, contents: Some(piece) }));
        offset = end;
    }
    let chunks: Arc<[FileKey]> = pieces.iter().map(|(key, ..)| *key).collect();
    let key = FileKey::of_manifest(size as u64, &chunks);
    let manifest = FileEntry::Manifest { size: size as u64, chunks, whole: None };
    Large { whole: Digest::of(&contents), manifest: (key, manifest), pieces }
}

fn deadline() -> Deadline {
    Deadline::after(Duration::from_secs(30))
}

fn shard(cas: &ScriptedBackend, facts: Arc<dyn Facts>) -> LocalShard {
    let config = ShardConfig {
        memory_entries: 1000,
        presence_life: Duration::from_secs(3600),
        max_upload_bytes: 1 << 30,
        contents_memory: 0,
        contents_disk: None,
    };
    LocalShard::start(config, facts, cas.backend(BATCH)).expect("starts")
}

async fn store(shard: &LocalShard, pieces: &[(FileKey, FileEntry, Blob)]) {
    let blobs = pieces.iter().map(|(.., blob)| blob.clone()).collect();
    assert_eq!(
        shard.ensure(blobs, Trust::Presence, Source::default(), deadline()).await.expect("ensures"),
        []
    );
    let entries = pieces.iter().map(|(key, entry, _)| (*key, entry.clone())).collect();
    shard.record(entries, deadline()).await.expect("records");
}

async fn resolve(shard: &LocalShard, key: FileKey) -> Option<Digest> {
    let entries = shard.resolve(&[key], deadline()).await.expect("answers");
    entries[0].as_ref().and_then(FileEntry::contents)
}

#[tokio::test]
async fn a_file_is_there_when_its_last_piece_is() {
    let cas = ScriptedBackend::default();
    let shard = shard(&cas, Arc::new(Memory::default()));
    let large = large();
    shard.record(vec![large.manifest.clone()], deadline()).await.expect("records");
    store(&shard, &large.pieces[..2]).await;
    assert_eq!(resolve(&shard, large.manifest.0).await, None);
    store(&shard, &large.pieces[2..]).await;
    assert_eq!(resolve(&shard, large.manifest.0).await, Some(large.whole));
    assert!(cas.has(large.whole));
}

#[tokio::test]
async fn an_assembled_file_is_assembled_once_also_after_a_restart() {
    let cas = ScriptedBackend::default();
    let facts = Arc::new(Memory::default());
    let large = large();
    for _ in 0..2 {
        let shard = shard(&cas, facts.clone());
        shard.record(vec![large.manifest.clone()], deadline()).await.expect("records");
        store(&shard, &large.pieces).await;
        assert_eq!(resolve(&shard, large.manifest.0).await, Some(large.whole));
    }
    let uploads = cas.calls().uploads.into_iter().filter(|digest| *digest == large.whole);
    assert_eq!(uploads.count(), 1);
}

#[tokio::test]
async fn a_lost_piece_makes_the_file_missing_and_is_taken_again() {
    let cas = ScriptedBackend::default();
    let shard = shard(&cas, Arc::new(Memory::default()));
    let large = large();
    store(&shard, &large.pieces).await;
    cas.evict(large.pieces[1].2.digest);
    shard.record(vec![large.manifest.clone()], deadline()).await.expect("records");
    assert_eq!(resolve(&shard, large.manifest.0).await, None);
    // The client sends all pieces again; none may be taken to be there already.
    store(&shard, &large.pieces).await;
    assert_eq!(resolve(&shard, large.manifest.0).await, Some(large.whole));
}

#[tokio::test]
async fn a_lost_file_is_assembled_anew_from_pieces_that_are_still_there() {
    let cas = ScriptedBackend::default();
    let shard = shard(&cas, Arc::new(Memory::default()));
    let large = large();
    store(&shard, &large.pieces).await;
    shard.record(vec![large.manifest.clone()], deadline()).await.expect("records");
    assert_eq!(resolve(&shard, large.manifest.0).await, Some(large.whole));
    cas.evict(large.whole);
    let asked = vec![Blob { digest: large.whole, contents: None }];
    let missing =
        shard.ensure(asked, Trust::Nothing, Source::default(), deadline()).await.expect("answers");
    assert_eq!(missing, [large.whole]);
    shard.forget(&missing, deadline()).await.expect("forgets");
    // So the file is named missing, and the client sends its manifest again.
    shard.record(vec![large.manifest.clone()], deadline()).await.expect("records");
    assert_eq!(resolve(&shard, large.manifest.0).await, Some(large.whole));
    assert!(cas.has(large.whole));
}

#[tokio::test(start_paused = true)]
async fn an_upload_of_the_whole_that_fails_is_told_and_made_again_when_asked_for() {
    let cas = ScriptedBackend::default();
    let shard = shard(&cas, Arc::new(Memory::default()));
    let large = large();
    shard.record(vec![large.manifest.clone()], deadline()).await.expect("records");
    // Two of the pieces are over the limit of a batch, so they are streams too.
    store(&shard, &large.pieces).await;
    cas.refuse(large.whole, true);
    let error = shard.resolve(&[large.manifest.0], deadline()).await.expect_err("refused");
    assert!(error.message.contains("refused on purpose"), "{error}");
    cas.refuse(large.whole, false);
    assert_eq!(resolve(&shard, large.manifest.0).await, Some(large.whole));
    assert!(cas.has(large.whole));
}
