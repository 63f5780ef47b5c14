//! Facts in a real Redis: kept, expiring, shared, and what happens when it is away.

mod support;

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::FutureExt;
use goma_common::shards::{Blob, Shards, Source, Trust};
use goma_common::testing::ScriptedBackend;
use goma_common::{Code, Deadline, Digest, FileEntry, FileKey};
use goma_shard::facts::{Facts, Redis};
use goma_shard::{LocalShard, ShardConfig};
use support::{RedisServer, config, eventually};

fn file(n: u32) -> (FileKey, FileEntry) {
    let contents = n.to_be_bytes();
    (FileKey::of_file(&contents), FileEntry::File(Digest::of(&contents)))
}

fn shard(facts: Arc<Redis>, cas: &ScriptedBackend) -> LocalShard {
    let config = ShardConfig {
        memory_entries: 10_000,
        presence_life: Duration::from_secs(600),
        max_upload_bytes: 1 << 30,
        contents_memory: 0,
        contents_disk: None,
    };
    LocalShard::start(config, facts, cas.backend(1 << 20)).expect("starts")
}

fn deadline() -> Deadline {
    Deadline::after(Duration::from_secs(30))
}

#[tokio::test]
async fn facts_are_shared_and_expire() {
    let redis = RedisServer::start().await;
    let (one, other) = (redis.facts(), redis.facts());
    let files: Vec<_> = (0..3000).map(file).collect();
    one.put_mappings(files.clone()).await.expect("takes them");
    let keys: Vec<FileKey> = files.iter().map(|(key, _)| *key).chain([file(9999).0]).collect();
    let told = other.mappings(&keys).await.expect("tells them");
    let known: Vec<_> = files.iter().map(|(_, entry)| Some(entry.clone())).chain([None]).collect();
    assert_eq!(told, known);

    let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
    one.epoch().await.expect("an epoch");
    other.epoch().await.expect("the same");
    one.put_present(vec![a, b]).await;
    one.drop_present(vec![b]).await;
    let present = other.present(&[a, b]).await;
    assert!(present[0].is_some_and(|age| age < Duration::from_secs(60)), "{present:?}");
    assert_eq!(present[1], None);

    let expiring = "return {redis.call('DBSIZE'), #redis.call('KEYS', 'goma:epoch:*')}";
    assert_eq!(redis.cli(&["EVAL", expiring, "0"]).trim(), "3002\n1");
    let ttls = "local n = 0 for _, key in ipairs(redis.call('KEYS', 'goma:[fp]:*')) do \
                if redis.call('TTL', key) > 0 then n = n + 1 end end return n";
    assert_eq!(redis.cli(&["EVAL", ttls, "0"]).trim(), "3001", "each has an expiry");
}

#[tokio::test]
async fn another_epoch_is_seen_by_all_and_presence_of_another_backend_by_none() {
    let redis = RedisServer::start().await;
    let (one, other) = (redis.facts(), redis.facts());
    let mut elsewhere = config(vec![redis.url()]);
    elsewhere.namespace = "another backend".to_owned();
    let elsewhere = Redis::new(&elsewhere).expect("a URL");
    let a = Digest::of(b"a");
    assert_eq!(one.epoch().await.expect("it"), other.epoch().await.expect("it"));
    one.put_present(vec![a]).await;
    assert!(other.present(&[a]).await[0].is_some());
    elsewhere.epoch().await.expect("an epoch");
    assert_eq!(elsewhere.present(&[a]).await, [None]);
    let epoch = one.bump_epoch().await.expect("bumps");
    assert_eq!(other.epoch().await.expect("it"), epoch);
    assert_eq!(other.present(&[a]).await, [None]);
    // A store that was emptied does not bring the old epoch back.
    redis.cli(&["FLUSHALL"]);
    assert_eq!(other.epoch().await.expect("it"), epoch);
}

