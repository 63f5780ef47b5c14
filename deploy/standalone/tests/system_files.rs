//! Compiler and headers of a distribution: what is compiled is the client's bytes, whatever the
//! worker has.

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use goma_common::testing::free_port;
use goma_loadtest::{Client, Compile};
use support::casd::Casd;
use support::goma::{file, unknown_key};
use support::process::{Program, temp_dir};
use support::requests::{compiler_script, gcc_with_hash, object, refusal};
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

#[tokio::test]
async fn a_compiler_that_the_worker_cannot_start_is_refused_in_the_workers_words() {
    let dir = temp_dir();
    let program = Program::proxy(dir.path(), &[]).await;
    let request = compiler_script("/home/a", b"int x;\n", "#!/no/such/interpreter\n");
    let why = refusal(&program.goma().exec(&request).await);
    assert!(why.contains("tools/gcc") && why.contains("cannot run"), "{why}");
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

/// The programs that a worker needs to tell what it has, and no compiler.
fn without_compilers(dir: &Path) -> PathBuf {
    let bin = dir.join("bin");
    std::fs::create_dir(&bin).expect("created");
    for program in ["sh", "find", "sha256sum", "env"] {
        std::fs::copy(Path::new("/usr/bin").join(program), bin.join(program)).expect("copied");
    }
    bin
}

/// What a client is told whose worker has these programs.
async fn refused_by(casd: &Casd, dir: &Path) -> String {
    let program = proxy_to(dir, casd.port).await;
    let tree = sources();
    let outcome = stock_client(&program).compile(tree.command(GCC)).await;
    assert!(!outcome.is_success(), "{outcome:?}");
    outcome.error_messages.join("; ")
}

#[tokio::test]
async fn a_worker_without_the_compiler_is_told_of_by_name() {
    let dir = temp_dir();
    let bin = without_compilers(dir.path());
    let Some(casd) = Casd::with_worker(dir.path(), None, Some(&bin)).await else { return };
    let why = refused_by(&casd, dir.path()).await;
    assert!(why.contains("compiler /usr/bin/") && why.contains("the worker has none"), "{why}");
    casd.stop().await;
}

#[tokio::test]
async fn a_worker_with_another_compiler_is_told_of_by_name_and_hash() {
    let dir = temp_dir();
    let bin = without_compilers(dir.path());
    let other = b"#!/bin/sh\nexit 0\n";
    let gcc = std::fs::canonicalize("/usr/bin/gcc").expect("gcc");
    for name in [Path::new("gcc"), Path::new(gcc.file_name().expect("a name"))] {
        std::fs::write(bin.join(name), other).expect("written");
    }
    let Some(casd) = Casd::with_worker(dir.path(), None, Some(&bin)).await else { return };
    let why = refused_by(&casd, dir.path()).await;
    let hash = goma_common::Digest::of(other).hex();
    assert!(why.contains("compiler /usr/bin/gcc") && why.contains(&hash), "{why}");
    casd.stop().await;
}

/// A copy of this machine's `/usr/include`, for a worker of its own kind.
fn copied_include(dir: &Path) -> PathBuf {
    let include = dir.join("include");
    let copied = Command::new("cp").args(["-a", "/usr/include"]).arg(&include).status();
    assert!(copied.expect("cp runs").success());
    include
}

/// The object of a compile whose `header` is this machine's and this line.
async fn object_with(client: &Client, mut compile: Compile, header: &str, line: &str) -> Vec<u8> {
    let text = std::fs::read_to_string(header).expect("a header") + line;
    compile.overrides.push((header.into(), text.into()));
    let object = compile.cwd.join("a.o");
    assert_success(&client.compile(compile).await);
    std::fs::read(object).expect("an object")
}

fn holds(object: &[u8], name: &str) -> bool {
    object.windows(name.len()).any(|window| window == name.as_bytes())
}

#[tokio::test]
async fn a_source_of_the_system_is_the_clients() {
    let (dir, tree) = (temp_dir(), sources());
    let program = Program::proxy(dir.path(), &[]).await;
    let client = stock_client(&program);
    for compiler in ["gcc", "clang"] {
        let compile = tree.command(&format!("{compiler} -x c -c {HEADER} -o a.o"));
        let object = object_with(&client, compile, HEADER, "\nint doctored;\n").await;
        assert!(holds(&object, "doctored"), "{compiler} compiled the worker's");
    }
}

#[tokio::test]
async fn headers_of_include_variables_are_the_clients() {
    let dir = temp_dir();
    let program = Program::proxy(dir.path(), &[]).await;
    let client = stock_client(&program);
    // The empty part is the current directory, where the second header is.
    let source = "#include <ftp.h>\n#include <here.h>\nint x = HERE;\n";
    let tree = Tree::new(&[("a.c", source), ("here.h", "#define HERE 1\n")]);
    for compiler in ["gcc", "clang"] {
        for variable in ["CPATH", "C_INCLUDE_PATH"] {
            let mut compile = tree.command(&format!("{compiler} -c a.c -o a.o"));
            compile.env.push((variable.to_owned(), "/usr/include/arpa:".to_owned()));
            let header = "/usr/include/arpa/ftp.h";
            let object = object_with(&client, compile, header, "\nint doctored;\n").await;
            assert!(holds(&object, "doctored"), "{compiler}, {variable}: the worker's header");
        }
    }
}

#[tokio::test]
async fn a_c_driver_finds_the_clients_headers_of_cplusplus() {
    let (dir, tree) = (temp_dir(), sources());
    let program = Program::proxy(dir.path(), &[]).await;
    let client = stock_client(&program);
    for line in ["gcc -std=c++17 -c a.cc -o a.o", "clang -std=c++17 -x c++ -c a.cc -o a.o"] {
        // C++ headers read it too; where it differs they all are looked for among the client's.
        let object = object_with(&client, tree.command(line), HEADER, "\nint doctored;\n").await;
        assert!(holds(&object, "doctored"), "{line}");
    }
}

/// A source so deep below its project that the way up is longer than the project's own path, which
/// gcc would rather tell of system headers.
fn deep_source(tree: &Tree) -> PathBuf {
    let deep = tree.path("a/b/c/d/e/f/g/h");
    std::fs::create_dir_all(&deep).expect("created");
    let up = "../".repeat(8);
    // Debug information tells where the type is declared.
    let source = format!("#include <endian.h>\n#include \"{up}b.h\"\n__uint32_t typed;\n");
    std::fs::write(deep.join("a.c"), source).expect("written");
    tree.write("b.h", "int b;\n");
    deep
}

async fn expect_local_paths(client: &Client, deep: &Path, flags: &[&str]) {
    let line = [&["gcc"], flags, &["-MD", "-MF", "a.deps", "-c", "a.c", "-o", "a.o"]].concat();
    let local = || {
        let ended = Command::new(line[0]).args(&line[1..]).current_dir(deep).status();
        assert!(ended.expect("it runs").success());
    };
    let read = |name: &str| std::fs::read(deep.join(name)).expect("a file");
    local();
    let wanted = (read("a.o"), words(&read("a.deps")));
    // Another header that makes the same code, so that the client's are sent.
    let compile = Compile::new(deep, line.iter().copied());
    let object = object_with(client, compile, HEADER, "\n#define GOMA_UNUSED 1\n").await;
    assert_eq!(words(&read("a.deps")), wanted.1);
    assert!(object == wanted.0, "{flags:?}: not the local object");
}

#[tokio::test]
async fn a_dependency_file_of_any_name_tells_the_clients_paths_from_any_depth() {
    let (dir, tree) = (temp_dir(), sources());
    let Some(casd) = Casd::start(dir.path(), None).await else { return };
    let deep = deep_source(&tree);
    let program = proxy_to(dir.path(), casd.port).await;
    expect_local_paths(&stock_client(&program), &deep, &["-O2"]).await;
    casd.stop().await;
}

#[tokio::test]
async fn debug_information_tells_the_clients_paths_from_any_depth() {
    let (dir, tree) = (temp_dir(), sources());
    let deep = deep_source(&tree);
    let program = Program::proxy(dir.path(), &[]).await;
    expect_local_paths(&stock_client(&program), &deep, &["-g", "-O2"]).await;
    // A map of the user's own is for the user's files.
    let map = format!("-ffile-prefix-map={}=.", tree.dir().display());
    expect_local_paths(&stock_client(&program), &deep, &["-g", "-O2", &map]).await;
    assert!(program.log().contains(HEADER), "the client's headers were not sent");
}

#[tokio::test]
async fn a_header_that_only_the_worker_has_hides_none_of_the_clients() {
    let (dir, tree) = (temp_dir(), sources());
    let include = copied_include(dir.path());
    // Found before the client's, in a directory of which the client reads other files.
    std::fs::write(
        include.join("x86_64-linux-gnu/endian.h"),
        format!("#include_next <endian.h>{DOCTORING}"),
    )
    .expect("written");
    let Some(casd) = Casd::start(dir.path(), Some(&include)).await else { return };
    let plain = local(&tree, false);
    let program = proxy_to(dir.path(), casd.port).await;
    expect(&stock_client(&program), tree.command(GCC), &tree, &plain).await;
    casd.stop().await;
}

#[tokio::test]
async fn a_worker_with_other_headers_never_puts_its_own_into_a_result() {
    let (dir, tree) = (temp_dir(), sources());
    let include = copied_include(dir.path());
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
