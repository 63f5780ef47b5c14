//! What a client sends and does with good answers.

mod support;

use bytes::Bytes;
use goma_loadtest::http::Coding;
use goma_proto::api::file_blob::BlobType;
use support::{Fake, Framing, Tree, assert_success, padding};

const MIB: usize = 1024 * 1024;

/// The object that the compiler of this machine makes of [`Tree::compile`].
fn local_object(tree: &Tree) -> Vec<u8> {
    let status = std::process::Command::new("gcc")
        .args(["-nostdinc", "-Iinc", "-c", "a.c", "-o", "local.o"])
        .current_dir(tree.dir.path())
        .status()
        .expect("gcc runs");
    assert!(status.success());
    tree.read("local.o")
}

#[tokio::test]
async fn missing_inputs_are_sent_and_the_object_is_the_local_one() {
    let (fake, tree) = (Fake::start().await, Tree::new());
    let client = fake.client(false);
    let outcome = client.compile(tree.compile()).await;
    assert_success(&outcome);
    assert_eq!((outcome.attempts, outcome.inputs, outcome.missing_total), (2, 3, 3));
    assert_eq!(outcome.cache_hit, 0);
    assert!(outcome.bytes_sent > 0 && outcome.bytes_received > 0);
    assert_eq!(tree.read("obj/a.o"), local_object(&tree));
    let again = client.compile(tree.compile()).await;
    assert_eq!((again.attempts, again.missing_total, again.cache_hit), (1, 0, 1));
    let last = fake.execs().pop().expect("sent");
    assert!(last.input.iter().all(|input| input.content.is_none()), "all known");
}

#[tokio::test]
async fn a_request_has_the_stock_clients_shape() {
    let (fake, tree) = (Fake::start().await, Tree::new());
    let client = fake.client(true);
    let line = "gcc -nostdinc -Iinc -MD -MF obj/a.d -c a.c -o obj/a.o";
    client.compile(tree.command(line)).await;
    let request = fake.execs().remove(0);
    let cwd = tree.dir.path().to_str().expect("ascii");
    assert_eq!(request.arg.join(" "), line);
    assert_eq!((request.cwd(), &request.env[0]), (cwd, &format!("PWD={cwd}")));
    assert_eq!(request.expected_output_files, ["obj/a.o", "obj/a.d"]);
    let spec = request.command_spec.as_ref().expect("set");
    assert_eq!((spec.name(), spec.local_compiler_path()), ("gcc", "/usr/bin/gcc"));
    let driver = request.toolchain_specs.last().expect("the real driver");
    assert_eq!(driver.hash().as_bytes(), &spec.binary_hash()[..]);
    assert!(driver.is_executable() && driver.size() == spec.size());
    let names: Vec<&str> = request.input.iter().map(|input| input.filename()).collect();
    assert_eq!(names, [driver.path(), "a.c", "inc/a.h"], "sorted, the driver among them");
    assert!(request.toolchain_included() && request.hermetic_mode());
    let requester = request.requester_info.as_ref().expect("set");
    assert_eq!((requester.retry(), &requester.dimensions[..]), (0, &["os:linux".to_owned()][..]));
    assert!(request.cache_policy.is_none() && requester.exec_root.is_none());
    let head = fake.seen("/e").remove(0).head;
    assert!(head.starts_with("POST /cxx-compiler-service/e HTTP/1.1\r\nHost: 127.0.0.1\r\n"));
}

#[tokio::test]
async fn a_registered_compiler_is_not_described() {
    let (fake, tree) = (Fake::start().await, Tree::new());
    let client = fake.client_with(false, |config| config.toolchain_included = false);
    assert_success(&client.compile(tree.compile()).await);
    let request = fake.execs().remove(0);
    assert!(request.toolchain_included.is_none() && request.toolchain_specs.is_empty());
    assert_eq!(request.input.len(), 2, "nor is the driver an input");
}

#[tokio::test]
async fn a_response_file_goes_along_and_is_expanded() {
    let (fake, tree) = (Fake::start().await, Tree::new());
    tree.write("args.rsp", "-nostdinc -Iinc -c a.c");
    assert_success(&fake.client(true).compile(tree.command("gcc @args.rsp -o obj/a.o")).await);
    let request = fake.execs().remove(0);
    assert_eq!(request.arg.join(" "), "gcc @args.rsp -o obj/a.o");
    assert_eq!(request.expanded_arg.join(" "), "gcc -nostdinc -Iinc -c a.c -o obj/a.o");
    let rsp = request.input.iter().find(|i| i.filename() == "args.rsp").expect("an input");
    assert!(rsp.content.is_some(), "a response file always has its contents");
}

#[tokio::test]
async fn a_large_input_goes_in_chunks_and_then_as_their_list() {
    let (fake, tree) = (Fake::start().await, Tree::new());
    tree.write("inc/a.h", &format!("int a(int);\n{}", padding(25 * MIB)));
    let outcome = fake.client(true).compile(tree.compile()).await;
    assert_success(&outcome);
    let mut sizes: Vec<usize> = fake.stores().iter().map(|store| store.blob.len()).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [3, 5, 5]);
    let execs = fake.execs();
    assert!(execs[0].input[2].content.is_none(), "not before it is asked for");
    let list = execs[1].input[2].content.as_ref().expect("the list of chunks");
    assert_eq!((list.blob_type(), list.hash_key.len()), (BlobType::FileMeta, 13));
}