#[tokio::test]
async fn while_redis_is_away_presence_is_unknown_at_once_and_mappings_are_waited_for() {
    let mut redis = RedisServer::start().await;
    let facts = redis.facts();
    let (key, entry) = file(1);
    facts.put_mappings(vec![(key, entry.clone())]).await.expect("takes it");
    facts.epoch().await.expect("an epoch");
    facts.put_present(vec![Digest::of(b"a")]).await;
    redis.kill();

    let start = Instant::now();
    for _ in 0..100 {
        assert_eq!(facts.present(&[Digest::of(b"a")]).await, [None]);
    }
    // The first may wait its milliseconds; the others do not even ask.
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    facts.drop_present(vec![Digest::of(b"a")]).await;

    let keys = [key];
    let mut waiting = Box::pin(facts.mappings(&keys));
    assert!((&mut waiting).now_or_never().is_none());
    redis.restart().await;
    assert_eq!(waiting.await.expect("answers"), [None], "it came back empty");
    facts.put_mappings(vec![(key, entry.clone())]).await.expect("takes it");
    assert_eq!(facts.mappings(&keys).await.expect("answers"), [Some(entry)]);
}

#[tokio::test]
async fn what_could_not_be_dropped_is_dropped_when_redis_is_back() {
    let mut redis = RedisServer::start().await;
    let facts = redis.facts();
    let a = Digest::of(b"a");
    facts.epoch().await.expect("an epoch");
    facts.put_present(vec![a]).await;
    let row = redis.cli(&["--raw", "KEYS", "goma:p:*"]);
    assert!(!row.is_empty());
    // It stops answering for a while, as a slow one does, and forgets nothing.
    redis.cli(&["CLIENT", "PAUSE", "400", "ALL"]);
    facts.drop_present(vec![a]).await;
    eventually("it is dropped", async || {
        let _ = facts.epoch().await;
        redis.cli(&["--raw", "KEYS", "goma:p:*"]).trim().is_empty()
    })
    .await;
    assert_eq!(facts.present(&[a]).await, [None]);
    redis.kill();
}

#[tokio::test]
async fn a_shard_that_died_is_succeeded_with_all_that_it_knew() {
    let redis = RedisServer::start().await;
    let cas = ScriptedBackend::default();
    let contents = Bytes::from_static(b"int x;");
    let digest = Digest::of(&contents);
    let blobs = vec![Blob { digest, contents: Some(contents.clone()) }];
    let first = shard(Arc::new(redis.facts()), &cas);
    // Presence is kept once the shard knows the epoch.
    eventually("it is kept", async || {
        let blobs = blobs.clone();
        first.ensure(blobs, Trust::Nothing, Source(1), deadline()).await.expect("ensures");
        !redis.cli(&["--raw", "KEYS", "goma:p:*"]).trim().is_empty()
    })
    .await;
    let key = FileKey::of_file(&contents);
    first.record(vec![(key, FileEntry::File(digest))], deadline()).await.expect("records");
    drop(first);

    let next = shard(Arc::new(redis.facts()), &cas);
    let entries = next.resolve(&[key], deadline()).await.expect("resolves");
    assert_eq!(entries, [Some(FileEntry::File(digest))]);
    eventually("it is known to be there", async || {
        let before = cas.calls();
        let blobs = vec![Blob { digest, contents: None }];
        next.ensure(blobs, Trust::Presence, Source(1), deadline()).await.expect("ensures");
        cas.calls() == before
    })
    .await;
}

#[tokio::test]
async fn a_store_that_was_emptied_gets_back_what_memory_holds() {
    let redis = RedisServer::start().await;
    let shard = shard(Arc::new(redis.facts()), &ScriptedBackend::default());
    let files: Vec<_> = (0..2500).map(file).collect();
    shard.record(files.clone(), deadline()).await.expect("records");
    eventually("it has looked at the store", async || {
        redis.cli(&["EXISTS", "goma:marker"]).trim() == "1"
    })
    .await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    redis.cli(&["FLUSHALL"]);
    let fresh = redis.facts();
    let keys: Vec<FileKey> = files.iter().map(|(key, _)| *key).collect();
    eventually("all is back", async || {
        fresh.mappings(&keys).await.expect("answers").iter().all(Option::is_some)
    })
    .await;
}

