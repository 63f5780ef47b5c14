//! A shard over gRPC, as a gateway of any release sees it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use goma_common::drain::Drain;
use goma_common::testing::{ScriptedBackend, bears_given_up_calls};
use goma_common::{Digest, FileEntry, FileKey};
use goma_proto::shard::join_response::Turn;
use goma_proto::shard::shard_client::ShardClient;
use goma_proto::shard::{
    Blob, BumpEpochRequest, DescribeRequest, EnsureRequest, ForgetRequest, JoinRequest,
    LoadRequest, NewFile, Outcome, RecordRequest, ResolveRequest, UploadRequest, outcome,
};
use goma_shard::facts::Memory;
use goma_shard::{LocalShard, Served, ShardConfig, serve};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Streaming};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

struct Running {
    cas: ScriptedBackend,
    drain: Drain,
    channel: Channel,
    address: std::net::SocketAddr,
}

impl Running {
    async fn start() -> Self {
        let cas = ScriptedBackend::default();
        let config = ShardConfig {
            memory_entries: 1000,
            presence_life: Duration::from_secs(3600),
            max_upload_bytes: 64 << 20,
            contents_memory: 512 << 20,
            contents_disk: None,
        };
        let shard = LocalShard::start(config, Arc::new(Memory::default()), cas.backend(1 << 20));
        let served = Served {
            name: "a".to_owned(),
            weight: 3,
            backend: "farm:1 instance main".to_owned(),
            shard: Arc::new(shard.expect("starts")),
            max_arriving_bytes: 64 << 20,
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let drain = Drain::new();
        tokio::spawn(serve(served, listener, None, drain.clone()));
        let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("a URI");
        Self { cas, drain, channel: endpoint.connect().await.expect("a connection"), address }
    }

    fn client(&self) -> ShardClient<Channel> {
        ShardClient::new(self.channel.clone())
    }

    async fn health(&self) -> ServingStatus {
        let request = HealthCheckRequest { service: "goma.shard.v1.Shard".to_owned() };
        let answer = HealthClient::new(self.channel.clone()).check(request).await.expect("health");
        answer.into_inner().status()
    }

    /// Asks for a turn; the sender keeps the stream open.
    async fn join(&self, name: &[u8]) -> (mpsc::Sender<JoinRequest>, Streaming<JoinResponse>) {
        let (messages, stream) = mpsc::channel(4);
        let action = Some(Digest::of(name).into());
        let head = JoinRequest { action, ..Default::default() };
        messages.send(head).await.expect("open");
        let answers = self.client().join(ReceiverStream::new(stream)).await.expect("joins");
        (messages, answers.into_inner())
    }
}

type JoinResponse = goma_proto::shard::JoinResponse;

async fn turn(answers: &mut Streaming<JoinResponse>) -> Turn {
    let answer = tokio::time::timeout(Duration::from_secs(10), answers.message()).await;
    answer.expect("in time").expect("a message").expect("before the end").turn.expect("a turn")
}

#[tokio::test]
async fn many_calls_given_up_at_once_do_not_end_the_connection() {
    let running = Running::start().await;
    let connection = tokio::net::TcpStream::connect(running.address).await.expect("a connection");
    assert!(bears_given_up_calls(connection, 500).await.expect("it answers"), "it hung up");
}

#[tokio::test]
async fn files_are_stored_recorded_and_resolved() {
    let shard = Running::start().await;
    let mut client = shard.client();
    let contents = Bytes::from_static(b"int x;");
    let (digest, key) = (Digest::of(&contents), FileKey::of_file(&contents));
    let blob = |contents| Blob { digest: Some(digest.into()), contents };

    let asked = EnsureRequest { blob: vec![blob(None)], ..Default::default() };
    let missing = client.ensure(asked).await.expect("answers").into_inner().missing;
    assert_eq!(missing, [digest.into()]);
    let sent = EnsureRequest { blob: vec![blob(Some(contents))], ..Default::default() };
    assert_eq!(client.ensure(sent).await.expect("takes it").into_inner().missing, []);
    assert!(shard.cas.has(digest));

    let entry = FileEntry::File(digest);
    let file = NewFile { key: key.0.to_vec().into(), entry: Some((&entry).into()) };
    client.record(RecordRequest { file: vec![file] }).await.expect("records");
    let keys = vec![key.0.to_vec().into(), vec![7; 32].into()];
    let resolved = client.resolve(ResolveRequest { key: keys }).await.expect("resolves");
    let resolved = resolved.into_inner().resolution;
    assert_eq!(resolved[0].entry, Some((&entry).into()));
    assert_eq!(resolved[1].entry, None);

    let error = client.resolve(ResolveRequest { key: vec![vec![1].into()] }).await;
    assert_eq!(error.expect_err("no key").code(), Code::InvalidArgument);
}

#[tokio::test]
async fn large_contents_go_in_pieces_and_are_verified() {
    let shard = Running::start().await;
    let contents = Bytes::from(vec![b'x'; 3 << 20]);
    let digest = Digest::of(&contents);
    let upload = |last: &'static [u8]| {
        let mut messages =
            vec![UploadRequest { digest: Some(digest.into()), ..Default::default() }];
        let pieces = contents.chunks(1 << 20).map(Bytes::copy_from_slice);
        messages.extend(pieces.map(|data| UploadRequest { data, ..Default::default() }));
        messages.push(UploadRequest { data: last.into(), ..Default::default() });
        tokio_stream::iter(messages)
    };
    let error = shard.client().upload(upload(b"more")).await.expect_err("other bytes");
    assert_eq!(error.code(), Code::InvalidArgument);
    shard.client().upload(upload(b"")).await.expect("takes it");
    assert!(shard.cas.has(digest));

