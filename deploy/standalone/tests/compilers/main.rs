//! Every family of flags in gcc, g++, clang and clang++: what comes back is what this machine's own
//! compiler makes, byte for byte, or a reason.

#[path = "../support/mod.rs"]
mod support;

mod actions;
mod apart;
mod cases;
mod cl;
mod debugging;
mod made;
mod mode;
mod notes;
mod nowhere;
mod others;
mod own_compiler;
mod policies;
mod project;
mod sizes;
mod surroundings;
mod temps;
mod worker_failures;

use std::path::Path;

use cases::{CASES, Case, Of};
use goma_loadtest::Client;
use mode::Mode;
use project::{Ended, Project};
use support::casd::Casd;
use support::process::{Program, temp_dir};
use support::tree::client;

const COMPILERS: [&str; 4] = ["gcc", "g++", "clang", "clang++"];

/// All of it takes minutes with a backend that starts slowly; one case in so many shows the rest.
const SAMPLE: usize = 4;

/// One case in so many there: as `MATRIX_EVERY` says, where 1 is all of them.
fn sample() -> usize {
    let told = std::env::var("MATRIX_EVERY").ok().map(|every| every.parse().ok());
    let every = told.unwrap_or(Some(SAMPLE)).filter(|every| *every > 0);
    every.expect("MATRIX_EVERY is a number from 1 on")
}

/// `sent` is whether the client's headers of the system have to go along.
async fn matrix(program: &Program, mode: Mode, sent: bool, every: usize) {
    let compilers = COMPILERS.into_iter().filter(|compiler| support::has_program(compiler));
    let mut wrong = Vec::new();
    let (mut equal, mut refused) = (0, 0);
    let client = client(program, false);
    for compiler in compilers {
        let project = Project::new();
        let mine = CASES.iter().filter(|case| match case.of {
            Of::All => true,
            Of::Gcc => !compiler.starts_with("clang"),
            Of::Clang => compiler.starts_with("clang"),
        });
        for case in mine.step_by(every) {
            match one(&client, &project, compiler, case, (mode, sent)).await {
                Ok(true) => equal += 1,
                Ok(false) => refused += 1,
                Err(why) => wrong.push(format!("{compiler}, {}: {why}", case.name)),
            }
        }
    }
    eprintln!("{mode:?}: {equal} as at home, {refused} refused, {} wrong", wrong.len());
    assert!(wrong.is_empty(), "{mode:?}, {equal} as at home:\n{}", wrong.join("\n"));
    assert!(equal * every > 160, "{equal}");
}

/// True if all is as at home, false if it was refused as it is to be.
async fn one(
    client: &Client,
    project: &Project,
    compiler: &str,
    case: &Case,
    (mode, sent): (Mode, bool),
) -> Result<bool, String> {
    let suffix = if compiler.ends_with("++") { "cc" } else { "c" };
    let compile = project.compile(compiler, case.line, suffix);
    let mut home = project.local(&compile);
    let before = project.files();
    let outcome = client.compile(compile).await;
    let mut remote = Ended {
        exit_status: Some(outcome.exit_status),
        stdout: outcome.stdout,
        stderr: outcome.stderr,
        made: project.take(&before),
    };
    if case.has_other_bytes(compiler, mode) {
        // Which then are other ones indeed, or the case would be none.
        let objects = [&mut home, &mut remote].map(|ended| ended.made.remove("build/a.o"));
        assert!(objects[0] != objects[1], "{}", case.name);
        for ended in [&mut home, &mut remote] {
            if let Some(notes) = ended.made.remove("build/a.gcno") {
                let notes = notes::without_checksums(notes);
                ended.made.insert("build/a.gcno".to_owned(), notes);
            }
        }
    }
    let told = outcome.failure.map(|why| format!("{why} {:?}", outcome.error_messages));
    match (case.refusal(compiler, mode, sent), told) {
        (Some(why), Some(told)) if told.contains(why) => Ok(false),
        (Some(why), told) => Err(format!("not refused with {why:?} but {told:?}")),
        (None, Some(told)) => Err(format!("refused: {told}")),
        (None, None) => home.difference(&remote).map_or(Ok(true), Err),
    }
}

#[tokio::test]
async fn under_the_clients_own_path() {
    let dir = temp_dir();
    let program = Program::proxy(dir.path(), &[Mode::Property.flag()]).await;
    matrix(&program, Mode::Property, false, 1).await;
}

#[tokio::test]
async fn in_a_directory_that_nobody_knows() {
    let dir = temp_dir();
    // In a sandbox it would always be the same one.
    let program = Program::proxy(dir.path(), &[Mode::Rewrite.flag(), "--sandbox=off"]).await;
    matrix(&program, Mode::Rewrite, false, 1).await;
}

async fn with_casd(mode: Mode, include: Option<&Path>) {
    let dir = temp_dir();
    let Some(casd) = Casd::start(dir.path(), include).await else { return };
    let remote = format!("--remoteexec-addr=127.0.0.1:{}", casd.port);
    let args = ["--backend-preset=casd", "--insecure-remoteexec", &remote, mode.flag()];
    let program = Program::proxy(dir.path(), &args).await;
    program.ready().await;
    matrix(&program, mode, include.is_some(), sample()).await;
    casd.stop().await;
}

#[tokio::test]
async fn in_the_root_of_another_backend() {
    with_casd(Mode::Chroot, None).await;
}

#[tokio::test]
async fn in_a_directory_of_another_backend() {
    with_casd(Mode::Rewrite, None).await;
}

/// A worker whose headers of the system are no headers at all.
fn useless_headers() -> tempfile::TempDir {
    let include = temp_dir();
    std::fs::write(include.path().join("stdio.h"), "#error the worker's own\n").expect("written");
    include
}

#[tokio::test]
async fn with_the_clients_headers_in_a_directory_of_another_backend() {
    with_casd(Mode::Rewrite, Some(useless_headers().path())).await;
}

#[tokio::test]
async fn with_the_clients_headers_in_the_root_of_another_backend() {
    with_casd(Mode::Chroot, Some(useless_headers().path())).await;
}
