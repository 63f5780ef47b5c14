//! Compiler and headers of a distribution: what is compiled is the client's bytes, whatever the
//! worker has.

mod support;

use std::path::Path;
use std::process::Command;

use goma_loadtest::{Client, Compile};
use support::casd::Casd;
use support::goma::{file, unknown_key};
use support::process::{Program, free_port, temp_dir};
use support::requests::{gcc_with_hash, object, refusal};
use support::tree::{Tree, assert_success, stock_client};

/// Small, and read by most C programs; a doctored one says so.
const HEADER: &str = "/usr/include/endian.h";
const DOCTORING: &str = "\n#define GOMA_DOCTORED 1\n";
/// The first line asks for what gcc reads before anything else.
const C: &str = "#ifdef __STDC_IEC_559__\nint iec_559;\n#endif\n#include <endian.h>\n#ifdef GOMA_DOCTORED\nint doctored = 1;\n#else\n\
                 int plain = BYTE_ORDER;\n#endif\n";
const CXX: &str = "#include <iostream>\n#include <map>\n#include <string>\n\
                   int main() { std::map<std::string, int> m{{\"a\", 1}};\n\
                   for (auto &[k, v] : m) std::cout << k << v; }\n";
const GCC: &str = "gcc -O2 -MD -MF a.d -c a.c -o a.o";
const GXX: &str = "g++ -std=c++17 -O2 -c a.cc -o a.o";

fn sources() -> Tree {
    Tree::new(&[("a.c", C), ("a.cc", CXX)])
}

/// The same compile on this machine, its headers as they are or as if doctored.
fn local(tree: &Tree, doctored: bool) -> (Vec<u8>, Vec<u8>) {
    let line = if doctored { GCC.replace("gcc", "gcc -DGOMA_DOCTORED=1") } else { GCC.to_owned() };
    (tree.local(&line, "a.o"), tree.read("a.d"))
}

fn doctored(tree: &Tree) -> Compile {
    let header = std::fs::read_to_string(HEADER).expect("a header") + DOCTORING;
    let mut compile = tree.command(GCC);
    compile.overrides.push((HEADER.into(), header.into()));
    compile
}

async fn expect(client: &Client, compile: Compile, tree: &Tree, wanted: &(Vec<u8>, Vec<u8>)) {
    let outcome = client.compile(compile).await;
    assert_success(&outcome);
    assert!(tree.read("a.o") == wanted.0, "not the object of the client's own headers");
    assert_eq!(words(&tree.read("a.d")), words(&wanted.1));
}

/// Of a dependency file. Its lines break elsewhere where names were longer on the worker.
fn words(rule: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(rule);
    text.split_whitespace().filter(|word| *word != "\\").map(ToOwned::to_owned).collect()
}

fn remote(port: u16) -> [String; 2] {
    [format!("--remoteexec-addr=127.0.0.1:{port}"), "--insecure-remoteexec".to_owned()]
}

async fn proxy_to(dir: &Path, port: u16) -> Program {
    let args = remote(port);
    let program = Program::proxy(dir, &[&args[0], &args[1]]).await;
    program.ready().await;
    program
}

#[tokio::test]
async fn iostream_and_map_pass_in_their_first_run() {
    let (dir, tree) = (temp_dir(), sources());
    let expected = tree.local(GXX, "a.o");
    let program = Program::proxy(dir.path(), &[]).await;
    assert_success(&stock_client(&program).compile(tree.command(GXX)).await);
    assert!(tree.read("a.o") == expected);
}

#[tokio::test]
async fn iostream_and_map_pass_in_their_first_run_where_every_header_must_be_sent() {
    let (dir, tree, port) = (temp_dir(), sources(), free_port());
    let expected = tree.local(GXX, "a.o");
    let backend = Program::backend(dir.path(), port).await;
    let program = proxy_to(dir.path(), port).await;
    let outcome = stock_client(&program).compile(tree.command(GXX)).await;
    assert_success(&outcome);
    assert!(outcome.missing_total > 100, "they were known already: {outcome:?}");
    assert!(tree.read("a.o") == expected);
    backend.kill().await;
}