    // The CAS loses it, and the shard still has it.
    shard.cas.evict(digest);
    let request = LoadRequest { digest: Some(digest.into()) };
    let mut stream = shard.client().load(request).await.expect("loads").into_inner();
    let mut loaded = Vec::new();
    while let Some(message) = stream.message().await.expect("a piece") {
        loaded.extend_from_slice(&message.data);
    }
    assert_eq!(loaded, contents);
    let asked = EnsureRequest {
        blob: vec![Blob { digest: Some(digest.into()), contents: None }],
        bypass_presence: true,
        ..Default::default()
    };
    let missing = shard.client().ensure(asked).await.expect("repairs it").into_inner().missing;
    assert_eq!(missing, []);
    assert!(shard.cas.has(digest));

    let unknown = LoadRequest { digest: Some(Digest::of(b"unknown").into()) };
    let mut stream = shard.client().load(unknown).await.expect("answers").into_inner();
    assert!(stream.message().await.expect("an end").is_none());
}

#[tokio::test]
async fn what_is_forgotten_is_asked_for_again() {
    let shard = Running::start().await;
    let mut client = shard.client();
    let digest = shard.cas.put("x");
    let blob = Blob { digest: Some(digest.into()), contents: None };
    let asked = EnsureRequest { blob: vec![blob], ..Default::default() };
    for (ask, calls) in [("first", 1), ("known", 1)] {
        client.ensure(asked.clone()).await.expect("answers");
        assert_eq!(shard.cas.calls().find_missing, calls, "{ask}");
    }
    client.forget(ForgetRequest { digest: vec![digest.into()] }).await.expect("forgets");
    client.ensure(asked.clone()).await.expect("answers");
    assert_eq!(shard.cas.calls().find_missing, 2);
    client.bump_epoch(BumpEpochRequest {}).await.expect("bumps");
    client.ensure(asked).await.expect("answers");
    assert_eq!(shard.cas.calls().find_missing, 3);
}

#[tokio::test]
async fn one_runs_an_action_and_who_waits_hears_of_it() {
    let shard = Running::start().await;
    let (runs, mut first) = shard.join(b"action").await;
    assert!(matches!(turn(&mut first).await, Turn::Run(_)));
    let (_open, mut second) = shard.join(b"action").await;
    let end = outcome::End::Result(Bytes::new());
    let outcome = Outcome { end: Some(end), cached: false };
    let told = JoinRequest { outcome: Some(outcome.clone()), ..Default::default() };
    runs.send(told).await.expect("open");
    match turn(&mut second).await {
        Turn::Outcome(heard) => assert_eq!(heard, outcome),
        Turn::Run(_) => panic!("it has run"),
    }
}

#[tokio::test]
async fn a_gateway_that_dies_hands_its_turn_on() {
    let shard = Running::start().await;
    let (runs, mut first) = shard.join(b"action").await;
    assert!(matches!(turn(&mut first).await, Turn::Run(_)));
    let (_open, mut second) = shard.join(b"action").await;
    drop((runs, first));
    assert!(matches!(turn(&mut second).await, Turn::Run(_)));
}

#[tokio::test]
async fn it_says_who_it_is_and_that_it_drains() {
    let shard = Running::start().await;
    let described = shard.client().describe(DescribeRequest {}).await.expect("answers");
    let described = described.into_inner();
    assert_eq!((described.name.as_str(), described.weight), ("a", 3));
    assert_eq!(described.backend, "farm:1 instance main");
    assert_eq!(shard.health().await, ServingStatus::Serving);
    shard.drain.begin();
    let mut status = ServingStatus::Serving;
    for _ in 0..100 {
        status = shard.health().await;
        if status == ServingStatus::NotServing {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(status, ServingStatus::NotServing);
    // Calls are still taken until gateways can have seen it.
    shard.client().describe(DescribeRequest {}).await.expect("answers");
}