#[tokio::test]
async fn a_redis_cluster_is_one_store() {
    let nodes = [RedisServer::node().await, RedisServer::node().await, RedisServer::node().await];
    let addresses = nodes.iter().map(|node| format!("127.0.0.1:{}", node.port));
    let made = Command::new("redis-cli")
        .args(["--cluster", "create"])
        .args(addresses)
        .arg("--cluster-yes")
        .output()
        .expect("redis-cli");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stdout));
    eventually("the cluster is made", async || {
        nodes.iter().all(|node| node.cli(&["CLUSTER", "INFO"]).contains("cluster_state:ok"))
    })
    .await;

    let facts = Redis::new(&config(nodes.iter().map(RedisServer::url).collect())).expect("URLs");
    let files: Vec<_> = (0..300).map(file).collect();
    facts.put_mappings(files.clone()).await.expect("takes them");
    let keys: Vec<FileKey> = files.iter().map(|(key, _)| *key).collect();
    let told = facts.mappings(&keys).await.expect("tells them");
    assert_eq!(told, files.iter().map(|(_, entry)| Some(entry.clone())).collect::<Vec<_>>());
    assert!(nodes.iter().all(|node| node.cli(&["DBSIZE"]).trim() != "0"), "all nodes have some");
    facts.epoch().await.expect("an epoch");
    let digests: Vec<Digest> = (0..100_u32).map(|n| Digest::of(&n.to_be_bytes())).collect();
    // A first question may take longer than presence waits: connections to three nodes are made.
    eventually("presence is kept", async || {
        facts.put_present(digests.clone()).await;
        facts.present(&digests).await.iter().all(Option::is_some)
    })
    .await;
    facts.drop_present(digests[..50].to_vec()).await;
    let present = facts.present(&digests).await;
    assert_eq!(present.iter().filter(|known| known.is_some()).count(), 50);
    assert!(!facts.was_emptied().await);
}

#[tokio::test]
async fn a_wrong_password_is_an_error_without_the_password() {
    let redis = RedisServer::start().await;
    redis.cli(&["CONFIG", "SET", "requirepass", "right"]);
    let mut wrong = config(vec![redis.url()]);
    wrong.password = Some("wr0ng-secret".to_owned());
    let error = Redis::new(&wrong).expect("a URL").epoch().await.expect_err("refused");
    assert!(!error.message.contains("wr0ng-secret"), "{error}");
    assert!(error.message.contains("by --redis-password-file"), "what to do is said: {error}");
    let nobody = Redis::new(&config(vec![redis.url()])).expect("a URL");
    let error = nobody.epoch().await.expect_err("it wants a password");
    assert!(error.message.contains("by --redis-password-file"), "what to do is said: {error}");
    let mut right = config(vec![redis.url()]);
    right.password = Some("right".to_owned());
    Redis::new(&right).expect("a URL").epoch().await.expect("let in");
    let error = Redis::new(&config(vec!["http://x".to_owned()])).err().expect("no URL of Redis");
    assert_eq!(error.code, Code::InvalidArgument);
}

#[tokio::test]
async fn a_redis_that_speaks_tls_is_verified_and_its_users_are_let_in() {
    let (redis, certificate) = RedisServer::tls().await;
    let mut trusted = config(vec![format!("rediss://127.0.0.1:{}", redis.port)]);
    let untrusted = Redis::new(&trusted).expect("a URL");
    untrusted.epoch().await.expect_err("nobody vouches for it");
    trusted.ca_certificate = Some(certificate);
    Redis::new(&trusted).expect("a URL").epoch().await.expect("it is known");
    // A user who may do with our keys what we do with them, and nothing else.
    let may = ["~goma:*", "&*", "+@all", "-@dangerous", "+info", "+keys"];
    let user = [&["ACL", "SETUSER", "farm", "on", ">swordfish"][..], &may].concat();
    assert_eq!(redis.cli(&user).trim(), "OK");
    assert_eq!(redis.cli(&["ACL", "SETUSER", "default", "off"]).trim(), "OK");
    Redis::new(&trusted).expect("a URL").epoch().await.expect_err("nobody in particular");
    (trusted.username, trusted.password) = (Some("farm".to_owned()), Some("swordfish".to_owned()));
    let facts = Redis::new(&trusted).expect("a URL");
    facts.epoch().await.expect("let in");
    facts.put_present(vec![Digest::of(b"a")]).await;
    assert!(facts.present(&[Digest::of(b"a")]).await[0].is_some(), "what it does it may do");
}
