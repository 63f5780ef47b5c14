//! What a shard asks of the CAS: each unique blob once, and never less than is needed.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use goma_common::shards::{Blob, Shards, Source, Trust};
use goma_common::testing::ScriptedBackend;
use goma_common::{Deadline, Digest};
use goma_shard::facts::Memory;
use goma_shard::{LocalShard, ShardConfig};

const BATCH: i64 = 10_000;

fn shard(cas: &ScriptedBackend) -> LocalShard {
    let config = ShardConfig {
        memory_entries: 1000,
        presence_life: Duration::from_secs(3600),
        max_upload_bytes: 1 << 30,
        contents_memory: 0,
        contents_disk: None,
    };
    LocalShard::start(config, Arc::new(Memory::default()), cas.backend(BATCH)).expect("starts")
}

fn deadline() -> Deadline {
    Deadline::after(Duration::from_secs(10))
}

fn blob(contents: &str) -> Blob {
    let contents = Bytes::from(contents.to_owned());
    Blob { digest: Digest::of(&contents), contents: Some(contents) }
}

fn asked(blob: &Blob) -> Blob {
    Blob { digest: blob.digest, contents: None }
}

#[tokio::test]
async fn a_hundred_clients_upload_each_blob_once() {
    let cas = ScriptedBackend::default();
    let shard = shard(&cas);
    let blobs: Vec<Blob> = (0..10).map(|n| blob(&format!("file {n}"))).collect();
    let clients = (0..100)
        .map(|_| shard.ensure(blobs.clone(), Trust::Presence, Source::default(), deadline()));
    for missing in join_all(clients).await {
        assert_eq!(missing.expect("ensures"), []);
    }
    let calls = cas.calls();
    assert_eq!(calls.uploads.len(), 10, "{calls:?}");
    assert!(calls.find_missing <= 10, "{calls:?}");
    assert!(blobs.iter().all(|blob| cas.has(blob.digest)));
}

#[tokio::test]
async fn what_is_known_to_be_there_is_not_asked_for() {
    let cas = ScriptedBackend::default();
    let shard = shard(&cas);
    let blobs = vec![blob("a"), blob("b")];
    shard
        .ensure(blobs.clone(), Trust::Presence, Source::default(), deadline())
        .await
        .expect("ensures");
    let before = cas.calls();
    shard.ensure(blobs, Trust::Presence, Source::default(), deadline()).await.expect("ensures");
    assert_eq!(cas.calls(), before);
}

#[tokio::test]
async fn recovery_believes_nothing_and_uploads_again() {
    let cas = ScriptedBackend::default();
    let shard = shard(&cas);
    let (kept, lost) = (blob("kept"), blob("lost"));
    let all = vec![kept.clone(), lost.clone()];
    shard
        .ensure(all.clone(), Trust::Presence, Source::default(), deadline())
        .await
        .expect("ensures");
    cas.evict(lost.digest);
    shard.ensure(all, Trust::Nothing, Source::default(), deadline()).await.expect("ensures");
    assert!(cas.has(lost.digest));
    let again = cas.calls().uploads.into_iter().filter(|digest| *digest == lost.digest);
    assert_eq!(again.count(), 2);
}

#[tokio::test]
async fn a_blob_that_nobody_has_is_told_and_can_be_uploaded_by_whoever_has_it() {
    let cas = ScriptedBackend::default();
    let shard = shard(&cas);
    let wanted = blob("wanted");
    let (without, with) = tokio::join!(
        shard.ensure(vec![asked(&wanted)], Trust::Presence, Source::default(), deadline()),
        shard.ensure(vec![wanted.clone()], Trust::Presence, Source::default(), deadline()),
    );
    // Who asks first without contents may hear that it is missing; who has them never does.
    assert!(without.expect("answers").len() <= 1);
    assert_eq!(with.expect("ensures"), []);
    assert!(cas.has(wanted.digest));
}