#[tokio::test]
async fn a_large_output_is_looked_up_in_chunks() {
    let (fake, tree) = (Fake::start().await, Tree::new());
    let object = Bytes::from(vec![7; 11 * MIB]);
    fake.set(|habits| {
        habits.canned = Some(object.clone());
        habits.lookup_from = 1;
    });
    let outcome = fake.client(false).compile(tree.compile()).await;
    assert_success(&outcome);
    assert!(outcome.outputs[0].looked_up);
    assert_eq!(tree.read("obj/a.o"), object);
    let asked: Vec<usize> = fake.lookups().iter().map(|lookup| lookup.hash_key.len()).collect();
    assert_eq!(asked, [5, 1]);
}

#[tokio::test]
async fn a_reference_is_followed() {
    let (fake, tree) = (Fake::start().await, Tree::new());
    fake.set(|habits| {
        habits.lookup_from = 1;
        habits.by_reference = true;
    });
    assert_success(&fake.client(false).compile(tree.compile()).await);
    assert_eq!(tree.read("obj/a.o"), local_object(&tree));
}

#[tokio::test]
async fn answers_come_in_any_framing_and_compression() {
    for framing in [Framing::Length, Framing::Chunked, Framing::Eof] {
        for coding in [None, Some("gzip"), Some("deflate")] {
            let (fake, tree) = (Fake::start().await, Tree::new());
            fake.set(|habits| {
                habits.framing = framing;
                habits.content_encoding = coding;
            });
            assert_success(&fake.client(true).compile(tree.compile()).await);
            assert_eq!(tree.read("obj/a.o"), local_object(&tree), "{framing:?} {coding:?}");
        }
    }
}

#[tokio::test]
async fn the_pings_answer_decides_how_requests_are_compressed() {
    for (offered, sent) in [
        (Some("deflate, gzip"), Some("Content-Encoding: deflate\r\n")),
        (Some("gzip"), Some("Content-Encoding: gzip\r\n")),
        (None, None),
    ] {
        let (fake, tree) = (Fake::start().await, Tree::new());
        fake.set(|habits| habits.accept_encoding = offered);
        assert_success(&fake.client(true).compile(tree.compile()).await);
        let head = fake.seen("/e").remove(0).head;
        match sent {
            Some(line) => assert!(head.contains(line), "{head}"),
            None => assert!(!head.contains("Encoding"), "{head}"),
        }
    }
}

#[tokio::test]
async fn who_wants_no_compression_offers_none() {
    let (fake, tree) = (Fake::start().await, Tree::new());
    let client = fake.client_with(true, |config| config.coding = None);
    assert_success(&client.compile(tree.compile()).await);
    assert!(!fake.seen("/e")[0].head.contains("Encoding"));
    let client = fake.client_with(true, |config| config.coding = Some(Coding::Deflate));
    assert_success(&client.compile(tree.compile()).await);
    let head = fake.seen("/e").pop().expect("sent").head;
    assert!(head.contains("Accept-Encoding: deflate\r\nContent-Encoding: gzip\r\n"), "{head}");
}

#[tokio::test]
async fn an_override_is_what_the_server_gets() {
    let (fake, tree) = (Fake::start().await, Tree::new());
    let mut compile = tree.compile();
    let doctored = Bytes::from(padding(3000));
    compile.overrides.push(("inc/a.h".into(), doctored.clone()));
    compile.overrides.push(("/usr/include/not-there.h".into(), Bytes::from("int x;")));
    assert_success(&fake.client(true).compile(compile).await);
    let request = fake.execs().pop().expect("sent");
    let key = |name: &str| {
        let input = request.input.iter().find(|input| input.filename() == name);
        input.expect("an input").hash_key().to_owned()
    };
    assert_eq!(key("inc/a.h"), goma_common::FileKey::of_file(&doctored).hex());
    assert_eq!(key("/usr/include/not-there.h"), goma_common::FileKey::of_file(b"int x;").hex());
}

#[tokio::test]
async fn a_compilers_error_is_a_result() {
    let (fake, tree) = (Fake::start().await, Tree::new());
    tree.write("a.c", &format!("int a = nonsense;\n{}", padding(600)));
    let outcome = fake.client(true).compile(tree.compile()).await;
    assert_eq!((outcome.exit_status, outcome.exit_code(), &outcome.failure), (1, 1, &None));
    let stderr = String::from_utf8_lossy(&outcome.stderr);
    assert!(stderr.contains("nonsense"), "{stderr}");
    assert!(!tree.path("obj/a.o").exists());
}

#[tokio::test]
async fn linking_is_not_sent() {
    let (fake, tree) = (Fake::start().await, Tree::new());
    let outcome = fake.client(true).compile(tree.command("gcc obj/a.o -o a")).await;
    assert!(outcome.not_remote && !outcome.is_success());
    assert!(fake.seen("/e").is_empty());
}
