//! Routing over shards in this process that fail when they are told to, under virtual time.

use std::collections::BTreeMap;

use goma_common::Code;
use goma_common::reapi::Executed;
use goma_proto::reapi::ActionResult;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::super::hash_ring::Member;
use super::super::testing::{Mood, Scripted};
use super::super::view::Up;
use super::*;

/// Shards by name, and the ring of those that are up.
struct Cluster {
    shards: BTreeMap<String, (Arc<Scripted>, CancellationToken)>,
    published: watch::Sender<Arc<View>>,
    routed: Arc<Routed>,
}

const LONG: Duration = Duration::from_secs(60);
const LIMIT: Duration = Duration::from_secs(3600);

fn long() -> Deadline {
    Deadline::after(LONG)
}

impl Cluster {
    fn of(names: &[&str]) -> Self {
        let shard = |name: &&str| ((*name).to_owned(), Default::default());
        let shards = names.iter().map(shard).collect();
        let (published, view) = watch::channel(Arc::new(View::new(Vec::new(), Vec::new())));
        let cluster = Self { shards, published, routed: Arc::new(Routed::new(view)) };
        cluster.publish(names);
        cluster
    }

    /// From now on these are up.
    fn publish(&self, names: &[&str]) {
        let up = names.iter().map(|name| {
            let (shard, gone) = self.shards[*name].clone();
            Up { member: Member { name: (*name).to_owned(), weight: 1 }, shard, gone }
        });
        let out = vec![("x".to_owned(), "refused on purpose".to_owned())];
        self.published.send_replace(Arc::new(View::new(up.collect(), out)));
    }

    fn shard(&self, name: &str) -> &Scripted {
        &self.shards[name].0
    }

    fn goes_down(&self, name: &str) {
        self.shards[name].1.cancel();
    }

    fn owner(&self, key: &[u8; 32]) -> String {
        self.published.borrow().owner(key).expect("somebody is up").member.name.clone()
    }

    /// A digest whose owner is this one as of now.
    fn digest_of(&self, name: &str, from: u32) -> Digest {
        let digests = (from..).map(|at| Digest::of(&at.to_be_bytes()));
        digests.into_iter().find(|digest| self.owner(&digest.hash) == name).expect("one of many")
    }
}

fn keys(count: u32) -> Vec<FileKey> {
    (0..count).map(|at| FileKey(Digest::of(&at.to_be_bytes()).hash)).collect()
}

fn file(key: FileKey) -> FileEntry {
    FileEntry::File(Digest { hash: key.0, size: 1 })
}

fn bare(digest: Digest) -> Blob {
    Blob { digest, contents: None }
}

