//! Groups that are kept apart: to know a file's hash is no way to read another group's, whichever way
//! the shards are reached.

mod support;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use goma_common::drain::Drain;
use goma_common::remote_args::RemoteArgs;
use goma_common::shards::Shards;
use goma_common::testing::ScriptedBackend;
use goma_common::{Digest, FileKey};
use goma_gateway::args::GatewayArgs;
use goma_gateway::ring::{MemberList, Membership, NamedShard, Routed};
use goma_gateway::worker::Probed;
use goma_gateway::{Gateway, serve};
use goma_proto::api::exec_req::Input;
use goma_proto::api::file_blob::BlobType;
use goma_proto::api::{
    CommandSpec, ExecReq, ExecResp, FileBlob, LookupFileReq, LookupFileResp, StoreFileReq,
    StoreFileResp, ToolchainSpec,
};
use goma_proto::reapi::{ActionResult, OutputFile};
use goma_shard::facts::Memory;
use goma_shard::{LocalShard, Served, ShardConfig};
use prost::Message;
use support::{goma, http};
use tokio::net::TcpListener;

const BACKEND: &str = "farm:1 instance main";
const ANN: &str = "goma_ann";
const BOB: &str = "goma_bob";
const CAROL: &str = "goma_carol";

#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    remote: RemoteArgs,
    #[command(flatten)]
    gateway: GatewayArgs,
}

fn shard(cas: &ScriptedBackend) -> LocalShard {
    let config = ShardConfig {
        memory_entries: 1000,
        presence_life: Duration::from_secs(3600),
        max_upload_bytes: 64 << 20,
        contents_memory: 64 << 20,
        contents_disk: None,
    };
    LocalShard::start(config, Arc::new(Memory::default()), cas.backend(0)).expect("starts")
}

