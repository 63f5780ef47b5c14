//! Gateways and shards over real connections. Nothing here waits for a time: only for what happens.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use goma_common::reapi::Executed;
use goma_common::shards::{Blob, Shards, Source, Trust};
use goma_common::turn::Turn;
use goma_common::{Code, Deadline, Digest, FileEntry, FileKey};
use goma_proto::reapi::ActionResult;
use tokio::net::{TcpListener, TcpStream};

use super::super::member_list::NamedShard;
use super::super::routed::Routed;
use super::super::testing::{Mood, Server};
use super::*;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

fn long() -> Deadline {
    Deadline::after(PATIENCE)
}

fn named(shards: &[(&str, SocketAddr)]) -> Membership {
    let shards = shards.iter().map(|(name, address)| NamedShard {
        name: (*name).to_owned(),
        address: address.to_string(),
        weight: 1,
    });
    Membership::start(MemberList::Named(shards.collect()), "b".to_owned(), None)
}

fn names(view: &View) -> Vec<&str> {
    view.ring().members().iter().map(|member| member.name.as_str()).collect()
}

impl Membership {
    async fn until(&self, what: &str, holds: impl FnMut(&Arc<View>) -> bool) -> Arc<View> {
        let mut view = self.view();
        let found = tokio::time::timeout(PATIENCE, view.wait_for(holds)).await;
        found.unwrap_or_else(|_| panic!("never: {what}")).expect("it is kept").clone()
    }

    async fn until_up(&self, up: &[&str]) -> Arc<View> {
        self.until(&format!("{up:?} up"), |view| names(view) == up).await
    }

    /// Waits until the words of why nobody is up hold this.
    async fn until_out(&self, why: &str) {
        self.until(why, |view| view.is_empty() && view.nobody().message.contains(why)).await;
    }

    fn routed(&self) -> Arc<Routed> {
        Arc::new(Routed::new(self.view()))
    }

    fn key_of(&self, name: &str) -> FileKey {
        let view = self.view.borrow().clone();
        let keys = (0..10_000_u32).map(|at| Digest::of(&at.to_be_bytes()).hash);
        let owned = |key: &[u8; 32]| view.owner(key).is_some_and(|up| up.member.name == name);
        FileKey(keys.into_iter().find(owned).expect("one of many"))
    }
}