/// Lets tasks go on until only time can wake them.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn each_owner_is_asked_once_and_the_answers_are_in_order() {
    let cluster = Cluster::of(&["a", "b", "c"]);
    let keys = keys(100);
    let known: Vec<_> = keys.iter().skip(50).map(|key| (*key, file(*key))).collect();
    cluster.routed.record(known, long()).await.expect("recorded");
    let entries = cluster.routed.resolve(&keys, long()).await.expect("resolved");
    for (at, (key, entry)) in keys.iter().zip(entries).enumerate() {
        assert_eq!(entry, (at >= 50).then(|| file(*key)), "{at}");
        let owner = cluster.shard(&cluster.owner(&key.0));
        assert_eq!(owner.file(*key).is_some(), at >= 50, "kept by its owner");
    }
    for name in ["a", "b", "c"] {
        assert_eq!(cluster.shard(name).calls(), ["record", "resolve"]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_missing_is_told_in_the_order_of_the_question() {
    let cluster = Cluster::of(&["a", "b", "c"]);
    let blobs: Vec<Blob> = (0..60_u32)
        .map(|at| {
            let contents = Bytes::copy_from_slice(&at.to_be_bytes());
            let digest = Digest::of(&contents);
            Blob { digest, contents: (at % 2 == 0).then_some(contents) }
        })
        .collect();
    let bare: Vec<_> =
        blobs.iter().filter(|blob| blob.contents.is_none()).map(|blob| blob.digest).collect();
    let ensured = cluster.routed.ensure(blobs.clone(), Trust::Presence, Source(1), long()).await;
    assert_eq!(ensured.expect("ensured"), bare);
    for blob in blobs.iter().filter(|blob| blob.contents.is_some()) {
        assert!(cluster.shard(&cluster.owner(&blob.digest.hash)).has(blob.digest));
    }
}

#[tokio::test(start_paused = true)]
async fn a_part_whose_owner_fails_is_asked_of_the_next_and_the_others_are_not_asked_again() {
    for code in [Code::Unavailable, Code::Cancelled] {
        let cluster = Cluster::of(&["a", "b", "c"]);
        cluster.shard("b").set(Mood::Fails(code));
        let keys = keys(100);
        let files = keys.iter().map(|key| (*key, file(*key))).collect();
        let (routed, keys_of_b) = (cluster.routed.clone(), keys.clone());
        let moved = keys_of_b.into_iter().find(|key| cluster.owner(&key.0) == "b");
        let recorded = tokio::spawn(async move { routed.record(files, long()).await });
        settle().await;
        cluster.publish(&["a", "c"]);
        recorded.await.expect("no panic").expect("recorded");
        for key in keys {
            assert!(cluster.shard(&cluster.owner(&key.0)).file(key).is_some());
        }
        let next = cluster.owner(&moved.expect("b had some").0);
        assert_eq!(cluster.shard(&next).calls(), ["record", "record"], "its own, and what was b's");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_under_way_at_a_member_that_goes_down_is_given_up() {
    let cluster = Cluster::of(&["a", "b"]);
    cluster.shard("b").set(Mood::Silent);
    let digest = cluster.digest_of("b", 0);
    let routed = cluster.routed.clone();
    let asked = Instant::now();
    let ensured = tokio::spawn(async move {
        routed.ensure(vec![bare(digest)], Trust::Presence, Source(1), Deadline::after(LIMIT)).await
    });
    settle().await;
    cluster.publish(&["a"]);
    cluster.goes_down("b");
    assert_eq!(ensured.await.expect("no panic").expect("asked of a"), [digest]);
    assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
}

#[tokio::test(start_paused = true)]
async fn calls_under_way_at_a_member_that_drains_go_on() {
    let cluster = Cluster::of(&["a", "b"]);
    cluster.shard("b").set(Mood::Silent);
    let digest = cluster.digest_of("b", 0);
    let routed = cluster.routed.clone();
    let ensured = tokio::spawn(async move {
        routed.ensure(vec![bare(digest)], Trust::Presence, Source(1), Deadline::after(LIMIT)).await
    });
    settle().await;
    cluster.publish(&["a"]);
    tokio::time::sleep(LONG).await;
    assert!(!ensured.is_finished());
    assert!(cluster.shard("a").calls().is_empty());
    ensured.abort();
}

#[tokio::test(start_paused = true)]
async fn a_final_error_is_told_at_once() {
    let cluster = Cluster::of(&["a"]);
    cluster.shard("a").set(Mood::Fails(Code::InvalidArgument));
    let error = cluster.routed.resolve(&keys(1), long()).await.expect_err("refused");
    assert_eq!(error.code, Code::InvalidArgument);
    assert_eq!(cluster.shard("a").calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_member_that_stays_up_and_fails_is_believed_after_seconds() {
    let cluster = Cluster::of(&["a"]);
    cluster.shard("a").set(Mood::Fails(Code::Unavailable));
    let asked = Instant::now();
    let error = cluster.routed.resolve(&keys(1), long()).await.expect_err("its backend is away");
    assert_eq!(error.code, Code::Unavailable);
    let took = asked.elapsed().as_secs_f64();
    assert!((3.0..4.0).contains(&took), "{took}");
}

#[tokio::test(start_paused = true)]
async fn with_nobody_up_a_question_waits_until_its_deadline() {
    let cluster = Cluster::of(&["a"]);
    cluster.publish(&[]);
    let asked = Instant::now();
    let error = cluster.routed.resolve(&keys(1), long()).await.expect_err("nobody");
    assert_eq!(error.code, Code::Unavailable);
    assert_eq!(error.message, "no shard is up: x: refused on purpose");
    assert_eq!(asked.elapsed().as_secs(), LONG.as_secs());

    let routed = cluster.routed.clone();
    let resolved = tokio::spawn(async move { routed.resolve(&keys(1), long()).await });
    settle().await;
    cluster.publish(&["a"]);
    assert_eq!(resolved.await.expect("no panic").expect("answered"), [None]);
}

#[tokio::test(start_paused = true)]
async fn forgetting_never_fails_and_never_waits_long() {
    let cluster = Cluster::of(&["a", "b", "c"]);
    cluster.shard("b").set(Mood::Silent);
    cluster.shard("c").set(Mood::Fails(Code::Unavailable));
    let lost = ["a", "b", "c"].map(|name| cluster.digest_of(name, 0));
    let asked = Instant::now();
    cluster.routed.forget(&lost, long()).await.expect("it never fails");
    assert!(asked.elapsed() <= Duration::from_secs(2), "{:?}", asked.elapsed());
    assert!(cluster.shard("a").has_forgotten(lost[0]));

    cluster.publish(&[]);
    let asked = Instant::now();
    cluster.routed.forget(&lost, long()).await.expect("it never fails");
    assert!(asked.elapsed() <= Duration::from_secs(2), "{:?}", asked.elapsed());
}

#[tokio::test(start_paused = true)]
async fn nothing_is_loaded_from_an_owner_that_is_away() {
    let cluster = Cluster::of(&["a"]);
    let contents = Bytes::from_static(b"kept");
    let digest = Digest::of(&contents);
    let blob = Blob { digest, contents: Some(contents.clone()) };
    cluster.routed.ensure(vec![blob], Trust::Presence, Source(1), long()).await.expect("kept");
    let load = || cluster.routed.load(digest, long());
    assert_eq!(load().await.expect("held"), Some(contents));
    cluster.shard("a").set(Mood::Fails(Code::Unavailable));
    assert_eq!(load().await.expect("no error"), None);
    cluster.shard("a").set(Mood::Fails(Code::DataLoss));
    assert_eq!(load().await.expect_err("no word of being away").code, Code::DataLoss);
    cluster.publish(&[]);
    assert_eq!(load().await.expect("no error"), None);
}

#[tokio::test(start_paused = true)]
async fn a_manifest_is_assembled_where_its_pieces_belong_to_others() {
    let cluster = Cluster::of(&["a", "b", "c"]);
    let chunks = keys(12);
    let piece = |at: usize| FileEntry::Chunk {
        view: goma_common::View::whole(Digest { hash: chunks[at].0, size: 1 }),
        offset: at as u64,
    };
    // Some came before, some come with it.
    let before = (0..8).map(|at| (chunks[at], piece(at))).collect();
    cluster.routed.record(before, long()).await.expect("recorded");
    let manifest = FileKey(Digest::of(b"manifest").hash);
    let entry = FileEntry::Manifest { size: 12, chunks: chunks.clone().into(), whole: None };
    let mut with: Vec<_> = (8..12).map(|at| (chunks[at], piece(at))).collect();
    with.insert(2, (manifest, entry));
    cluster.routed.record(with, long()).await.expect("recorded");

    let entries = cluster.routed.resolve(&[manifest], long()).await.expect("resolved");
    let assembled = entries[0].as_ref().and_then(FileEntry::contents);
    assert!(assembled.is_some(), "{entries:?}");
    let entries = cluster.routed.resolve(&chunks, long()).await.expect("resolved");
    assert!(entries.iter().all(Option::is_some), "the pieces have their own owners too");
}

#[tokio::test(start_paused = true)]
async fn equal_actions_are_joined_at_their_owner_and_run_by_everybody_without_one() {
    let cluster = Cluster::of(&["a", "b"]);
    let action = cluster.digest_of("b", 0);
    let join = |deadline| {
        let routed = cluster.routed.clone();
        tokio::spawn(async move { routed.join(action, false, deadline).await })
    };
    let Turn::Run(lease) = join(long()).await.expect("no panic") else { panic!("nobody ran it") };
    let waiting = join(long());
    settle().await;
    lease.end(&Ok(Executed { result: ActionResult::default(), cached: true }));
    assert!(matches!(waiting.await.expect("no panic"), Turn::Ran(ran) if ran.is_ok()));
    assert!(cluster.shard("a").calls().is_empty());

    cluster.shard("b").set(Mood::Silent);
    let waiting = join(Deadline::after(LIMIT));
    settle().await;
    cluster.goes_down("b");
    assert!(matches!(waiting.await.expect("no panic"), Turn::Run(_)), "it is not waited for");
    cluster.publish(&[]);
    assert!(matches!(join(long()).await.expect("no panic"), Turn::Run(_)));
}

#[tokio::test(start_paused = true)]
async fn an_owner_that_is_away_until_the_deadline_is_named() {
    let cluster = Cluster::of(&["a"]);
    cluster.shard("a").set(Mood::Silent);
    let error = cluster.routed.resolve(&keys(1), long()).await.expect_err("no answer");
    assert_eq!(error.code, Code::DeadlineExceeded);
    assert!(error.message.starts_with("shard a: "), "{error}");
}
