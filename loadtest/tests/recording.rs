//! A recording proxy between a client and a server, and what it kept sent to another server.

mod support;

use std::path::Path;
use std::time::Duration;

use goma_loadtest::Server;
use goma_loadtest::http::Coding;
use goma_loadtest::load::Way;
use goma_loadtest::load::recording::{
    Contents, RecordConfig, Recorder, ReplayConfig, ReplayPace, replay,
};
use goma_loadtest::report::LoadReport;
use goma_proto::api::ExecReq;
use prost::Message;
use support::{Fake, Tree};
use tokio::sync::oneshot;

fn server(fake: &Fake) -> Server {
    Server::parse(&format!("http://{}", fake.address)).expect("a URL")
}

/// Compiles through a proxy that records into `out`; a large header goes through a store.
async fn record(out: &Path, contents: Contents, tree: &Tree) -> Fake {
    let fake = Fake::start().await;
    tree.write("inc/large.h", &format!("// {}\n", "x".repeat(5 << 20)));
    tree.write("b.c", "#include \"large.h\"\nint b;\n");
    let listen = "127.0.0.1:0".to_owned();
    let config = RecordConfig { listen, upstream: server(&fake), out: out.to_owned(), contents };
    let recorder = Recorder::bind(config).await.expect("listens");
    let address = recorder.address().expect("an address");
    let (stop, stopped) = oneshot::channel::<()>();
    let recording = tokio::spawn(recorder.run(async {
        stopped.await.expect("told to stop");
    }));
    let client = fake.client_with(false, |config| {
        config.server = Server::parse(&format!("http://{address}")).expect("a URL");
        config.token = Some("secret-token".into());
    });
    for source in ["a", "b"] {
        let line = format!("gcc -nostdinc -Iinc -c {source}.c -o obj/{source}.o");
        let outcome = client.compile(tree.command(&line)).await;
        assert!(outcome.is_success(), "{outcome:?}");
    }
    // What has been answered has been kept, or will be in a moment.
    tokio::time::sleep(Duration::from_millis(300)).await;
    stop.send(()).expect("it runs");
    let kept = recording.await.expect("no panic").expect("all was written");
    assert_eq!(kept as usize, fake.execs().len() + fake.stores().len());
    fake
}

const ONCE: ReplayPace = ReplayPace::Recorded { speed: 10.0, rate: 50.0, max_in_flight: 10 };

async fn send(dir: &Path, fake: &Fake, pace: ReplayPace) -> LoadReport {
    let way = Way {
        server: server(fake),
        url: String::new(),
        tokens: Vec::new(),
        two_writes: true,
        coding: Some(Coding::Gzip),
        timeout: Duration::from_secs(30),
    };
    let config = ReplayConfig { way, dir: dir.to_owned(), pace, server_pids: Vec::new() };
    replay(&config, std::future::pending(), |_| ()).await.expect("a report")
}

fn files(dir: &Path) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(dir).expect("a directory");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.map(|path| std::fs::read(path).expect("readable")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_recorded_can_be_sent_to_a_server_that_knows_nothing() {
    let (dir, tree) = (tempfile::tempdir().expect("a directory"), Tree::new());
    let recorded = record(dir.path(), Contents::Keep, &tree).await;
    let requests = recorded.execs().len() + recorded.stores().len();
    let files = files(dir.path());
    assert_eq!(files.len(), requests);
    let secret = b"secret-token".as_slice();
    assert!(!files.iter().any(|file| file.windows(secret.len()).any(|part| part == secret)));
    let empty = Fake::start().await;
    let report = send(dir.path(), &empty, ONCE).await;
    assert_eq!(report.errors, [].into(), "{report:?}");
    assert_eq!(report.requests as usize, requests);
    let again = send(dir.path(), &empty, ONCE).await;
    assert_eq!((again.wrong(), again.resent), (0, 0), "all is known by now: {again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_contents_it_needs_a_server_that_has_the_files() {
    let (dir, tree) = (tempfile::tempdir().expect("a directory"), Tree::new());
    let recorded = record(dir.path(), Contents::Drop, &tree).await;
    assert_eq!(files(dir.path()).len(), recorded.execs().len(), "no stores");
    let report = send(dir.path(), &recorded, ONCE).await;
    assert_eq!((report.wrong(), report.resent), (0, 0), "{report:?}");
    let report = send(dir.path(), &Fake::start().await, ONCE).await;
    assert_eq!(report.errors["missing_input"], report.requests, "{report:?}");
    let words = &report.examples["missing_input"];
    assert!(words.contains("is not among what was recorded"), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn in_rotation_all_of_it_is_sent_over_and_over() {
    let (dir, tree) = (tempfile::tempdir().expect("a directory"), Tree::new());
    let recorded = record(dir.path(), Contents::Drop, &tree).await;
    let before = recorded.execs();
    let pace = ReplayPace::Rotation {
        workers: 3,
        warmup: Duration::from_millis(100),
        duration: Duration::from_millis(900),
    };
    let report = send(dir.path(), &recorded, pace).await;
    assert_eq!((report.wrong(), report.settings.workers), (0, Some(3)), "{report:?}");
    assert!(report.requests as usize > 3 * before.len(), "{report:?}");
    let sent = recorded.execs().split_off(before.len());
    assert!(sent.len() as u64 >= report.requests);
    let keys = |request: &ExecReq| -> Vec<String> {
        request.input.iter().map(|input| input.hash_key().to_owned()).collect()
    };
    for was in &before {
        let times = sent.iter().filter(|request| keys(request) == keys(was)).count();
        assert!(times > 3, "{times} times of {}", sent.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clients_dumps_are_sent_too() {
    let (dir, tree) = (tempfile::tempdir().expect("a directory"), Tree::new());
    let fake = Fake::start().await;
    let outcome = fake.client(false).compile(tree.compile()).await;
    assert!(outcome.is_success(), "{outcome:?}");
    for (n, request) in fake.execs().iter().enumerate() {
        let dump = dir.path().join(format!("task-{n}"));
        std::fs::create_dir(&dump).expect("made");
        std::fs::write(dump.join("exec_req.data"), request.encode_to_vec()).expect("written");
        std::fs::write(dump.join("exec_resp.data"), "another file").expect("written");
    }
    let report = send(dir.path(), &fake, ONCE).await;
    assert_eq!((report.wrong(), report.requests as usize), (0, fake.execs().len() / 2));
}
