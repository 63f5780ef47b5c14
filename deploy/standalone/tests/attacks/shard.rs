//! Whoever reaches a shard's port: messages that are too large or no messages at all.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use goma_common::drain::Drain;
use goma_common::testing::ScriptedBackend;
use goma_common::{Digest, FileKey};
use goma_proto::shard as proto;
use goma_proto::shard::shard_client::ShardClient;
use goma_shard::facts::Memory;
use goma_shard::{LocalShard, Served, ShardConfig, serve};
use tokio::net::TcpListener;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use crate::support::http::{Connection, get};

struct Case {
    address: SocketAddr,
    cas: ScriptedBackend,
}

impl Case {
    async fn start() -> Self {
        let config = ShardConfig {
            memory_entries: 1000,
            presence_life: Duration::from_secs(3600),
            max_upload_bytes: 64 << 20,
            contents_memory: 0,
            contents_disk: None,
        };
        let cas = ScriptedBackend::default();
        let shard = LocalShard::start(config, Arc::new(Memory::default()), cas.backend(0));
        let served = Served {
            name: "a".to_owned(),
            weight: 1,
            backend: "farm".to_owned(),
            shard: Arc::new(shard.expect("starts")),
            max_arriving_bytes: 8 << 20,
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(serve(served, listener, None, Drain::new()));
        Self { address, cas }
    }

    async fn client(&self) -> ShardClient<Channel> {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address)).expect("a URL");
        let channel =
            endpoint.timeout(Duration::from_secs(30)).connect().await.expect("it listens");
        ShardClient::new(channel)
    }

    async fn is_unharmed(&self) {
        let keys = vec![FileKey::of_file(b"unknown").0.to_vec().into()];
        let request = proto::ResolveRequest { key: keys };
        let answer = self.client().await.resolve(request).await.expect("answered").into_inner();
        assert_eq!(answer.resolution.len(), 1);
        assert!(answer.resolution[0].entry.is_none());
        assert_eq!(self.cas.calls().uploads, [], "something went to the backend");
    }
}

fn refused<T>(answer: Result<T, Status>, code: Code, what: &str) {
    let status = answer.err().unwrap_or_else(|| panic!("{what}: it was taken"));
    assert_eq!(status.code(), code, "{what}: {status}");
}

/// More than a message may be.
const LARGE: usize = 5 << 20;

#[tokio::test]
async fn messages_over_the_limit_are_refused() {
    let case = Case::start().await;
    let mut client = case.client().await;
    let large = bytes::Bytes::from(vec![7; LARGE]);
    let digest = Some(proto::Digest::from(Digest::of(&large)));
    let resolve = proto::ResolveRequest { key: vec![large.clone()] };
    refused(client.resolve(resolve).await, Code::OutOfRange, "keys");
    let blob = proto::Blob { digest: digest.clone(), contents: Some(large.clone()) };
    let ensure = proto::EnsureRequest { blob: vec![blob], ..Default::default() };
    refused(client.ensure(ensure).await, Code::OutOfRange, "contents");
    let head = proto::UploadRequest { digest, data: large, ..Default::default() };
    let upload = client.upload(tokio_stream::iter([head])).await;
    refused(upload, Code::OutOfRange, "a piece");
    case.is_unharmed().await;
}

#[tokio::test]
async fn contents_that_are_not_what_they_are_said_to_be_are_refused() {
    let case = Case::start().await;
    let mut client = case.client().await;
    let said = Digest::of(b"said");
    let piece = |digest: Option<Digest>, data: &[u8]| proto::UploadRequest {
        digest: digest.map(Into::into),
        data: data.to_vec().into(),
        ..Default::default()
    };
    let endless = (0..1000).map(|at| piece((at == 0).then_some(said), &[0; 64 << 10]));
    let endless: Vec<_> = endless.collect();
    let vast = Digest { size: 1 << 40, ..said };
    for (what, messages) in [
        ("other bytes", vec![piece(Some(said), b"sent")]),
        ("more than was said", endless),
        ("less than was said", vec![piece(Some(said), b"s")]),
        ("no digest", vec![piece(None, b"said")]),
        ("a tebibyte", vec![piece(Some(vast), b"said")]),
        ("nothing at all", vec![]),
    ] {
        refused(client.upload(tokio_stream::iter(messages)).await, Code::InvalidArgument, what);
    }
    let odd = vec![bytes::Bytes::from_static(b"no key")];
    let resolve = proto::ResolveRequest { key: odd };
    refused(client.resolve(resolve).await, Code::InvalidArgument, "a key of six bytes");
    let short = proto::Digest { hash: vec![1].into(), size_bytes: -1 };
    let forget = proto::ForgetRequest { digest: vec![short] };
    refused(client.forget(forget).await, Code::InvalidArgument, "a digest of one byte");
    case.is_unharmed().await;
}

#[tokio::test]
async fn what_is_no_call_of_ours_is_hung_up_on() {
    let case = Case::start().await;
    let port = case.address.port();
    let answer = get(port, "/healthz").await;
    assert!(answer.is_none_or(|reply| reply.status >= 400), "HTTP/1 is not spoken here");
    for bytes in
        [&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], b"*1\r\n$4\r\nPING\r\n", &[0; 100]]
    {
        let mut connection = Connection::open(port).await.expect("it listens");
        connection.send(bytes).await;
        assert!(connection.reply().await.is_none(), "{bytes:?}");
    }
    // Requests under way that never end are as many as a connection may have, and others have theirs.
    let mut client = case.client().await;
    let mut waiting = Vec::new();
    for _ in 0..500 {
        let mut client = client.clone();
        let never = tokio_stream::pending::<proto::UploadRequest>();
        waiting.push(tokio::spawn(async move { client.upload(never).await.map(drop) }));
    }
    case.is_unharmed().await;
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
    client.describe(proto::DescribeRequest {}).await.expect("answered");
}