/// The shards in this process, or in another as gateways of a cluster see them.
async fn shards(cas: &ScriptedBackend, is_cluster: bool) -> (Arc<dyn Shards>, Option<Membership>) {
    if !is_cluster {
        return (Arc::new(shard(cas)), None);
    }
    let served = Served {
        name: "a".to_owned(),
        weight: 1,
        backend: BACKEND.to_owned(),
        shard: Arc::new(shard(cas)),
        max_arriving_bytes: 64 << 20,
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    tokio::spawn(goma_shard::serve(served, listener, None, Drain::new()));
    let named = NamedShard { name: "a".to_owned(), address, weight: 1 };
    let membership = Membership::start(MemberList::Named(vec![named]), BACKEND.to_owned(), None);
    (Arc::new(Routed::new(membership.view())), Some(membership))
}

/// A gateway for these shards, whose groups are `red`, of Ann and Carol, and `blue`, of Bob.
async fn gateway(dir: &Path, cas: &ScriptedBackend, shards: Arc<dyn Shards>, flags: &str) -> u16 {
    let file = |name: &str, text: &str| {
        let file = dir.join(name);
        std::fs::write(&file, text).expect("writes");
        file.display().to_string()
    };
    let line = |name: &str, token: &str| format!("{name} {}\n", Digest::of(token.as_bytes()).hex());
    let tokens =
        [("ann", ANN), ("bob", BOB), ("carol", CAROL)].map(|(name, token)| line(name, token));
    let tokens = file("tokens", &tokens.concat());
    let acl = file(
        "acl.toml",
        "[[group]]\nid = \"red\"\nemails = [\"ann\", \"carol\"]\n\
         [[group]]\nid = \"blue\"\nemails = [\"bob\"]\n",
    );
    let line = format!("x --auth-token-file {tokens} --acl-file {acl} {flags}");
    let Flags { remote, gateway } = Flags::try_parse_from(line.split_whitespace()).expect("parses");
    let identity = gateway.identity([127, 0, 0, 1].into(), &remote).expect("it can be meant");
    let backend = cas.backend(0);
    let worker = Arc::new(Probed::new(backend.clone(), shards.clone()));
    let port = gateway.port().expect("no files");
    let config = gateway.config(&remote.traits());
    let gateway = Gateway::new(config, shards, backend, worker, Drain::new());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address: SocketAddr = listener.local_addr().expect("an address");
    tokio::spawn(serve(Arc::new(gateway.with_identity(identity)), listener, port));
    address.port()
}

async fn ask<A: Message + Default>(
    port: u16,
    path: &str,
    token: &str,
    message: &impl Message,
) -> A {
    let authorization = format!("Bearer {token}");
    let headers = [("Authorization", authorization.as_str())];
    let reply = http::post(port, path, &headers, &message.encode_to_vec()).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    A::decode(&reply.body[..]).expect("an answer")
}

async fn store(port: u16, token: &str, blobs: &[FileBlob]) -> Vec<String> {
    let request = StoreFileReq { blob: blobs.to_vec(), ..Default::default() };
    ask::<StoreFileResp>(port, "/s", token, &request).await.hash_key
}

/// Whether somebody is given the file of this key.
async fn sees(port: u16, token: &str, key: &str) -> bool {
    let request = LookupFileReq { hash_key: vec![key.to_owned()], ..Default::default() };
    let blob = ask::<LookupFileResp>(port, "/l", token, &request).await.blob.remove(0);
    blob.blob_type() != BlobType::FileUnspecified
}

/// The inputs that are missing when somebody compiles the file of this key.
async fn missing(port: u16, token: &str, key: &str) -> Vec<String> {
    let tool = b"#!/bin/sh\n";
    let hash = Digest::of(tool).hex();
    let input = |name: &str, hash_key: String, content| Input {
        filename: Some(name.to_owned()),
        hash_key: Some(hash_key),
        content,
    };
    let request = ExecReq {
        command_spec: Some(CommandSpec {
            name: Some("gcc".to_owned()),
            binary_hash: Some(hash.clone().into()),
            local_compiler_path: Some("tools/gcc".to_owned()),
            ..Default::default()
        }),
        arg: ["gcc", "-c", "secret.c", "-o", "a.o"].map(ToOwned::to_owned).to_vec(),
        cwd: Some("/home/a".to_owned()),
        input: vec![
            input("tools/gcc", FileKey::of_file(tool).hex(), Some(goma::file(tool))),
            input("secret.c", key.to_owned(), None),
        ],
        expected_output_files: vec!["a.o".to_owned()],
        toolchain_included: Some(true),
        toolchain_specs: vec![ToolchainSpec {
            path: Some("tools/gcc".to_owned()),
            hash: Some(hash),
            size: Some(10),
            is_executable: Some(true),
            ..Default::default()
        }],
        ..Default::default()
    };
    ask::<ExecResp>(port, "/e", token, &request).await.missing_input
}

#[tokio::test]
async fn a_file_is_seen_by_the_group_that_has_sent_it_and_by_no_other() {
    for is_cluster in [false, true] {
        let (dir, cas) = (tempfile::tempdir().expect("a directory"), ScriptedBackend::default());
        let (shards, _membership) = shards(&cas, is_cluster).await;
        let one = gateway(dir.path(), &cas, shards.clone(), "--tenancy").await;
        let other = gateway(dir.path(), &cas, shards.clone(), "--tenancy").await;
        cas.put_any_result(ActionResult {
            output_files: vec![OutputFile {
                path: "a.o".to_owned(),
                digest: Some(cas.put(b"object".to_vec()).into()),
                ..Default::default()
            }],
            ..Default::default()
        });
        let contents = vec![7; 5 << 20];
        let chunks = goma::chunks(&contents);
        let mut keys = store(one, ANN, &chunks).await;
        let manifest = goma::manifest(contents.len(), &chunks);
        let large = store(one, ANN, &[manifest]).await.remove(0);
        keys.insert(0, store(one, ANN, &[goma::file(b"secret")]).await.remove(0));
        for key in keys.iter().chain([&large]) {
            for port in [one, other] {
                assert!(sees(port, ANN, key).await && sees(port, CAROL, key).await, "{is_cluster}");
                assert!(!sees(port, BOB, key).await, "{is_cluster} {key}");
            }
        }
        for key in [&keys[0], &large] {
            assert_eq!(missing(other, BOB, key).await, ["secret.c"]);
            assert!(missing(other, CAROL, key).await.is_empty());
        }
        // He has it by having it, not by its hash; and takes it from nobody.
        assert_eq!(store(other, BOB, &[goma::file(b"secret")]).await, [keys[0].clone()]);
        assert!(sees(one, BOB, &keys[0]).await && sees(one, ANN, &keys[0]).await);
        // A key that another group's facts are kept under is no key of a file.
        let red = goma_common::Tenant::of("red");
        let kept = red.key(FileKey::parse(&large).expect("a key")).hex();
        assert!(!sees(one, BOB, &kept).await && !sees(one, ANN, &kept).await);
    }
}

#[tokio::test]
async fn without_tenancy_files_are_everybodys() {
    let (dir, cas) = (tempfile::tempdir().expect("a directory"), ScriptedBackend::default());
    let (shards, _) = shards(&cas, false).await;
    let port = gateway(dir.path(), &cas, shards, "").await;
    let keys = store(port, ANN, &[goma::file(b"secret")]).await;
    assert!(sees(port, BOB, &keys[0]).await);
}
