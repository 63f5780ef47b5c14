//! Which traces are kept: those that the sampler chooses, and whatever was slow or failed.

use std::time::Duration;

use goma_loadtest::cluster::{Cluster, Command, Fault};
use goma_loadtest::{Client, ClientConfig, Server};
use goma_proto::shard::shard_client::ShardClient;
use goma_proto::shard::{Blob, Digest, EnsureRequest};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::Request;

use super::receiver::{Received, Receiver};
use super::support::{Tree, assert_success};
use super::{Walk, start, until};

/// A trace of a client's own.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// The answer of the cluster to a request, as it is sent.
async fn post(cluster: &Cluster, route: &str, headers: &str, body: &str) -> String {
    let host = cluster.server().trim_start_matches("http://").to_owned();
    let mut stream = TcpStream::connect(&host).await.expect("connects");
    let length = body.len();
    let request = format!(
        "POST /cxx-compiler-service/{route} HTTP/1.1\r\nHost: {host}\r\n\
         Content-Length: {length}\r\nConnection: close\r\n{headers}\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.expect("written");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("read");
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_is_kept_though_nothing_is_sampled_in_the_trace_of_its_client() {
    let dir = tempfile::tempdir().expect("a directory");
    let (receiver, address) = Receiver::start_http("s3same").await;
    let otlp = format!("http://{address}");
    let otlp = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*otlp),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-api-key=s3same"),
        ("OTEL_TRACES_SAMPLER", "always_off"),
    ];
    let Some(cluster) = start(dir.path(), &otlp).await else { return };
    let server = Server::parse(&cluster.server()).expect("a server");
    let (client, tree) = (Client::new(ClientConfig::new(server, false)), Tree::new());
    assert_success(&client.compile(tree.command("gcc -Iinc -c a.c -o obj/a.o")).await);

    let headers =
        format!("Authorization: Bearer s3cret\r\ntraceparent: 00-{TRACE}-{PARENT}-00\r\n");
    let answer = post(&cluster, "e", &headers, "\u{1}\u{2}\u{3}").await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");

    let spans = until(&receiver, |spans| spans.iter().any(|span| span.name.starts_with("POST")));
    let spans = spans.await;
    assert!(spans.iter().all(|span| hex::encode(&span.trace) == TRACE), "{spans:#?}");
    let first = spans.iter().find(|span| span.name.starts_with("POST")).expect("just seen");
    assert!(first.failed && hex::encode(&first.parent) == PARENT, "{first:?}");
    assert_eq!(first.attributes["goma.outcome"], "failed");
    assert_eq!(first.attributes["error.type"], "400");
    assert!(spans.iter().any(|span| span.name == "exec" && span.parent == first.id), "{spans:#?}");
    assert!(!format!("{spans:?}").contains("s3"), "a secret in {spans:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_slow_is_kept_whole_though_nothing_is_sampled() {
    let dir = tempfile::tempdir().expect("a directory");
    let (receiver, address) = Receiver::start().await;
    let otlp = format!("http://{address}");
    let otlp = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*otlp),
        ("OTEL_TRACES_SAMPLER", "always_off"),
        ("GOMA_TRACE_SLOW", "1ms"),
    ];
    let Some(cluster) = start(dir.path(), &otlp).await else { return };
    let server = Server::parse(&cluster.server()).expect("a server");
    let (client, tree) = (Client::new(ClientConfig::new(server, false)), Tree::new());
    assert_success(&client.compile(tree.command("gcc -Iinc -c a.c -o obj/a.o")).await);

    let ran = |span: &Received| span.attributes.get("goma.outcome").is_some_and(|end| end == "ran");
    // An upload goes by way of a shard to the backend: that takes longer than a millisecond.
    let uploaded = |span: &&Received| span.service == "goma-shard" && span.name == "upload";
    let spans = until(&receiver, |spans| {
        let mut of_it = spans.iter().filter(|span| ran(span)).map(|span| &span.trace);
        of_it.any(|trace| spans.iter().filter(uploaded).any(|span| span.trace == *trace))
    });
    let spans = spans.await;
    let first = spans.iter().find(|span| ran(span)).expect("just seen");
    let trace = Walk(spans.iter().filter(|span| span.trace == first.trace).collect());
    let exec = trace.below(first, "exec");
    for stage in ["job", "platform", "inputs", "action", "cached", "ensure", "execute", "outputs"] {
        trace.below(exec, stage);
    }
    let name = "goma.shard.v1.Shard/Ensure";
    let ensure = trace.below(trace.below(trace.below(exec, "ensure"), name), name);
    assert_eq!(ensure.service, "goma-shard");
    trace.below(ensure, "ask");
    trace.below(ensure, "upload");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_fails_at_a_shard_is_kept_by_the_shard() {
    let dir = tempfile::tempdir().expect("a directory");
    let (receiver, address) = Receiver::start().await;
    let otlp = format!("http://{address}");
    let otlp = [("OTEL_EXPORTER_OTLP_ENDPOINT", &*otlp), ("OTEL_TRACES_SAMPLER", "always_off")];
    let Some(mut cluster) = start(dir.path(), &otlp).await else { return };
    let cut = Command::Break("backend".to_owned(), Fault::Refused);
    cluster.run(&cut).await.expect("cut");
    let members = cluster.status().members;
    let shard = members.iter().find(|member| member.name == "shard-1").expect("a shard");
    let mut shard = ShardClient::connect(format!("http://{}", shard.address)).await.expect("there");

    let digest = Digest { hash: vec![7; 32].into(), size_bytes: 5 };
    let blob = vec![Blob { digest: Some(digest), contents: None }];
    let mut request = Request::new(EnsureRequest { blob, bypass_presence: true, source: 0 });
    request.set_timeout(Duration::from_millis(500));
    let parent = format!("00-{TRACE}-{PARENT}-00").parse().expect("ASCII");
    request.metadata_mut().insert("traceparent", parent);
    shard.ensure(request).await.expect_err("the backend is away");

    let served = |span: &&Received| span.name == "goma.shard.v1.Shard/Ensure";
    let spans = until(&receiver, |spans| spans.iter().any(|span| served(&span))).await;
    let served = spans.iter().find(served).expect("just seen");
    assert_eq!(served.service, "goma-shard");
    assert_eq!(
        (hex::encode(&served.trace), hex::encode(&served.parent)),
        (TRACE.into(), PARENT.into())
    );
    assert!(served.failed, "{served:?}");
    assert!(["4", "14"].contains(&&*served.attributes["rpc.grpc.status_code"]), "{served:?}");
    assert!(served.attributes.contains_key("error.type"), "{served:?}");
    assert!(spans.iter().all(|span| hex::encode(&span.trace) == TRACE), "{spans:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_requests_that_nobody_sampled_the_ratio_is_kept() {
    let dir = tempfile::tempdir().expect("a directory");
    let (receiver, address) = Receiver::start().await;
    let otlp = format!("http://{address}");
    let otlp = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*otlp),
        ("OTEL_TRACES_SAMPLER", "traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "0.5"),
    ];
    let Some(cluster) = start(dir.path(), &otlp).await else { return };
    for _ in 0..60 {
        let answer = post(&cluster, "l", "", "").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    // What fails is sent in any case, and after all that came before it.
    post(&cluster, "e", "", "\u{1}\u{2}\u{3}").await;
    let spans = until(&receiver, |spans| spans.iter().any(|span| span.failed)).await;
    let looked_up = |span: &&Received| span.name == "POST /cxx-compiler-service/l";
    let kept = spans.iter().filter(looked_up).count();
    assert!((15..=45).contains(&kept), "{kept} of 60");
}
