//! Sources at one end of the disk, the build and a compiler at another: they share nothing but `/`.

use std::path::Path;

use tempfile::TempDir;

use crate::mode::Mode;
use crate::own_compiler::install;
use crate::support::casd::Casd;
use crate::support::process::{Program, temp_dir};
use crate::support::tree::{Tree, assert_success, client};

const SOURCE: &str = "#include <x.h>\n#include <stddef.h>\n\
    const char *where(size_t n) { return n ? __FILE__ : X_FILE; }\n";

/// Where sources are; builds are in a [`Tree`].
fn sources() -> TempDir {
    let dir = tempfile::Builder::new().prefix("apart").tempdir_in("/var/tmp").expect("a place");
    std::fs::create_dir(dir.path().join("inc")).expect("a directory");
    std::fs::write(dir.path().join("inc/x.h"), "#define X_FILE __FILE__\n").expect("written");
    std::fs::write(dir.path().join("a.c"), SOURCE).expect("written");
    dir
}

fn lines(build: &Path, sources: &Path) -> Vec<String> {
    let (build, at) = (build.display(), sources.display());
    assert_ne!(build.to_string().split('/').nth(1), at.to_string().split('/').nth(1));
    let compilers = ["gcc".to_owned(), "clang".to_owned(), format!("{build}/tc/bin/clang")];
    let rest = format!("-g -O1 -MD -I{at}/inc -c {at}/a.c");
    let line = |compiler: &String| {
        let map = format!("-ffile-prefix-map={at}=mapped");
        [format!("{compiler} {rest} -o a.o"), format!("{compiler} {map} {rest} -o {build}/a.o")]
    };
    compilers.iter().flat_map(line).collect()
}

/// Compiles all of them, each as at home.
async fn are_as_at_home(program: &Program) {
    let (tree, sources) = (Tree::new(&[]), sources());
    install(&tree);
    for line in lines(tree.dir(), sources.path()) {
        let (object, rules) = (tree.local(&line, "a.o"), tree.read("a.d"));
        std::fs::remove_file(tree.path("a.d")).expect("removed");
        assert_success(&client(program, false).compile(tree.command(&line)).await);
        assert!(tree.read("a.o") == object, "{line}: other bytes");
        let told = [tree.read("a.d"), rules].map(|rules| String::from_utf8(rules).expect("text"));
        assert_eq!(told[0], told[1], "{line}");
    }
}

#[tokio::test]
async fn in_a_directory_that_nobody_knows() {
    let dir = temp_dir();
    let args = [Mode::Rewrite.flag(), "--sandbox=off"];
    are_as_at_home(&Program::proxy(dir.path(), &args).await).await;
}

async fn with_casd(mode: Mode) {
    let dir = temp_dir();
    let Some(casd) = Casd::start(dir.path(), None).await else { return };
    let remote = format!("--remoteexec-addr=127.0.0.1:{}", casd.port);
    let args = ["--backend-preset=casd", "--insecure-remoteexec", &remote, mode.flag()];
    let program = Program::proxy(dir.path(), &args).await;
    program.ready().await;
    are_as_at_home(&program).await;
    casd.stop().await;
}

#[tokio::test]
async fn in_the_root_of_another_backend() {
    with_casd(Mode::Chroot).await;
}

#[tokio::test]
async fn in_a_directory_of_another_backend() {
    with_casd(Mode::Rewrite).await;
}

#[tokio::test]
async fn a_backend_with_one_directory_for_a_compile_is_no_place_and_both_paths_are_named() {
    let (dir, tree, sources) = (temp_dir(), Tree::new(&[]), sources());
    let program = Program::proxy(dir.path(), &[Mode::Property.flag()]).await;
    let at = sources.path().display().to_string();
    let line = format!("gcc -g -I{at}/inc -c {at}/a.c -o a.o");
    let outcome = client(&program, false).compile(tree.command(&line)).await;
    let told = outcome.error_messages.join("; ");
    for words in [&at, tree.dir().to_str().expect("UTF-8"), "--absolute-paths=rewrite"] {
        assert!(told.contains(words), "{words} is not in {told:?}");
    }
}