#[tokio::test]
async fn users_in_different_directories_share_results() {
    let (dir, first, second) = (temp_dir(), sources(), sources());
    let program = Program::proxy(dir.path(), &[]).await;
    for line in [GCC, GXX] {
        let outcome = stock_client(&program).compile(first.command(line)).await;
        assert_success(&outcome);
        assert_eq!(outcome.cache_hit, 0, "from an empty server");
        let outcome = stock_client(&program).compile(second.command(line)).await;
        assert_success(&outcome);
        assert_ne!(outcome.cache_hit, 0, "{line}: compiled again");
        assert!(first.read("a.o") == second.read("a.o"));
    }
}

#[tokio::test]
async fn a_header_that_differs_from_the_workers_is_the_one_compiled() {
    let (dir, tree) = (temp_dir(), sources());
    let (plain, other) = (local(&tree, false), local(&tree, true));
    assert_ne!(plain, other);
    let program = Program::proxy(dir.path(), &[]).await;
    // Each twice, the second time from the cache, in which they must not be mixed up.
    for _ in 0..2 {
        let client = stock_client(&program);
        expect(&client, doctored(&tree), &tree, &other).await;
        expect(&client, tree.command(GCC), &tree, &plain).await;
    }
    let log = program.log();
    let told = log.contains("the worker's header is another") && log.contains(HEADER);
    assert!(told, "nothing of it in the log");
}

#[tokio::test]
async fn a_compiler_that_differs_from_the_workers_is_refused_by_name() {
    let dir = temp_dir();
    let program = Program::proxy(dir.path(), &[]).await;
    compiler_is_compared(&program).await;
}

async fn compiler_is_compared(program: &Program) {
    let source = file(b"int compiler;\n");
    let same = gcc_with_hash("/home/a", &source, None);
    object(&program.goma().exec(&same).await);
    let hash = unknown_key(0);
    let differs = gcc_with_hash("/home/a", &source, Some(&hash));
    let why = refusal(&program.goma().exec(&differs).await);
    assert!(why.contains("/usr/bin/gcc") && why.contains(&hash), "{why}");
}

#[tokio::test]
async fn a_worker_that_is_not_ours_compiles_the_clients_headers() {
    let (dir, tree) = (temp_dir(), sources());
    let Some(casd) = Casd::start(dir.path(), None).await else { return };
    let (plain, other) = (local(&tree, false), local(&tree, true));
    let program = proxy_to(dir.path(), casd.port).await;
    let client = stock_client(&program);
    expect(&client, tree.command(GCC), &tree, &plain).await;
    expect(&client, doctored(&tree), &tree, &other).await;
    compiler_is_compared(&program).await;
    casd.stop().await;
}

#[tokio::test]
async fn a_worker_with_other_headers_never_puts_its_own_into_a_result() {
    let (dir, tree) = (temp_dir(), sources());
    let include = dir.path().join("include");
    let copied = Command::new("cp").args(["-a", "/usr/include"]).arg(&include).status();
    assert!(copied.expect("cp runs").success());
    let header = include.join("endian.h");
    let text = std::fs::read_to_string(&header).expect("a header") + DOCTORING;
    std::fs::write(&header, text).expect("written");
    let Some(casd) = Casd::start(dir.path(), Some(&include)).await else { return };

    let plain = local(&tree, false);
    let expected_cxx = tree.local(GXX, "a.o");
    let program = proxy_to(dir.path(), casd.port).await;
    let client = stock_client(&program);
    expect(&client, tree.command(GCC), &tree, &plain).await;
    assert!(program.log().contains(HEADER), "that they differ is not in the log");
    // C++ finds its headers by `#include_next` through several directories.
    assert_success(&client.compile(tree.command(GXX)).await);
    assert!(tree.read("a.o") == expected_cxx);
    casd.stop().await;
}
