//! Metrics that are sent by OTLP, and how whoever sends them shows who he is.

use std::time::Duration;

use goma_common::testing::Authority;
use goma_loadtest::{Client, ClientConfig, Server};
use tonic::transport::Certificate;

use super::receiver::{Counted, Receiver};
use super::support::{Tree, assert_success};
use super::{SENT, start, until};

/// Waits until a compile that ran was counted.
async fn counted(receiver: &Receiver) -> Counted {
    let compile = |counted: &Counted| {
        counted.metric == "goma_request"
            && counted.attributes.get("kind").is_some_and(|kind| kind == "exec")
            && counted.attributes.get("outcome").is_some_and(|outcome| outcome == "ran")
    };
    let waited = async {
        loop {
            if let Some(found) = receiver.counted().into_iter().find(compile) {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let waited = tokio::time::timeout(SENT, waited).await;
    waited.unwrap_or_else(|_| panic!("received {:#?}", receiver.counted()))
}

#[tokio::test(flavor = "multi_thread")]
async fn compiles_are_counted_for_a_service_that_its_operator_names() {
    let dir = tempfile::tempdir().expect("a directory");
    let (receiver, address) = Receiver::start().await;
    let otlp = format!("http://{address}");
    let otlp = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*otlp),
        ("OTEL_METRICS_EXPORTER", "otlp"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "200"),
        ("OTEL_SERVICE_NAME", "farm"),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=staging,service.namespace=build"),
    ];
    let Some(cluster) = start(dir.path(), &otlp).await else { return };
    let server = Server::parse(&cluster.server()).expect("a server");
    let (client, tree) = (Client::new(ClientConfig::new(server, false)), Tree::new());
    assert_success(&client.compile(tree.command("gcc -Iinc -c a.c -o obj/a.o")).await);

    let counted = counted(&receiver).await;
    assert_eq!(counted.count, 1);
    assert_eq!(counted.resource["service.name"], "farm");
    assert_eq!(counted.resource["deployment.environment.name"], "staging");
    assert_eq!(counted.resource["service.namespace"], "build");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_with_tls_is_shown_our_certificate_and_our_key() {
    let dir = tempfile::tempdir().expect("a directory");
    let authority = Authority::default();
    let tls =
        authority.server_tls("localhost").client_ca_root(Certificate::from_pem(authority.pem()));
    let (receiver, address) = Receiver::start_tls(tls, "s3same").await;
    let files = tempfile::tempdir().expect("a directory");
    let (certificate, key) = authority.vouch("goma");
    let file = |name: &str, text: String| {
        let path = files.path().join(name);
        std::fs::write(&path, text).expect("written");
        path.to_str().expect("UTF-8").to_owned()
    };
    let authority = file("ca.pem", authority.pem());
    let (certificate, key) = (file("client.pem", certificate), file("client.key", key));
    let otlp = format!("https://localhost:{}", address.port());
    let otlp = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*otlp),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", &authority),
        ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", &certificate),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", &key),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-api-key=s3same"),
        ("OTEL_METRICS_EXPORTER", "otlp"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "200"),
        ("OTEL_TRACES_SAMPLER", "always_on"),
    ];
    let Some(cluster) = start(dir.path(), &otlp).await else { return };
    let server = Server::parse(&cluster.server()).expect("a server");
    let (client, tree) = (Client::new(ClientConfig::new(server, false)), Tree::new());
    assert_success(&client.compile(tree.command("gcc -Iinc -c a.c -o obj/a.o")).await);

    counted(&receiver).await;
    let services = ["goma-gateway", "goma-shard", "remoteexec_proxy"];
    let told = |service: &str| receiver.spans().iter().any(|span| span.service == *service);
    until(&receiver, |_| services.iter().all(|service| told(service))).await;
}
