//! Gateways and shards that show each other certificates, and strangers at a shard's port.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use goma_common::drain::Drain;
use goma_common::shards::Shards;
use goma_common::testing::{Authority, ScriptedBackend};
use goma_common::tls::{PeerTlsArgs, ServerTlsArgs};
use goma_common::{Deadline, Digest, FileEntry, FileKey};
use goma_gateway::ring::{MemberList, Membership, NamedShard, Routed};
use goma_shard::facts::Memory;
use goma_shard::{LocalShard, Served, ShardConfig, serve};
use tempfile::TempDir;
use tokio::net::TcpListener;

const BACKEND: &str = "farm:1 instance main";

#[derive(Parser)]
struct ServerFlags {
    #[command(flatten)]
    tls: ServerTlsArgs,
}

#[derive(Parser)]
struct PeerFlags {
    #[command(flatten)]
    tls: PeerTlsArgs,
}

/// A shard that wants certificates of this authority.
struct Case {
    authority: Authority,
    address: SocketAddr,
    dir: TempDir,
}

impl Case {
    async fn start() -> Self {
        let (authority, dir) = (Authority::default(), tempfile::tempdir().expect("a directory"));
        let ca = write(dir.path(), "ca", &authority.pem());
        let (certificate, key) = vouched(dir.path(), &authority, "goma-shard");
        let line =
            ["x", "--tls-certificate", &certificate, "--tls-key", &key, "--tls-client-ca", &ca];
        let ServerFlags { tls } = ServerFlags::try_parse_from(line).expect("parses");
        let tls = tls.open(&["h2"]).expect("files");
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
            backend: BACKEND.to_owned(),
            shard: Arc::new(shard.expect("starts")),
            max_arriving_bytes: 64 << 20,
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(serve(served, listener, tls, Drain::new()));
        Self { authority, address, dir }
    }

    /// What becomes of a gateway with these flags that stores a fact.
    async fn gateway(&self, flags: &[&str]) -> Result<(), String> {
        let PeerFlags { tls } =
            PeerFlags::try_parse_from(["x"].iter().chain(flags)).expect("parses");
        let name = "a".to_owned();
        let shard = NamedShard { name, address: self.address.to_string(), weight: 1 };
        let list = MemberList::Named(vec![shard]);
        let tls = tls.open().expect("files");
        let membership = Membership::start(list, BACKEND.to_owned(), tls);
        let shards = Routed::new(membership.view());
        let fact = (FileKey::of_file(b"a"), FileEntry::File(Digest::of(b"a")));
        let deadline = Deadline::after(Duration::from_secs(3));
        shards.record(vec![fact], deadline).await.map_err(|error| error.message)
    }
}

fn write(dir: &Path, name: &str, text: &str) -> String {
    let file: PathBuf = dir.join(format!("{name}.pem"));
    std::fs::write(&file, text).expect("writes");
    file.display().to_string()
}

fn vouched(dir: &Path, authority: &Authority, name: &str) -> (String, String) {
    let (certificate, key) = authority.vouch(name);
    (write(dir, name, &certificate), write(dir, &format!("{name}-key"), &key))
}

#[tokio::test]
async fn a_gateway_of_the_cluster_is_served_and_nobody_else() {
    let case = Case::start().await;
    let ca = write(case.dir.path(), "ca", &case.authority.pem());
    let (certificate, key) = vouched(case.dir.path(), &case.authority, "gateway");
    let own = ["--shards-certificate", &certificate, "--shards-key", &key];
    let trusting = ["--shards-ca", &ca];
    case.gateway(&[&trusting[..], &own].concat()).await.expect("one of ours");

    let why = case.gateway(&[]).await.expect_err("no TLS");
    assert!(why.contains("no shard is up"), "{why}");
    let why = case.gateway(&trusting).await.expect_err("no certificate");
    assert!(why.contains("no shard is up"), "{why}");
    let stranger = Authority::default();
    let (certificate, key) = vouched(case.dir.path(), &stranger, "stranger");
    let strange = ["--shards-certificate", &certificate, "--shards-key", &key];
    let why = case.gateway(&[&trusting[..], &strange].concat()).await.expect_err("a stranger");
    assert!(why.contains("no shard is up"), "{why}");
    let strange_ca = write(case.dir.path(), "strange-ca", &stranger.pem());
    let flags = [&["--shards-ca", &strange_ca][..], &own].concat();
    let why = case.gateway(&flags).await.expect_err("a strange shard");
    assert!(why.contains("ertificate"), "{why}");
    let flags = [&trusting[..], &own, &["--shards-server-name", "another"]].concat();
    let why = case.gateway(&flags).await.expect_err("another name");
    assert!(why.contains("ertificate"), "{why}");
}
