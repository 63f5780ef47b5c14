//! What one action costs besides the command itself: `cargo bench -p goma-standalone --bench backend`.

use divan::Bencher;
use goma_common::Digest;
use tokio::runtime::Runtime;

use crate::action::{Action, execute, result};
use crate::farm::Farm;

#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../tests/backend/action.rs"]
mod action;
#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../tests/backend/farm.rs"]
mod farm;

fn main() {
    divan::main();
}

#[divan::bench]
fn trivial_in_a_sandbox(bencher: Bencher) {
    measure(bencher, true, Action::new(&["/usr/bin/true"]));
}

#[divan::bench]
fn trivial_without(bencher: Bencher) {
    measure(bencher, false, Action::new(&["/usr/bin/true"]));
}

#[divan::bench(args = [30, 300])]
fn inputs_in_a_sandbox(bencher: Bencher, count: usize) {
    measure(bencher, true, with_inputs(count));
}

#[divan::bench(args = [30, 300])]
fn inputs_without(bencher: Bencher, count: usize) {
    measure(bencher, false, with_inputs(count));
}

#[divan::bench]
fn find_missing_of_500(bencher: Bencher) {
    let runtime = Runtime::new().expect("a runtime");
    let farm = runtime.block_on(Farm::bare());
    let digests: Vec<_> = (0..500_u32).map(|seed| Digest::of(&seed.to_le_bytes())).collect();
    bencher.bench_local(|| runtime.block_on(farm.missing(&digests)));
}

/// Headers in ten directories, an output in another.
fn with_inputs(count: usize) -> Action {
    let mut action = Action::new(&["/usr/bin/true"]).output("out/x.o");
    for number in 0..count {
        let contents = format!("// {number}\n").repeat(400);
        action = action.input(&format!("include/d{}/{number}.h", number % 10), &contents);
    }
    action
}

fn measure(bencher: Bencher, sandbox: bool, action: Action) {
    let runtime = Runtime::new().expect("a runtime");
    let farm =
        runtime.block_on(async { if sandbox { Farm::start().await } else { Farm::bare().await } });
    let digest = runtime.block_on(action.do_not_cache().upload(&farm));
    bencher.bench_local(|| {
        let response = runtime.block_on(execute(&farm, digest, true));
        assert_eq!(result(&response).exit_code, 0);
    });
}
