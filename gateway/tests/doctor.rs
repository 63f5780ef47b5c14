//! Backends set up wrongly, each in its own way: the examination names the cause of each.

use std::time::Duration;

use clap::Parser;
use goma_common::preset::OutputFields;
use goma_common::remote_args::RemoteArgs;
use goma_common::testing::{Authority, Executions, Fault, Server, Step as Execution, free_port};
use goma_gateway::GatewayConfig;
use goma_gateway::doctor::{DoctorArgs, Finding, Outcome, Report, Step, examine};
use goma_proto::rpc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tonic::Status;
use tonic::transport::Certificate;

#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    remote: RemoteArgs,
}

async fn examined(flags: &str) -> Report {
    let flags = Flags::try_parse_from(format!("x {flags}").split_whitespace()).expect("flags");
    let config = GatewayConfig {
        platform_properties: vec![("pool".to_owned(), "large".to_owned())],
        output_fields: OutputFields::Paths,
        ..GatewayConfig::default()
    };
    let args = DoctorArgs {
        json: false,
        patience: Duration::from_secs(2),
        execution_patience: Duration::from_secs(1),
    };
    examine(&flags.remote, &config, &args).await
}

/// It stops at this step, and its advice has these words.
async fn fails(flags: &str, step: Step, words: &str) {
    let report = examined(flags).await;
    let text = report.text();
    let Some(Finding { step: failed, outcome: Outcome::Bad { advice, .. }, .. }) = report.failed()
    else {
        panic!("nothing is wrong?\n{text}");
    };
    assert_eq!(*failed, step, "{text}");
    assert!(advice.contains(words), "{words:?} is not in:\n{text}");
    assert_eq!(report.findings.last().map(|last| last.step), Some(step), "it goes no further");
}

fn plain(server: &Server) -> String {
    format!("--remoteexec-addr {} --insecure-remoteexec", server.address())
}

#[tokio::test]
async fn flags_that_name_nothing() {
    fails("", Step::Configuration, "flag").await;
    let line = "--remoteexec-addr localhost:1 --remote-token-file /no/such/file";
    fails(line, Step::Configuration, "flag").await;
}

#[tokio::test]
async fn a_name_that_nobody_knows() {
    let line = "--remoteexec-addr no-such-host.invalid:443";
    fails(line, Step::Resolution, "--remoteexec-addr").await;
}

#[tokio::test]
async fn a_port_where_nobody_listens() {
    let port = free_port();
    fails(&format!("--remoteexec-addr 127.0.0.1:{port}"), Step::Connection, "Nobody listens").await;
}

#[tokio::test]
async fn tls_where_there_is_none_and_none_where_there_is() {
    let server = Server::start().await;
    let line = format!("--remoteexec-addr {}", server.address());
    fails(&line, Step::Encryption, "--insecure-remoteexec").await;
    let server = encrypted(&Authority::default(), "localhost", None).await;
    fails(&plain(&server), Step::Capabilities, "leave out --insecure-remoteexec").await;
}

#[tokio::test]
async fn certificates_that_do_not_fit() {
    let authority = Authority::default();
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("authority.pem");
    std::fs::write(&file, authority.pem()).expect("writes");
    let trust = format!("--remote-ca-certificates {}", file.display());

    let unknown = encrypted(&authority, "localhost", None).await;
    let address = format!("--remoteexec-addr {}", unknown.address());
    fails(&address, Step::Encryption, "--remote-ca-certificates").await;

    let other = encrypted(&authority, "farm.example", None).await;
    let line = format!("--remoteexec-addr {} {trust}", other.address());
    fails(&line, Step::Encryption, "--remote-server-name").await;

    let mutual = encrypted(&authority, "localhost", Some(authority.pem())).await;
    let line = format!("--remoteexec-addr {} {trust}", mutual.address());
    let report = examined(&line).await;
    assert!(report.text().contains("--remote-client-certificate"), "{}", report.text());
}

