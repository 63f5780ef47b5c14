//! Traces and metrics of a whole cluster, received by a real receiver: who called whom, which are kept, and
//! what is counted.

#[path = "../support/mod.rs"]
mod support;

mod collector;
mod kept;
mod metrics;
mod receiver;

use std::path::Path;
use std::time::Duration;

use goma_loadtest::cluster::{Cluster, Config};
use goma_loadtest::{Client, ClientConfig, Server};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use receiver::{Received, Receiver};
use support::{Tree, assert_success};

/// Spans are sent within this.
const SENT: Duration = Duration::from_secs(20);

/// The cluster, or a word about the program that is not there: `cargo test --workspace` makes all.
async fn start(dir: &Path, otlp: &[(&str, &str)]) -> Option<Cluster> {
    let mut config = Config { gateways: 1, shards: 2, balancer: false, ..Config::new(dir) };
    let common = [
        ("OTEL_METRICS_EXPORTER", "none"),
        ("OTEL_BSP_SCHEDULE_DELAY", "100"),
        ("GOMA_TRACE_SLOW", "1h"),
    ];
    let env = common.iter().chain(otlp);
    config.env = env.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    match Cluster::start(config).await {
        Err(error) if error.to_string().contains("not found; ") => {
            eprintln!("skipped: {error}");
            None
        }
        started => Some(started.expect("started")),
    }
}

/// Waits until what was received will do.
async fn until(receiver: &Receiver, enough: impl Fn(&[Received]) -> bool) -> Vec<Received> {
    let received = async {
        loop {
            let spans = receiver.spans();
            if enough(&spans) {
                return spans;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let names = |spans: Vec<Received>| {
        spans.iter().map(|span| format!("{} {}", span.service, span.name)).collect::<Vec<_>>()
    };
    let received = tokio::time::timeout(SENT, received).await;
    received.unwrap_or_else(|_| panic!("received {:#?}", names(receiver.spans())))
}

/// The trace of one request, to be walked down from its first span.
struct Walk<'a>(Vec<&'a Received>);

impl<'a> Walk<'a> {
    fn below(&self, parent: &Received, name: &str) -> &'a Received {
        let below = || self.0.iter().filter(|span| span.parent == parent.id);
        below().find(|span| span.name == name).unwrap_or_else(|| {
            let names: Vec<_> = below().map(|span| &span.name).collect();
            panic!("below {:?} is {names:?}, and not {name:?}", parent.name)
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compile_is_one_trace_from_the_gateway_to_redis_and_the_backend() {
    let (receiver, address) = Receiver::start().await;
    compile_is_one_trace(&receiver, &format!("http://{address}")).await;
}

/// The trace of one compile, as the receiver has it that the endpoint leads to.
async fn compile_is_one_trace(receiver: &Receiver, endpoint: &str) {
    let dir = tempfile::tempdir().expect("a directory");
    let otlp = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint), ("OTEL_TRACES_SAMPLER", "always_on")];
    let Some(cluster) = start(dir.path(), &otlp).await else { return };
    let server = Server::parse(&cluster.server()).expect("a server");
    let (client, tree) = (Client::new(ClientConfig::new(server, false)), Tree::new());
    assert_success(&client.compile(tree.command("gcc -Iinc -c a.c -o obj/a.o")).await);

    let is_first = |span: &&Received| span.name == "POST /cxx-compiler-service/e";
    let ran = |span: &&Received| {
        span.attributes.get("goma.outcome").is_some_and(|outcome| outcome == "ran")
    };
    let spans = until(receiver, |spans| spans.iter().filter(is_first).any(|span| ran(&span)));
    let first = spans.await.into_iter().find(|span| is_first(&span) && ran(&span));
    let first = first.expect("just seen");
    let of_it = |spans: &[Received]| spans.iter().filter(|s| s.trace == first.trace).count();
    // The parts of a trace are sent by three processes.
    let served = "build.bazel.remote.execution.v2.Execution/Execute";
    let spans = until(receiver, |spans| {
        let backend = |span: &Received| span.service == "remoteexec_proxy" && span.name == served;
        spans.iter().any(|span| span.trace == first.trace && backend(span)) && of_it(spans) > 20
    });
    let spans = spans.await;
    let trace = Walk(spans.iter().filter(|span| span.trace == first.trace).collect());

    assert_eq!((first.service.as_str(), first.kind), ("goma-gateway", SpanKind::Server));
    assert!(first.parent.is_empty() && !first.failed, "{first:?}");
    let told = |name: &str| first.attributes.get(name).map_or("", String::as_str);
    assert_eq!(told("http.route"), "/cxx-compiler-service/e");
    assert_eq!(told("http.response.status_code"), "200");
    assert_eq!((told("url.scheme"), told("url.path")), ("http", "/cxx-compiler-service/e"));
    assert_eq!((told("goma.cache_hit"), told("goma.compiler")), ("false", "gcc"));
    assert!(told("goma.action").len() > 64, "{:?}", first.attributes);
    assert!(told("goma.worker.run_ms").parse::<f64>().is_ok_and(|ms| ms > 0.0));

    let exec = trace.below(&first, "exec");
    for stage in ["job", "platform", "inputs", "action", "cached", "ensure", "execute", "outputs"] {
        trace.below(exec, stage);
    }
    let call = |from: &Received, service: &str, name: &str| {
        let client = trace.below(from, name);
        assert_eq!(client.kind, SpanKind::Client, "{name}");
        let server = trace.below(client, name);
        for end in [client, server] {
            assert_eq!(end.attributes["rpc.system"], "grpc");
            assert_eq!(end.attributes["rpc.grpc.status_code"], "0", "{name}");
        }
        assert_eq!(client.attributes["server.address"], "127.0.0.1", "{name}");
        assert!(client.attributes.contains_key("server.port"), "{name}");
        assert_eq!((server.service.as_str(), server.kind), (service, SpanKind::Server), "{name}");
        server.clone()
    };
    let record = call(trace.below(exec, "inputs"), "goma-shard", "goma.shard.v1.Shard/Record");
    let redis = trace.below(&record, "SET");
    assert_eq!(redis.attributes["db.system.name"], "redis");
    assert_eq!(redis.attributes["server.address"], "127.0.0.1");
    let ensure = call(trace.below(exec, "ensure"), "goma-shard", "goma.shard.v1.Shard/Ensure");
    let cas = "build.bazel.remote.execution.v2.ContentAddressableStorage";
    call(trace.below(&ensure, "ask"), "remoteexec_proxy", &format!("{cas}/FindMissingBlobs"));
    call(trace.below(&ensure, "upload"), "remoteexec_proxy", &format!("{cas}/BatchUpdateBlobs"));
    call(trace.below(exec, "execute"), "remoteexec_proxy", served);
}