#[tokio::test]
async fn presence_is_not_written_for_an_upload_that_failed() {
    let cas = ScriptedBackend::default();
    let shard = shard(&cas);
    let (good, bad) = (blob("good"), blob("bad"));
    cas.refuse(bad.digest, true);
    let all = vec![good.clone(), bad.clone()];
    shard
        .ensure(all.clone(), Trust::Presence, Source::default(), deadline())
        .await
        .expect_err("one is refused");
    let missing =
        shard.ensure(vec![asked(&bad)], Trust::Presence, Source::default(), deadline()).await;
    assert_eq!(missing.expect("answers"), [bad.digest]);
    cas.refuse(bad.digest, false);
    assert_eq!(
        shard.ensure(all, Trust::Presence, Source::default(), deadline()).await.expect("ensures"),
        []
    );
    assert!(cas.has(bad.digest) && cas.has(good.digest));
}

#[tokio::test]
async fn batches_keep_within_the_backends_limit_and_large_blobs_are_streams() {
    let cas = ScriptedBackend::default();
    let shard = shard(&cas);
    let mut blobs: Vec<Blob> = (0..40).map(|n| blob(&format!("{n}").repeat(700))).collect();
    blobs.push(blob(&"x".repeat(50_000)));
    shard
        .ensure(blobs.clone(), Trust::Presence, Source::default(), deadline())
        .await
        .expect("ensures");
    let calls = cas.calls();
    assert!(calls.largest_batch <= BATCH as u64, "{calls:?}");
    assert!(calls.upload_batches >= 6, "{calls:?}");
    assert_eq!(calls.upload_streams, 1);
    assert!(blobs.iter().all(|blob| cas.has(blob.digest)));
}

#[tokio::test]
async fn a_batch_over_a_limit_that_the_backend_does_not_tell_goes_by_halves_and_then_as_streams() {
    let cas = ScriptedBackend::default();
    cas.limit_batches(3_000);
    let shard = shard(&cas);
    let small = (0..20).map(|n| blob(&format!("{n} ").repeat(200)));
    let large = (0..2).map(|n| blob(&format!("{n}").repeat(5_000)));
    let blobs: Vec<Blob> = small.chain(large).collect();
    let ensured = shard.ensure(blobs.clone(), Trust::Presence, Source::default(), deadline()).await;
    assert_eq!(ensured.expect("ensures"), []);
    assert!(blobs.iter().all(|blob| cas.has(blob.digest)));
    let calls = cas.calls();
    assert!(calls.largest_batch <= 3_000 && calls.upload_batches >= 5, "{calls:?}");
    assert_eq!(calls.upload_streams, 2, "those over the limit by themselves");
    assert_eq!(calls.uploads.len(), blobs.len(), "each once");
}

#[tokio::test]
async fn of_a_batch_only_what_was_not_taken_is_sent_again() {
    let cas = ScriptedBackend::default();
    let shard = shard(&cas);
    let blobs: Vec<Blob> = (0..5).map(|n| blob(&format!("{n}"))).collect();
    cas.be_busy(blobs[3].digest, 2);
    let ensured = shard.ensure(blobs.clone(), Trust::Presence, Source::default(), deadline()).await;
    assert_eq!(ensured.expect("ensures"), []);
    let uploads = cas.calls().uploads;
    let sent = |blob: &Blob| uploads.iter().filter(|digest| **digest == blob.digest).count();
    assert_eq!(blobs.iter().map(sent).collect::<Vec<_>>(), [1, 1, 1, 3, 1]);
}

#[tokio::test]
async fn the_empty_blob_is_asked_for_in_recovery_alone() {
    let cas = ScriptedBackend::default();
    let shard = shard(&cas);
    let empty = || vec![asked(&blob(""))];
    let ensured = shard.ensure(empty(), Trust::Presence, Source::default(), deadline()).await;
    assert_eq!(ensured.expect("ensures"), []);
    assert_eq!(cas.calls().find_missing, 0);
    // A worker found it gone, and everybody has its contents.
    let ensured = shard.ensure(empty(), Trust::Nothing, Source::default(), deadline()).await;
    assert_eq!(ensured.expect("ensures"), []);
    assert!(cas.has(blob("").digest));
}
