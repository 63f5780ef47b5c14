//! What the black-box tests share: the running program, raw HTTP, Goma messages, sources.

// Each test program uses its own part of this.
#![allow(dead_code, missing_docs, unreachable_pub)]

pub mod bench;
pub mod casd;
pub mod goma;
pub mod http;
pub mod process;
pub mod requests;
pub mod tree;

use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Nothing here takes longer than this unless it hangs.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Polls until the condition holds.
#[track_caller]
pub fn eventually<C>(what: &str, condition: C) -> impl Future<Output = ()>
where
    C: AsyncFnMut() -> bool,
{
    let caller = std::panic::Location::caller();
    let what = what.to_owned();
    let mut condition = condition;
    async move {
        let started = Instant::now();
        while !condition().await {
            assert!(started.elapsed() < PATIENCE, "{caller}: waited too long: {what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Says why a test shows nothing here. Where all has been installed, as in CI, that is a failure.
#[track_caller]
pub fn skipped(why: &str) {
    assert!(std::env::var_os("GOMA_TESTS_MUST_RUN").is_none(), "not run: {why}");
    eprintln!("skipped: {why}");
}

/// Whether a program of this name is on PATH; says so when it is not.
#[track_caller]
pub fn has_program(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|dir| dir.join(name).is_file());
    if !found {
        skipped(&format!("no {name} on this machine"));
    }
    found
}

/// Lets this process have the files that its hard limit allows; whether they are as many.
pub fn may_open(files: u64) -> bool {
    let limits = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limits.maximum, ..limits };
    let enough = limits.maximum.is_none_or(|most| most >= files);
    if !enough {
        eprintln!("skipped: {files} open files are not allowed on this machine");
    }
    enough && setrlimit(Resource::Nofile, raised).is_ok()
}
