//! The gateway's own port under TLS: both protocols, certificates that are renewed, and peers that only
//! pretend to shake hands.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use goma_common::drain::Drain;
use goma_common::testing::{Authority, ScriptedBackend};
use goma_gateway::args::GatewayArgs;
use goma_gateway::worker::Probed;
use goma_gateway::{Gateway, GatewayConfig, serve};
use http::{Request, StatusCode, Version};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

const NAME: &str = "goma.example";

#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    gateway: GatewayArgs,
}

struct Case {
    address: SocketAddr,
    dir: TempDir,
}

impl Case {
    async fn start(authority: &Authority) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        write(authority, dir.path());
        let tls = flags(dir.path()).port().expect("a certificate");
        let cas = ScriptedBackend::default();
        let (shards, backend) = (Arc::new(cas.clone()), cas.backend(0));
        let worker = Arc::new(Probed::new(backend.clone(), shards.clone()));
        let config = GatewayConfig::default();
        let gateway = Gateway::new(config, shards, backend, worker, Drain::new());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(serve(Arc::new(gateway), listener, tls));
        Self { address, dir }
    }

    /// A connection that trusts this authority and offers this protocol.
    async fn connect(
        &self,
        authority: &Authority,
        protocol: &str,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let pem = authority.pem();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).expect("PEM")).expect("a root");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots);
        let mut config = config.with_no_client_auth();
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        let stream = TcpStream::connect(self.address).await?;
        let name = ServerName::try_from(NAME).expect("a name");
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }
}

fn flags(dir: &Path) -> GatewayArgs {
    let [certificate, key] = files(dir).map(|file| file.display().to_string());
    let line = ["x", "--tls-certificate", &certificate, "--tls-key", &key];
    Flags::try_parse_from(line).expect("parses").gateway
}

fn files(dir: &Path) -> [PathBuf; 2] {
    ["certificate.pem", "key.pem"].map(|name| dir.join(name))
}

fn write(authority: &Authority, dir: &Path) {
    let (certificate, key) = authority.vouch(NAME);
    for (file, text) in files(dir).iter().zip([certificate, key]) {
        std::fs::write(file, text).expect("writes");
    }
}

fn ping(version: Version) -> Request<String> {
    let url = match version {
        Version::HTTP_2 => format!("https://{NAME}/healthz"),
        _ => "/healthz".to_owned(),
    };
    Request::get(url).header("host", NAME).body(String::new()).expect("a request")
}

#[tokio::test]
async fn both_protocols_are_spoken_over_tls() {
    let authority = Authority::default();
    let case = Case::start(&authority).await;
    let stream = case.connect(&authority, "http/1.1").await.expect("a handshake");
    let (mut h1, connection) = http1::handshake(TokioIo::new(stream)).await.expect("HTTP/1.1");
    tokio::spawn(connection);
    let answer = h1.send_request(ping(Version::HTTP_11)).await.expect("an answer");
    assert_eq!((answer.status(), answer.version()), (StatusCode::OK, Version::HTTP_11));
    let stream = case.connect(&authority, "h2").await.expect("a handshake");
    let (mut h2, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("HTTP/2");
    tokio::spawn(connection);
    let answer = h2.send_request(ping(Version::HTTP_2)).await.expect("an answer");
    assert_eq!((answer.status(), answer.version()), (StatusCode::OK, Version::HTTP_2));
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_to_whoever_connects_next() {
    let (first, second) = (Authority::default(), Authority::default());
    let case = Case::start(&first).await;
    case.connect(&first, "h2").await.expect("the first one's");
    case.connect(&second, "h2").await.expect_err("not the second one's yet");
    write(&second, case.dir.path());
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    case.connect(&second, "h2").await.expect("the second one's");
    // One that is spoilt while it is written changes nothing.
    std::fs::write(&files(case.dir.path())[1], "half a key").expect("writes");
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    case.connect(&second, "h2").await.expect("the second one's still");
}

#[tokio::test]
async fn those_who_never_shake_hands_hold_up_nobody_and_are_hung_up_on() {
    let authority = Authority::default();
    let case = Case::start(&authority).await;
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(TcpStream::connect(case.address).await.expect("it listens"));
    }
    let shaken = case.connect(&authority, "h2");
    tokio::time::timeout(Duration::from_secs(5), shaken).await.expect("soon").expect("served");
    let mut last = silent.pop().expect("200");
    let closed = tokio::time::timeout(Duration::from_secs(15), last.read(&mut [0])).await;
    assert!(matches!(closed.expect("hung up on"), Ok(0) | Err(_)));
}

#[test]
fn files_that_hold_something_else_are_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let fails = || flags(dir.path()).port().err().expect("no certificate").to_string();
    let why = fails();
    assert!(why.contains("--tls-certificate") && why.contains("certificate.pem"), "{why}");
    write(&Authority::default(), dir.path());
    std::fs::write(&files(dir.path())[1], "hunter2").expect("writes");
    let why = fails();
    assert!(why.contains("--tls-key") && why.contains("key.pem"), "{why}");
    assert!(!why.contains("hunter2"), "{why}");
    let (_, another) = Authority::default().vouch(NAME);
    std::fs::write(&files(dir.path())[1], another).expect("writes");
    assert!(fails().contains("--tls-key"), "the key of another certificate");
}
