//! Where rewritten compiles run, as a compiler that tells it sees it.

use crate::mode::Mode;
use crate::support::process::{Program, temp_dir};
use crate::support::requests::{compiler_script, object};

const TELLS: &str = "#!/bin/sh\nexec readlink /proc/self/cwd > out.o\n";

/// The directory in which this source is compiled.
async fn place(program: &Program, source: &[u8]) -> String {
    let mut request = compiler_script("/home/u/src", source, TELLS);
    request.arg.push("-g".to_owned());
    String::from_utf8(object(&program.goma().exec(&request).await)).expect("a path")
}

#[tokio::test]
async fn without_a_sandbox_no_two_compiles_run_in_one_directory() {
    let dir = temp_dir();
    let args = [Mode::Rewrite.flag(), "--sandbox=off"];
    let program = Program::proxy(dir.path(), &args).await;
    let mut places = Vec::new();
    for source in [b"int a;\n", b"int b;\n", b"int c;\n"] {
        places.push(place(&program, source).await);
    }
    let within = dir.path().to_str().expect("UTF-8");
    assert!(places.iter().all(|place| place.starts_with(within)), "{places:?}");
    places.sort();
    places.dedup();
    assert_eq!(places.len(), 3, "{places:?}");
}
