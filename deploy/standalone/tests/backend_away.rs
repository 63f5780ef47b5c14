//! Without a backend the server lives and says what is wrong; when it comes back, all is well again.

mod support;

use std::time::{Duration, Instant};

use goma_common::testing::free_port;
use support::goma::{file, key};
use support::process::{Program, temp_dir};
use support::requests::{gcc, object, slow_gcc, with, with_key};
use support::tree::{Tree, assert_success, stock_client};
use support::{eventually, http};

/// A refusal takes no longer.
const FAST: Duration = Duration::from_secs(5);

async fn proxy_to(dir: &std::path::Path, backend: u16) -> Program {
    let address = format!("127.0.0.1:{backend}");
    Program::proxy(dir, &["--remoteexec-addr", &address, "--insecure-remoteexec"]).await
}

#[tokio::test]
async fn a_backend_that_is_away_is_named_and_used_when_it_comes() {
    let (dir, port) = (temp_dir(), free_port());
    let program = proxy_to(dir.path(), port).await;
    let address = format!("127.0.0.1:{port}");

    let request = slow_gcc("/home/a", b"int a;\n", 0);
    for _ in 0..2 {
        assert_eq!(program.get("/healthz").await.status, 200);
        let ready = program.get("/readyz").await;
        assert_eq!(ready.status, 503);
        assert!(ready.text().contains(&address), "which backend? {}", ready.text());
        assert!(ready.text().contains("refused"), "how does it fail? {}", ready.text());

        let started = Instant::now();
        let reply = program.goma().try_exec(&request).await.expect_err("no backend");
        assert!(started.elapsed() < FAST, "{:?}", started.elapsed());
        assert!(reply.status >= 500, "{}", reply.status);
        let ping = http::post(program.port, "/ping", &[], b"").await;
        assert!(ping.status >= 500, "{}", ping.status);
        assert!(started.elapsed() < FAST, "{:?}", started.elapsed());
    }
    let log = program.log();
    let told = |line: &&str| line.contains("ERROR") && line.contains("out.o: failed: ");
    let line = log.lines().find(told).unwrap_or_else(|| panic!("no line of the Exec in {log}"));
    assert!(line.contains("refused"), "no reason: {line}");

    let backend = Program::backend(dir.path(), port).await;
    program.ready().await;
    assert_eq!(object(&program.goma().exec(&request).await), b"int a;\n");
    assert_eq!(http::post(program.port, "/ping", &[], b"").await.status, 200);
    backend.kill().await;
    eventually("not ready", async || program.get("/readyz").await.status == 503).await;
}

#[tokio::test]
async fn a_backend_killed_under_compiles_is_used_again_when_it_is_back() {
    let (dir, port) = (temp_dir(), free_port());
    let backend = Program::backend(dir.path(), port).await;
    let program = proxy_to(dir.path(), port).await;
    program.ready().await;
    let goma = program.goma();
    let requests: Vec<_> =
        (0..6).map(|at| slow_gcc("/home/a", format!("int a{at};\n").as_bytes(), 1)).collect();
    let underway: Vec<_> = requests
        .iter()
        .cloned()
        .map(|request| tokio::spawn(async move { goma.try_exec(&request).await }))
        .collect();
    // The first are done, others run, the last wait.
    eventually("a compile is done", async || program.log().contains("out.o: ran, exit 0")).await;
    backend.kill().await;

    // However each of these ends, it ends, and no wrong result comes of it.
    let back = Instant::now();
    let backend = Program::backend(dir.path(), port).await;
    for (at, exec) in underway.into_iter().enumerate() {
        match exec.await.expect("no panic") {
            Ok(answer) => assert_eq!(object(&answer), format!("int a{at};\n").as_bytes()),
            Err(reply) => assert!(reply.status >= 500, "{}: {}", reply.status, reply.text()),
        }
    }
    assert!(back.elapsed() < support::PATIENCE, "{:?}", back.elapsed());
    program.ready().await;
    for (at, request) in requests.iter().enumerate() {
        assert_eq!(object(&goma.exec(request).await), format!("int a{at};\n").as_bytes());
    }
    backend.kill().await;
}

#[tokio::test]
async fn a_backend_that_comes_back_empty_costs_no_compile() {
    let (dir, empty, port) = (temp_dir(), temp_dir(), free_port());
    let backend = Program::backend(dir.path(), port).await;
    let program = proxy_to(dir.path(), port).await;
    program.ready().await;
    let tree = Tree::new(&[("a.c", "#include \"a.h\"\nint a = A;\n"), ("a.h", "#define A 1\n")]);
    let line = "gcc -c a.c -o a.o";
    let expected = tree.local(line, "a.o");
    // One process of a client, which knows that it has sent these files.
    let client = stock_client(&program);
    assert_success(&client.compile(tree.command(line)).await);

    backend.kill().await;
    let backend = Program::backend(empty.path(), port).await;
    program.ready().await;
    let outcome = client.compile(tree.command(line)).await;
    assert_success(&outcome);
    assert_eq!(outcome.cache_hit, 0, "nothing was left that could be hit");
    assert!(tree.read("a.o") == expected);
    backend.kill().await;
}

#[tokio::test]
async fn kill_9_forgets_nothing_that_was_answered_a_moment_before() {
    let dir = temp_dir();
    let program = Program::proxy(dir.path(), &[]).await;
    let (source, other) = (file(b"int kept;\n"), file(b"int stored;\n"));
    let answer = program.goma().exec(&with(gcc("/home/a", "a.c"), "a.c", &source)).await;
    let expected = object(&answer);
    program.goma().store(vec![other.clone()]).await;
    // The moment. What is written within it cannot be seen from here.
    tokio::time::sleep(Duration::from_secs(1)).await;
    program.kill().await;

    let program = Program::proxy(dir.path(), &[]).await;
    let again = program.goma().exec(&with_key(gcc("/home/a", "a.c"), "a.c", &key(&source))).await;
    assert_eq!(object(&again), expected);
    assert_ne!(again.cache_hit.unwrap_or(0), 0, "compiled again");
    let found = program.goma().lookup(vec![key(&source), key(&other)]).await;
    assert_eq!(found, [source, other]);
}

#[tokio::test]
async fn kill_9_under_compiles_leaves_a_server_that_starts_and_compiles() {
    let dir = temp_dir();
    let program = Program::proxy(dir.path(), &[]).await;
    let goma = program.goma();
    let requests: Vec<_> =
        (0..4).map(|at| slow_gcc("/home/a", format!("int a{at};\n").as_bytes(), 1)).collect();
    for request in &requests {
        // Its connection breaks: that is the kill.
        let request = request.clone();
        tokio::spawn(async move { goma.try_exec(&request).await.is_ok() });
    }
    eventually("a compile is done", async || program.log().contains("out.o: ran, exit 0")).await;
    program.kill().await;

    let program = Program::proxy(dir.path(), &[]).await;
    program.ready().await;
    for (at, request) in requests.iter().enumerate() {
        assert_eq!(object(&program.goma().exec(request).await), format!("int a{at};\n").as_bytes());
    }
}