/// Waits until a shard was asked this often.
async fn asked(server: &Server, times: usize) {
    let asked = async {
        while server.shard.calls().len() < times {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asked).await.expect("it is asked");
}

#[tokio::test]
async fn every_call_arrives_and_comes_back() {
    let server = Server::start("a");
    let membership = named(&[("a", server.address)]);
    let view = membership.until_up(&["a"]).await;
    let routed = membership.routed();
    let (key, digest) = (FileKey([7; 32]), Digest::of(b"x"));
    let entry = FileEntry::File(digest);
    routed.record(vec![(key, entry.clone())], long()).await.expect("recorded");
    let entries = routed.resolve(&[FileKey([8; 32]), key], long()).await.expect("resolved");
    assert_eq!(entries, [None, Some(entry)]);
    assert_eq!(server.rings(), [format!("{:016x}", view.ring().hash())]);
    routed.forget(&[digest], long()).await.expect("told");
    assert!(server.shard.has_forgotten(digest));

    server.shard.set(Mood::Fails(Code::DataLoss));
    let error = routed.resolve(&[key], long()).await.expect_err("on purpose");
    assert_eq!(
        (error.code, error.message.as_str()),
        (Code::DataLoss, "shard a: Resolve: on purpose")
    );
}

#[tokio::test]
async fn contents_of_any_size_arrive_and_large_ones_only_when_they_are_missing() {
    let server = Server::start("a");
    let membership = named(&[("a", server.address)]);
    membership.until_up(&["a"]).await;
    let routed = membership.routed();
    let blob = |size: usize, fill: u8| {
        let contents = Bytes::from(vec![fill; size]);
        Blob { digest: Digest::of(&contents), contents: Some(contents) }
    };
    let mut blobs: Vec<Blob> = (0..8).map(|fill| blob(1_000_000, fill)).collect();
    let large = blob(5_000_000, 8);
    let absent = Digest::of(b"nobody has it");
    blobs.push(large.clone());
    blobs.push(Blob { digest: absent, contents: None });
    for _ in 0..2 {
        let ensured = routed.ensure(blobs.clone(), Trust::Presence, Source(1), long()).await;
        assert_eq!(ensured.expect("ensured"), [absent]);
    }
    assert_eq!(server.uploads(), [large.digest], "once: then it was there");
    let sizes = server.ensures();
    assert!(sizes.iter().all(|size| *size <= 3 << 20), "{sizes:?}");
    assert!(blobs[..9].iter().all(|blob| server.shard.has(blob.digest)));
    assert_eq!(routed.load(large.digest, long()).await.expect("held"), large.contents);
    assert_eq!(routed.load(absent, long()).await.expect("an answer"), None);
}

#[tokio::test]
async fn an_action_is_run_once_and_again_when_its_runner_gives_up() {
    let server = Server::start("a");
    let membership = named(&[("a", server.address)]);
    membership.until_up(&["a"]).await;
    let action = Digest::of(b"action");
    let join = || {
        let routed = membership.routed();
        tokio::spawn(async move { routed.join(action, false, long()).await })
    };
    let Turn::Run(first) = join().await.expect("no panic") else { panic!("nobody ran it") };
    let second = join();
    asked(&server, 2).await;
    drop(first);
    let Turn::Run(lease) = second.await.expect("no panic") else { panic!("nobody ended it") };
    let third = join();
    asked(&server, 3).await;
    let result = ActionResult { exit_code: 3, ..Default::default() };
    lease.end(&Ok(Executed { result, cached: false }));
    match third.await.expect("no panic") {
        Turn::Ran(outcome) => assert_eq!(outcome.expect("it ran").result.exit_code, 3),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn those_that_wait_for_a_shard_that_dies_run_the_action_themselves() {
    let server = Server::start("a");
    let membership = named(&[("a", server.address)]);
    membership.until_up(&["a"]).await;
    let action = Digest::of(b"action");
    let held = membership.routed().join(action, false, long()).await;
    let routed = membership.routed();
    let waiting = tokio::spawn(async move { routed.join(action, false, long()).await });
    asked(&server, 2).await;
    drop(server);
    assert!(matches!(waiting.await.expect("no panic"), Turn::Run(_)));
    drop(held);
}

#[tokio::test]
async fn a_shard_that_dies_leaves_the_ring_and_comes_back() {
    let (a, b) = (Server::start("a"), Server::start("b"));
    let membership = named(&[("a", a.address), ("b", b.address)]);
    membership.until_up(&["a", "b"]).await;
    let routed = membership.routed();
    let key = membership.key_of("b");
    b.shard.set(Mood::Silent);
    let under_way = {
        let routed = routed.clone();
        tokio::spawn(async move { routed.resolve(&[key], long()).await })
    };
    asked(&b, 1).await;
    let address = b.address;
    drop(b);
    assert_eq!(under_way.await.expect("no panic").expect("answered by a"), [None]);
    membership.until_up(&["a"]).await;
    let b = Server::start_on("b", "b", address);
    membership.until_up(&["a", "b"]).await;
    routed.resolve(&[key], long()).await.expect("answered by b");
    assert_eq!(b.shard.calls(), ["resolve"]);
}

#[tokio::test]
async fn a_shard_behind_a_cut_network_is_given_up() {
    let (a, b) = (Server::start("a"), Server::start("b"));
    let wire = Wire::to(b.address).await;
    let membership = named(&[("a", a.address), ("b", wire.address)]);
    membership.until_up(&["a", "b"]).await;
    let key = membership.key_of("b");
    wire.cut.send_replace(true);
    let routed = membership.routed();
    let answer = routed.resolve(&[key], long()).await;
    assert_eq!(answer.expect("answered by a"), [None]);
    assert_eq!(a.shard.calls(), ["resolve"]);
    membership.until_up(&["a"]).await;
}

#[tokio::test]
async fn a_shard_that_drains_leaves_the_ring_and_ends_its_calls() {
    let (a, b) = (Server::start("a"), Server::start("b"));
    let membership = named(&[("a", a.address), ("b", b.address)]);
    membership.until_up(&["a", "b"]).await;
    let action = Digest { hash: membership.key_of("b").0, size: 1 };
    let Turn::Run(lease) = membership.routed().join(action, false, long()).await else {
        panic!("nobody ran it")
    };
    let routed = membership.routed();
    let waiting = tokio::spawn(async move { routed.join(action, false, long()).await });
    asked(&b, 2).await;
    b.set_draining().await;
    membership.until_up(&["a"]).await;
    lease.end(&Ok(Executed { result: ActionResult::default(), cached: false }));
    assert!(matches!(waiting.await.expect("no panic"), Turn::Ran(_)), "over the old link");
}

#[tokio::test]
async fn a_stranger_stays_out_and_the_words_say_why() {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let other = Server::start_on("x", "b", any);
    named(&[("a", other.address)]).until_out("the shard there is \"x\", not \"a\"").await;
    let elsewhere = Server::start_on("a", "farm:1 instance z", any);
    let why = "shard \"a\" serves another backend: \"farm:1 instance z\", and ours is \"b\"";
    named(&[("a", elsewhere.address)]).until_out(why).await;
}

#[tokio::test]
async fn a_stranger_that_takes_over_an_address_is_found_out() {
    let a = Server::start("a");
    let address = a.address;
    let membership = named(&[("a", address)]);
    membership.until_up(&["a"]).await;
    drop(a);
    let _other = Server::start_on("x", "b", address);
    membership.until_out("the shard there is \"x\", not \"a\"").await;
}

#[tokio::test]
async fn shards_behind_a_dns_name_say_their_own_names() {
    let server = Server::start("a");
    let name = format!("localhost:{}", server.address.port());
    let membership = Membership::start(MemberList::Dns(name), "b".to_owned(), None);
    let view = membership.until_up(&["a"]).await;
    assert_eq!(view.ring().members()[0].weight, 3, "as it says");

    let nowhere = MemberList::Dns("no-such-host.invalid:1".to_owned());
    Membership::start(nowhere, "b".to_owned(), None).until_out("no-such-host.invalid:1: ").await;
}

/// A way to a server that can be cut: then nothing passes and nobody is told.
struct Wire {
    address: SocketAddr,
    cut: watch::Sender<bool>,
    _task: AbortOnDropHandle<()>,
}

impl Wire {
    async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (cut, is_cut) = watch::channel(false);
        let task = tokio::spawn(async move {
            let mut ends = tokio::task::JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                ends.spawn(carry(near, server, is_cut.clone()));
            }
        });
        Self { address, cut, _task: AbortOnDropHandle::new(task) }
    }
}

async fn carry(mut near: TcpStream, server: SocketAddr, mut is_cut: watch::Receiver<bool>) {
    let mut far = TcpStream::connect(server).await.expect("it listens");
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => return,
        _ = is_cut.wait_for(|cut| *cut) => {}
    }
    // Both stay open.
    std::future::pending::<()>().await;
}
