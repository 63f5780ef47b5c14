//! What is logged, and how that is changed while the program runs; a line of the log leads to the status page and to
//! a trace.

mod support;

use goma_common::testing::free_port;
use support::goma::{file, key};
use support::http::{self, Reply};
use support::process::{Program, temp_dir};
use support::requests::{gcc, object, with};

/// Sends another filter to the admin port.
async fn put(admin: u16, filter: &str) -> Reply {
    let reply = http::request(admin, "PUT /log", &[], filter.as_bytes()).await;
    reply.expect("an answer")
}

#[tokio::test]
async fn the_level_of_one_module_is_changed_while_it_runs() {
    let (dir, admin) = (temp_dir(), free_port());
    let listen = format!("127.0.0.1:{admin}");
    let program = Program::proxy(dir.path(), &["--admin-listen", &listen]).await;
    program.ready().await;
    let (goma, blob) = (program.goma(), file(b"int logged;\n"));
    let lines = || program.log().lines().filter(|line| line.contains("DEBUG")).count();
    goma.store(vec![blob.clone()]).await;
    assert_eq!(lines(), 0, "{}", program.log());

    let told = put(admin, "info,goma_gateway::http::watched=debug\n").await;
    assert_eq!((told.status, told.text().contains("watched=debug")), (200, true), "{told:?}");
    goma.store(vec![blob.clone()]).await;
    goma.lookup(vec![key(&blob)]).await;
    let log = program.log();
    for line in ["store of files: done", "lookup of files: done"] {
        let found = log.lines().find(|told| told.contains("DEBUG") && told.contains(line));
        assert!(found.is_some_and(|told| told.contains("files=1")), "{line:?} is not in {log}");
    }
    assert_eq!(lines(), 2, "other modules say no more than before: {log}");

    for nonsense in ["goma_gateway=loud", "info,=", "\u{1}[{"] {
        let told = put(admin, nonsense).await;
        assert_eq!(told.status, 400, "{nonsense:?}: {told:?}");
        assert!(told.text().len() > 5, "{nonsense:?}: it is not said what is wrong");
    }
    let kept = http::get(admin, "/log").await.expect("an answer").text();
    assert!(kept.contains("goma_gateway::http::watched=debug"), "{kept}");
    assert_eq!(put(admin, "info").await.status, 200);
    goma.store(vec![blob]).await;
    assert_eq!(lines(), 2, "{}", program.log());
}

#[tokio::test]
async fn a_compiles_line_and_the_status_page_name_the_same_trace() {
    let (dir, admin) = (temp_dir(), free_port());
    let listen = format!("127.0.0.1:{admin}");
    // Nobody listens there, and nobody need to.
    let traced = "export OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:9";
    let program = Program::proxy_after(traced, dir.path(), &["--admin-listen", &listen]).await;
    program.ready().await;
    let request = with(gcc("/home/a", "a.c"), "a.c", &file(b"int traced;\n"));
    object(&program.goma().exec(&request).await);

    let status = http::get(admin, "/status.json").await.expect("an answer").text();
    let status: serde_json::Value = serde_json::from_str(&status).expect("JSON");
    let trace = status["recent"][0]["trace"].as_str().expect("a trace").to_owned();
    assert_eq!((trace.len(), status["recent"][0]["kind"].as_str()), (32, Some("exec")));
    let log = program.log();
    let line = log.lines().find(|line| line.contains("gcc out.o: ran")).expect("a line of it");
    assert!(line.contains(&trace), "{trace} is not in {line}");
}

#[tokio::test]
async fn where_nobody_says_another_the_admin_port_is_this_machines_alone() {
    let dir = temp_dir();
    let program = Program::proxy(dir.path(), &[]).await;
    // Taken by another program or not, it is this one that is tried.
    let log = program.log();
    let line = log.lines().find(|line| line.contains("admin port")).expect("a line of it");
    assert!(line.contains("address=127.0.0.1:9190"), "{line}");
}
