//! What `goma-loadtest worker` tells of the workers behind a server.

mod support;

use goma_loadtest::worker;
use support::casd::Casd;
use support::process::{Program, temp_dir};
use support::tree::client;

fn compilers() -> Vec<String> {
    ["gcc", "g++"].map(ToOwned::to_owned).to_vec()
}

#[tokio::test]
async fn workers_on_this_machine_have_what_it_has() {
    let dir = temp_dir();
    let program = Program::proxy(dir.path(), &[]).await;
    program.ready().await;
    let difference =
        worker::compare(&client(&program, false), compilers()).await.expect("compared");
    assert!(difference.is_none(), "{difference}");
    assert!(difference.headers.same > 100, "{difference}");
    let fact = |name: &str| {
        let found = difference.facts.iter().find(|fact| fact.name == name);
        found.unwrap_or_else(|| panic!("no {name}: {difference}")).worker.clone()
    };
    assert_eq!(fact("/proc/self/cwd"), "yes");
    assert_eq!(fact("env --chdir"), "yes");
    assert_eq!(fact("/usr/bin/gcc").len(), 64, "a hash");
    assert_eq!(fact("/usr/bin/gcc cc1").len(), 64, "a hash of what no client sends");
    assert!(fact("/usr/bin/gcc target").contains("linux"), "{difference}");
    let missing = worker::compare(&client(&program, false), vec!["no-such-gcc".to_owned()]).await;
    assert!(missing.expect_err("there is none").to_string().contains("no-such-gcc"));
}

#[tokio::test]
async fn a_worker_with_other_headers_is_told_by_their_names() {
    let (dir, include) = (temp_dir(), temp_dir());
    std::fs::write(include.path().join("stdio.h"), "#error another\n").expect("written");
    std::fs::write(include.path().join("only-there.h"), "int x;\n").expect("written");
    let Some(casd) = Casd::start(dir.path(), Some(include.path())).await else { return };
    let remote = format!("--remoteexec-addr=127.0.0.1:{}", casd.port);
    let args = ["--backend-preset=casd", "--insecure-remoteexec", &remote];
    let program = Program::proxy(dir.path(), &args).await;
    program.ready().await;
    let difference =
        worker::compare(&client(&program, false), compilers()).await.expect("compared");
    assert!(!difference.is_none(), "{difference}");
    let named = |paths: &[String], name: &str| paths.iter().any(|path| path == name);
    assert!(named(&difference.headers.other, "/usr/include/stdio.h"), "{difference}");
    assert!(named(&difference.headers.more, "/usr/include/only-there.h"), "{difference}");
    assert!(named(&difference.headers.lacking, "/usr/include/stdlib.h"), "{difference}");
    assert!(difference.to_string().contains("! another: /usr/include/stdio.h"), "{difference}");
    casd.stop().await;
}
