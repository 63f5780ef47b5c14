//! Files that are put on a server before any compile needs them.

mod support;

use std::path::PathBuf;

use goma_common::testing::free_port;
use goma_loadtest::client::Preloaded;
use goma_proto::api::RequesterInfo;
use support::eventually;
use support::goma::unknown_key;
use support::process::{Program, temp_dir};
use support::requests::{gcc, with_key};
use support::tree::{Tree, assert_success, client, stock_client};

const SMALL: usize = 450;
const LARGE: usize = 5 << 20;

/// More than a stock client can send in one compile, and a large file.
fn tree() -> (Tree, Vec<PathBuf>) {
    let tree = Tree::new(&[]);
    let mut source = String::new();
    let mut files = Vec::new();
    for n in 0..SMALL {
        let name = format!("h{n}.h");
        let filler: String = (0..600).map(|_| format!("// {:016x}\n", fastrand::u64(..))).collect();
        tree.write(&name, &format!("{filler}static const int v{n} = {n};\n"));
        source += &format!("#include \"{name}\"\n");
        files.push(tree.path(&name));
    }
    tree.write("large.h", &format!("// {}\n", "x".repeat(LARGE)));
    files.push(tree.path("large.h"));
    source += "#include \"large.h\"\nint f(void) { return v0; }\n";
    tree.write("a.c", &source);
    (tree, files)
}

#[tokio::test]
async fn a_compile_whose_files_were_put_in_place_passes_at_once() {
    let (dir, (tree, files), port) = (temp_dir(), tree(), free_port());
    let backend = Program::backend(dir.path(), port).await;
    let remote = format!("--remoteexec-addr=127.0.0.1:{port}");
    let program = Program::proxy(dir.path(), &[&remote, "--insecure-remoteexec"]).await;
    program.ready().await;

    let bytes: usize =
        files.iter().map(|file| file.metadata().expect("a file").len() as usize).sum();
    let all = Preloaded { files: files.len(), sent: files.len(), sent_bytes: bytes as u64 };
    let told = std::sync::atomic::AtomicUsize::new(0);
    let hear = |files| {
        told.fetch_add(files, std::sync::atomic::Ordering::Relaxed);
    };
    let first = client(&program, false).preload(files.clone(), hear).await.expect("put in place");
    assert_eq!(first, all);
    assert_eq!(told.into_inner(), files.len());
    let again = client(&program, false).preload(files, |_| ()).await.expect("asked");
    assert_eq!(again, Preloaded { files: all.files, ..Preloaded::default() }, "they were known");

    // Headers of the system are sent now, which is no more than a compile can.
    let outcome = stock_client(&program).compile(tree.command("gcc -c a.c -o a.o")).await;
    assert_success(&outcome);
    assert!(outcome.missing_total <= 20, "{outcome:?}");
    backend.kill().await;
}

#[tokio::test]
async fn a_compile_that_had_more_new_files_than_it_can_send_is_told_in_the_log() {
    let dir = temp_dir();
    let program = Program::proxy(dir.path(), &[]).await;
    let unknown = |retry: i32| {
        let mut request = with_key(gcc("/home/a", "a.c"), "a.c", &unknown_key(1));
        let requester = RequesterInfo { retry: Some(retry), ..Default::default() };
        request.requester_info = Some(requester);
        request
    };
    for retry in 0..5 {
        assert!(!program.log().contains("goma-loadtest preload"), "before attempt {retry}");
        let answer = program.goma().exec(&unknown(retry)).await;
        assert_eq!(answer.missing_input, ["a.c"]);
    }
    eventually("the log tells it", async || program.log().contains("goma-loadtest preload")).await;
}
