//! Compiles that cannot be meant, or are too much.

use std::time::{Duration, Instant};

use goma_proto::api::ExecReq;

use crate::Bench;
use crate::support::goma::{file, key, unknown_key};
use crate::support::requests::{gcc, refusal, with, with_input, with_key};

const CWD: &str = "/home/a/src";

/// However many inputs there are.
const BOUND: Duration = Duration::from_secs(20);

fn ordinary() -> ExecReq {
    with(gcc(CWD, "a.c"), "a.c", &file(b"int a;\n"))
}

#[tokio::test]
async fn one_path_with_two_contents_is_refused_by_name() {
    let bench = Bench::start().await;
    for again in ["a.c", "./a.c", "../src/a.c", "/home/a/src/a.c"] {
        let twice = with(ordinary(), again, &file(b"int other;\n"));
        let why = refusal(&bench.goma.exec(&twice).await);
        assert!(why.contains("/home/a/src/a.c") && why.contains("two"), "{again}: {why}");
    }
    let through = with(ordinary(), "a.c/inside.h", &file(b"int other;\n"));
    let why = refusal(&bench.goma.exec(&through).await);
    assert!(why.contains("a.c"), "{why}");
    bench.is_unharmed().await;
}

#[tokio::test]
async fn paths_that_lead_nowhere_are_refused_by_name() {
    let bench = Bench::start().await;
    let mut cases: Vec<(ExecReq, &str)> = Vec::new();
    for cwd in ["", "src", "./src", "../src"] {
        let request = ExecReq { cwd: Some(cwd.to_owned()), ..ordinary() };
        cases.push((request, "cwd"));
    }
    let above = "../../../../etc/passwd";
    cases.push((ExecReq { cwd: Some("/home/../..".to_owned()), ..ordinary() }, "cwd"));
    cases.push((with(ordinary(), above, &file(b"x")), above));
    cases.push((with(ordinary(), "", &file(b"x")), "input"));
    cases.push((with(ordinary(), "zero\0byte", &file(b"x")), "zero"));
    cases.push((with(ordinary(), &"d/".repeat(5000), &file(b"x")), "longer"));
    let output = |name: &str| ExecReq { expected_output_files: vec![name.into()], ..ordinary() };
    cases.push((output(above), above));
    cases.push((output("/usr/bin/evil"), "/usr/bin/evil"));
    let mut request = ordinary();
    request.arg[2] = "zero\0byte".to_owned();
    cases.push((request, "zero byte"));
    for (request, named) in cases {
        let why = refusal(&bench.goma.exec(&request).await);
        assert!(why.contains(named), "expected {named:?} in {why}");
    }
    bench.is_unharmed().await;
}

#[tokio::test]
async fn more_outputs_than_a_compiler_has_are_refused() {
    let bench = Bench::start().await;
    let names = (0..101).map(|at| format!("{at}.o")).collect();
    let request = ExecReq { expected_output_files: names, ..ordinary() };
    let why = refusal(&bench.goma.exec(&request).await);
    assert!(why.contains("101 outputs; 100 at most"), "{why}");
    bench.is_unharmed().await;
}

#[tokio::test]
async fn a_request_without_what_must_be_there_is_refused_by_field() {
    let bench = Bench::start().await;
    let mut no_key = ordinary();
    no_key.input[0].hash_key = None;
    let mut no_path = ordinary();
    no_path.command_spec.get_or_insert_default().local_compiler_path = None;
    let no_cwd = ExecReq { cwd: None, ..ordinary() };
    let cases = [(no_key, "hash_key"), (no_path, "local_compiler_path"), (no_cwd, "cwd")];
    for (request, field) in cases {
        let reply = bench.goma.try_exec(&request).await.expect_err("refused");
        assert_eq!(reply.status, 400);
        assert!(reply.text().contains(field), "{}", reply.text());
    }
    let odd_key = with_input(gcc(CWD, "a.c"), "a.c", "not hex", None);
    let why = refusal(&bench.goma.exec(&odd_key).await);
    assert!(why.contains("\"a.c\"") && why.contains("not hex"), "{why}");
    bench.is_unharmed().await;
}

#[tokio::test]
async fn a_compiler_that_is_not_served_is_refused_by_name() {
    let bench = Bench::start().await;
    let named = |name: &str, hash: &str| {
        let mut request = ordinary();
        let spec = request.command_spec.get_or_insert_default();
        spec.name = Some(name.to_owned());
        spec.binary_hash = Some(hash.to_owned().into());
        request
    };
    let unknown = unknown_key(0);
    for (request, words) in [
        (named("gcc", &unknown), unknown.as_str()),
        (named("gcc", "nonsense"), "nonsense"),
        (named("sh", &unknown), "sh with hash"),
        (named("cl", &unknown), "\"cl\""),
    ] {
        let why = refusal(&bench.goma.exec(&request).await);
        assert!(why.contains(words), "{why}");
    }
    bench.is_unharmed().await;
}

#[tokio::test]
async fn a_hundred_thousand_inputs_are_answered_in_time() {
    let bench = Bench::start().await;
    let many = |count: u32| {
        let mut request = ordinary();
        for at in 0..count {
            let name = format!("include/dir{}/header{at}.h", at % 100);
            request = with_key(request, &name, &unknown_key(at));
        }
        request
    };
    let started = Instant::now();
    let answer = bench.goma.exec(&many(100_000)).await;
    assert!(started.elapsed() < BOUND, "{:?}", started.elapsed());
    assert_eq!(answer.missing_input.len(), 50_000, "half of them, and not a.c");

    let reply = bench.goma.try_exec(&many(200_001)).await.expect_err("refused");
    assert_eq!(reply.status, 400);
    assert!(reply.text().contains("200000 at most"), "{}", reply.text());
    bench.is_unharmed().await;
}

#[tokio::test]
async fn a_hundred_thousand_known_inputs_are_a_compile_in_time() {
    let bench = Bench::start().await;
    let header = key(&file(b"#define H 1\n"));
    bench.goma.store(vec![file(b"#define H 1\n")]).await;
    let mut request = ordinary();
    for at in 0..100_000 {
        request = with_key(request, &format!("include/d{}/h{at}.h", at % 100), &header);
    }
    let started = Instant::now();
    let ended = bench.goma.try_exec(&request).await;
    assert!(started.elapsed() < BOUND, "{:?}", started.elapsed());
    if let Err(reply) = ended {
        assert!(reply.status >= 500, "{}: {}", reply.status, reply.text());
    }
    bench.is_unharmed().await;
}