#[tokio::test]
async fn something_else_on_that_port() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let web = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = [0; 64];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
            });
        }
    });
    let line = format!("--remoteexec-addr {address} --insecure-remoteexec");
    fails(&line, Step::Capabilities, "does not speak gRPC").await;
    web.abort();
}

#[tokio::test]
async fn who_we_are_is_not_known_or_not_enough() {
    let server = Server::start().await;
    server.faults.want(|headers| headers.contains_key("x-api-key"));
    fails(&plain(&server), Step::Capabilities, "--remote-header").await;
    let known =
        format!("{} --remote-insecure-credentials --remote-header x-api-key=1", plain(&server));
    let denied = || Fault::Fails(Status::permission_denied("readers only"));
    server.faults.next("BatchUpdateBlobs", denied());
    fails(&known, Step::Write, "may not write").await;
    server.faults.next("Execute", denied());
    fails(&known, Step::Execution, "execute").await;
}

#[tokio::test]
async fn capabilities_that_a_goma_server_cannot_use() {
    let server = Server::start().await;
    let line = plain(&server);
    server.faults.next("GetCapabilities", Fault::Fails(Status::not_found("no such instance")));
    fails(&line, Step::Capabilities, "--remote-instance-name").await;
    server.faults.next("GetCapabilities", Fault::Fails(Status::unimplemented("")));
    fails(&line, Step::Capabilities, "Remote Execution API").await;
    server.faults.next("GetCapabilities", Fault::IsSilent);
    fails(&line, Step::Capabilities, "does not answer").await;
    server.services.tell(|told| {
        told.execution_capabilities = None;
    });
    fails(&line, Step::Capabilities, "without workers").await;
    server.services.tell(|told| {
        if let Some(cache) = &mut told.cache_capabilities {
            // BLAKE3.
            cache.digest_functions = vec![9];
        }
    });
    fails(&line, Step::Capabilities, "SHA-256").await;
}

#[tokio::test]
async fn a_cas_that_cannot_be_relied_on() {
    let server = Server::start().await;
    let line = plain(&server);
    server.faults.next("BatchUpdateBlobs", Fault::Fails(Status::resource_exhausted("disk full")));
    fails(&line, Step::Write, "full").await;
    server.faults.next("BatchReadBlobs", Fault::Fails(Status::not_found("gone")));
    fails(&line, Step::Read, "gone").await;
    server.faults.next("Write", Fault::Fails(Status::unimplemented("no such service")));
    fails(&line, Step::Stream, "every service").await;
    let denied = Fault::Fails(Status::permission_denied("no cache for you"));
    server.faults.next("GetActionResult", denied);
    fails(&line, Step::ActionCache, "ever a hit").await;
}

#[tokio::test]
async fn workers_that_do_not_do_it() {
    let server = Server::start().await;
    let line = plain(&server);
    server.executions.next([Execution::Queued, Execution::Silence]);
    fails(&line, Step::Execution, "no worker has all of the properties").await;
    server.executions.next([Execution::Silence]);
    fails(&line, Step::Execution, "does not tell").await;
    let status = |code: tonic::Code, message: &str| rpc::Status {
        code: code.into(),
        message: message.to_owned(),
        ..Default::default()
    };
    let lost = status(tonic::Code::FailedPrecondition, "no such blob");
    server.executions.next([Executions::failed(lost)]);
    fails(&line, Step::Execution, "another CAS").await;
    let broken = status(tonic::Code::Internal, "cannot run: bwrap not found");
    server.executions.next([Executions::failed(broken)]);
    fails(&line, Step::Execution, "bwrap").await;
    let refused = Execution::Breaks(Status::invalid_argument("unknown property pool"));
    server.executions.next([refused]);
    fails(&line, Step::Execution, "property").await;
}

/// A server of this name; it wants the certificates of its clients from that authority.
async fn encrypted(authority: &Authority, name: &str, clients: Option<String>) -> Server {
    let tls = authority.server_tls(name);
    Server::with(Some(match clients {
        Some(authority) => tls.client_ca_root(Certificate::from_pem(authority)),
        None => tls,
    }))
    .await
}
