//! A whole cluster of real programs: it builds, its members can be broken, and nothing of it is left.

mod support;

use std::path::Path;

use goma_loadtest::cluster::control::{self, Control};
use goma_loadtest::cluster::{Cluster, Command, Config, Status};
use goma_loadtest::{Client, ClientConfig, Server};
use support::{Tree, assert_success, padding};
use tokio::net::TcpStream;

/// The cluster, or a word about the program that is not there: `cargo test --workspace` makes all.
async fn start(dir: &Path) -> Option<Cluster> {
    let config = Config { gateways: 1, shards: 2, ..Config::new(dir) };
    match Cluster::start(config).await {
        Err(error) if error.to_string().contains("not found; ") => {
            eprintln!("skipped: {error}");
            None
        }
        started => Some(started.expect("started")),
    }
}

async fn run(cluster: &mut Cluster, line: &str) -> String {
    let command: Command = line.parse().expect(line);
    cluster.run(&command).await.expect(line)
}

fn state<'a>(status: &'a Status, name: &str) -> &'a str {
    let member = status.members.iter().find(|member| member.name == name);
    let link = status.links.iter().find(|link| link.name == name);
    let member = member.map(|member| member.state.as_str());
    member.or(link.map(|link| link.state.as_str())).expect(name)
}

fn address(status: &Status, name: &str) -> String {
    let link = status.links.iter().find(|link| link.name == name).map(|link| link.address.clone());
    link.or_else(|| status.members.iter().find(|m| m.name == name).map(|m| m.address.clone()))
        .expect(name)
}

#[tokio::test(flavor = "multi_thread")]
async fn members_and_links_can_be_broken_and_nothing_is_left_at_the_end() {
    let dir = tempfile::tempdir().expect("a directory");
    let Some(mut cluster) = start(dir.path()).await else { return };
    let server = Server::parse(&cluster.server()).expect("a server");
    let (client, tree) = (Client::new(ClientConfig::new(server, false)), Tree::new());
    let plain = || tree.command("gcc -Iinc -c a.c -o obj/a.o");
    // Blobs of which a call that reads many takes not even two.
    tree.write("inc/large.h", &padding(3_000_000));
    let header = String::from_utf8(tree.read("inc/a.h")).expect("UTF-8");
    tree.write("inc/a.h", &format!("#include \"large.h\"\n{header}{}", padding(3_000_000)));
    assert_success(&client.compile(plain()).await);
    let counts = cluster.counts();
    assert!(counts.uploads.unique > 0 && counts.runs.unique > 0, "{counts:?}");

    let before = cluster.status();
    run(&mut cluster, "kill shard-1").await;
    let status = cluster.status();
    assert_eq!(state(&status, "shard-1"), "ended");
    let link = address(&status, "gateway-1:shard-1");
    // As by the port of a dead process; the link's own task closes it.
    while TcpStream::connect(&link).await.is_ok() {
        tokio::task::yield_now().await;
    }
    run(&mut cluster, "restart shard-1").await;
    let status = cluster.status();
    assert_eq!(state(&status, "shard-1"), "running");
    assert_eq!(address(&status, "shard-1"), address(&before, "shard-1"));
    assert_ne!(status.members, before.members, "another process");

    run(&mut cluster, "slow redis 5").await;
    run(&mut cluster, "cut gateway-1:shard-2").await;
    run(&mut cluster, "pause redis").await;
    let status = cluster.status();
    assert_eq!(state(&status, "shard-2:redis"), "slow by 5 ms");
    assert_eq!(state(&status, "gateway-1:shard-2"), "cut");
    assert_eq!(state(&status, "gateway-1:shard-1"), "ok");
    assert_eq!(state(&status, "redis"), "paused");
    cluster.recover().await.expect("recovered");
    let status = cluster.status();
    assert!(status.links.iter().all(|link| link.state == "ok"), "{status}");
    assert!(status.members.iter().all(|member| member.state == "running"), "{status}");

    run(&mut cluster, "flush-redis").await;
    assert_ne!(run(&mut cluster, "lose 10").await, "0 blobs");
    assert_ne!(run(&mut cluster, "evict 100").await, "0 blobs");
    assert_eq!(run(&mut cluster, "lose 100").await, "0 blobs", "all are gone");
    run(&mut cluster, "wipe-backend").await;
    let outcome = client.compile(plain()).await;
    assert_success(&outcome);
    assert_eq!(outcome.cache_hit, 0, "its result is gone");
    assert!(cluster.counts().runs.total > counts.runs.total);

    let unknown: Command = "kill nobody".parse().expect("a command");
    let error = cluster.run(&unknown).await.expect_err("unknown").to_string();
    assert!(error.contains("there are backend, redis, shard-1"), "{error}");

    let members = cluster.status().members;
    drop(cluster);
    for id in members.iter().filter_map(|member| member.pid) {
        // A killed process is there until it has been waited for.
        while std::fs::read_to_string(format!("/proc/{id}/stat")).is_ok_and(|s| !s.contains(" Z "))
        {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_terminal_is_answered_and_a_second_cluster_is_refused_the_directory() {
    let dir = tempfile::tempdir().expect("a directory");
    let error = control::tell(dir.path(), &Command::Status).await.expect_err("none runs");
    assert!(error.to_string().contains("none runs in "), "{error}");
    let Some(mut cluster) = start(dir.path()).await else { return };
    let control = Control::open(dir.path()).expect("a socket");
    let asking = async {
        let json = control::tell(dir.path(), &Command::Status).await.expect("a status");
        let status: Status = serde_json::from_str(&json).expect("JSON");
        assert_eq!(state(&status, "backend"), "running");
        let unknown = Command::Kill("nobody".into());
        let error = control::tell(dir.path(), &unknown).await.expect_err("unknown").to_string();
        assert!(error.starts_with("cluster: nobody: no such member"), "{error}");
        let second = Cluster::start(Config::new(dir.path())).await.expect_err("taken").to_string();
        assert!(second.contains("one runs in "), "{second}");
    };
    tokio::select! {
        () = control.serve(&mut cluster) => panic!("it serves for as long as it is polled"),
        () = asking => {}
    }
    drop(control);
    assert!(!dir.path().join("control.sock").exists());
}
