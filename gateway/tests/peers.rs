//! What connections show: certificates, headers of proxies, and what balancers tell of who connected.

mod support;

use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::Arc;

use goma_common::testing::Authority;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use support::served_for;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// The answer to a ping that is sent after these bytes, with these headers; nothing where there is
/// none.
async fn ping(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    before: &[u8],
    headers: &[(&str, &str)],
) -> String {
    let mut request = String::from_utf8_lossy(before).into_owned();
    request.push_str("POST /cxx-compiler-service/ping HTTP/1.1\r\nHost: goma\r\n");
    request.push_str("Connection: close\r\nContent-Length: 0\r\n");
    for (name, value) in headers {
        write!(request, "{name}: {value}\r\n").expect("a string");
    }
    request.push_str("\r\n");
    // Whoever is not let in may be hung up on at once.
    let _ = stream.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

async fn plain_ping(address: SocketAddr, before: &[u8], headers: &[(&str, &str)]) -> String {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    ping(&mut stream, before, headers).await
}

#[tokio::test]
async fn a_proxy_of_ours_names_users_and_nobody_else_does() {
    let flags = "--proxy-user-header x-user --allowed-users *@farm.example";
    let ann = ("x-user", "ann@farm.example");
    let ours = served_for(&format!("--trusted-proxies 127.0.0.0/8 {flags}")).await;
    assert!(plain_ping(ours, b"", &[ann]).await.contains(" 200 "));
    for (headers, status) in [
        (&[][..], " 401 "),
        (&[("x-user", "eve@else.example")], " 403 "),
        (&[("x-user", "eve@else.example"), ann], " 401 "),
        (&[("Authorization", "Bearer ann@farm.example")], " 401 "),
    ] {
        let answer = plain_ping(ours, b"", headers).await;
        assert!(answer.contains(status), "{headers:?}: {answer}");
    }
    let strange = served_for(&format!("--trusted-proxies 10.0.0.0/8 {flags}")).await;
    for forged in
        [&[ann][..], &[ann, ("X-Forwarded-For", "10.0.0.1")], &[ann, ("Forwarded", "for=10.0.0.1")]]
    {
        let answer = plain_ping(strange, b"", forged).await;
        assert!(answer.contains(" 401 "), "{forged:?}: {answer}");
    }
}

#[tokio::test]
async fn whoever_comes_through_a_balancer_is_no_proxy_by_that() {
    let flags = "--trusted-proxies 127.0.0.0/8 --proxy-protocol --proxy-user-header x-user \
                 --allowed-users *@farm.example";
    let address = served_for(flags).await;
    let ann = ("x-user", "ann@farm.example");
    let v2 = |command: u8, rest: &[u8]| {
        let length = u8::try_from(rest.len()).expect("short");
        [b"\r\n\r\n\0\r\nQUIT\n", &[command, 0x11, 0, length][..], rest].concat()
    };
    for (before, status) in [
        // A proxy of ours behind the balancer.
        (b"PROXY TCP4 127.0.0.9 127.0.0.1 1 2\r\n".to_vec(), " 200 "),
        // The balancer's own health check, or somebody of whom it cannot tell.
        (b"PROXY UNKNOWN\r\n".to_vec(), " 401 "),
        (b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0".to_vec(), " 401 "),
        // A client, who writes what he likes.
        (b"PROXY TCP4 198.51.100.7 127.0.0.1 1 2\r\n".to_vec(), " 401 "),
    ] {
        let answer = plain_ping(address, &before, &[ann]).await;
        assert!(answer.contains(status), "{}: {answer}", String::from_utf8_lossy(&before));
    }
    for none in [&b""[..], b"PROXY TCP4 nobody\r\n", &v2(0x21, &[1; 3])] {
        let answer = plain_ping(address, none, &[ann]).await;
        assert!(answer.is_empty(), "{answer}");
    }
}

#[tokio::test]
async fn a_header_of_the_proxy_protocol_is_nothing_where_nobody_expects_it() {
    let answer = plain_ping(
        served_for("--allow-anybody").await,
        b"PROXY TCP4 127.0.0.9 127.0.0.1 1 2\r\n",
        &[],
    );
    assert!(answer.await.contains(" 400 "));
}

/// An authority of clients, and files of a gateway that knows it.
struct Tls {
    servers: Authority,
    clients: Authority,
    dir: TempDir,
}

impl Tls {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        Self { servers: Authority::default(), clients: Authority::default(), dir }
    }

    fn write(&self, name: &str, text: &str) -> String {
        let file = self.dir.path().join(name);
        std::fs::write(&file, text).expect("writes");
        file.display().to_string()
    }

    fn flags(&self) -> String {
        let (certificate, key) = self.servers.vouch("goma.example");
        let (certificate, key) = (self.write("c", &certificate), self.write("k", &key));
        let ca = self.write("ca", &self.clients.pem());
        format!("--tls-certificate {certificate} --tls-key {key} --tls-client-ca {ca}")
    }

    /// The answer to one who shows a certificate of this name by this authority, or none.
    async fn ping(&self, address: SocketAddr, shown: Option<(&Authority, &str)>) -> String {
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(self.servers.pem().as_bytes()).expect("PEM");
        roots.add(root).expect("a root");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots);
        let config = match shown {
            None => config.with_no_client_auth(),
            Some((authority, name)) => {
                let (certificate, key) = authority.vouch(name);
                let certificate = CertificateDer::from_pem_slice(certificate.as_bytes());
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("PEM");
                let chain = vec![certificate.expect("PEM")];
                config.with_client_auth_cert(chain, key).expect("they fit")
            }
        };
        let stream = TcpStream::connect(address).await.expect("a connection");
        let name = ServerName::try_from("goma.example").expect("a name");
        match TlsConnector::from(Arc::new(config)).connect(name, stream).await {
            Ok(mut stream) => ping(&mut stream, b"", &[]).await,
            Err(_) => String::new(),
        }
    }
}

#[tokio::test]
async fn a_certificate_says_who_one_is() {
    let tls = Tls::new();
    let acl = tls.write(
        "acl",
        "[[group]]\nid = \"out\"\ncertificates = [\"old.farm.example\"]\nreject = true\n\
         [[group]]\nid = \"hosts\"\ncertificates = [\"build.farm.example\", \"old.farm.example\"]\n",
    );
    let all = served_for(&tls.flags()).await;
    let some = served_for(&format!("{} --acl-file {acl}", tls.flags())).await;
    let optional = served_for(&format!("{} --tls-client-optional", tls.flags())).await;
    let ours = &tls.clients;
    for (address, name, status) in [
        (all, "anybody.example", " 200 "),
        (some, "build.farm.example", " 200 "),
        (some, "old.farm.example", " 403 "),
        (some, "anybody.example", " 403 "),
        (optional, "anybody.example", " 200 "),
    ] {
        let answer = tls.ping(address, Some((ours, name))).await;
        assert!(answer.contains(status), "{name}: {answer}");
    }
    assert!(tls.ping(all, None).await.is_empty(), "it has to be shown");
    let answer = tls.ping(optional, None).await;
    assert!(answer.contains(" 401 ") && answer.contains("no certificate"), "{answer}");
    let stranger = Authority::default();
    for address in [all, optional] {
        let answer = tls.ping(address, Some((&stranger, "build.farm.example"))).await;
        assert!(answer.is_empty(), "{answer}");
    }
}
