//! A worker that fails is not taken for a compiler that found an error: the client is told why, and
//! compiles by itself.

use crate::support::process::{Program, temp_dir};
use crate::support::requests::{compiler_script, object, refusal};

#[tokio::test]
async fn what_a_worker_could_not_do_is_no_error_of_the_source() {
    let dir = temp_dir();
    let program = Program::proxy(dir.path(), &[]).await;
    for (script, words) in [
        ("echo the cause >&2; exit 127", "has no tools/gcc (exit status 127): the cause"),
        ("exit 126", "cannot run tools/gcc"),
        ("exit 124", "too little time"),
        ("kill -9 $$", "lack memory"),
        ("kill -11 $$", "signal 11"),
    ] {
        let script = format!("#!/bin/sh\n{script}\n");
        let request = compiler_script("/home/a", b"int x;\n", &script);
        let why = refusal(&program.goma().exec(&request).await);
        assert!(why.contains(words), "{script}: {why}");
    }
}

#[tokio::test]
async fn what_a_compiler_says_of_a_source_reaches_the_client() {
    let dir = temp_dir();
    let program = Program::proxy(dir.path(), &[]).await;
    let script = "#!/bin/sh\necho a.c:1: error >&2\nexit 4\n";
    let request = compiler_script("/home/a", b"int x;\n", script);
    let answer = program.goma().exec(&request).await;
    let result = answer.result.expect("a result");
    assert_eq!((result.exit_status(), result.stderr_buffer()), (4, &b"a.c:1: error\n"[..]));
    assert!(answer.error_message.is_empty(), "{:?}", answer.error_message);
}

#[tokio::test]
async fn an_output_that_is_a_link_is_named_so() {
    let dir = temp_dir();
    let program = Program::proxy(dir.path(), &[]).await;
    let request = compiler_script("/home/a", b"int x;\n", "#!/bin/sh\nexec ln -s a.c out.o\n");
    let why = refusal(&program.goma().exec(&request).await);
    assert!(why.contains("\"out.o\" is a symbolic link"), "{why}");
    let script = "#!/bin/sh\nmkdir -p made && ln -s ../a.c made/x && cp a.c out.o\n";
    let mut request = compiler_script("/home/a", b"int x;\n", script);
    request.expected_output_dirs = vec!["made".to_owned()];
    let why = refusal(&program.goma().exec(&request).await);
    assert!(why.contains("\"made\"") && why.contains("symbolic link"), "{why}");
}

#[tokio::test]
async fn a_server_that_may_not_place_absolute_paths_says_what_needs_them() {
    let dir = temp_dir();
    let program = Program::proxy(dir.path(), &["--absolute-paths=refuse"]).await;
    let script = "#!/bin/sh\nexec cp a.c out.o\n";
    let mut request = compiler_script("/home/a", b"int x;\n", script);
    assert_eq!(object(&program.goma().exec(&request).await), b"int x;\n");
    request.arg.push("-g".to_owned());
    let why = refusal(&program.goma().exec(&request).await);
    assert!(why.contains("-g without a compilation directory"), "{why}");
}
