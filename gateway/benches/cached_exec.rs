//! What a cached Exec costs: time and allocations per request, beside the floor.
//!
//! `exec` is the whole of a gateway's work on a compile whose result is cached, from the body as it
//! was sent to the body of the answer, through the real router; `floor` is the least that any server
//! must do for the same request. [`support`] says what is in each, and what is left out of both.
//!
//! `just instructions` counts the same two in instructions, which other work on the machine does
//! not disturb.

mod support;

use divan::{AllocProfiler, Bencher};
use goma_common::program::Allocator;
use support::{Fixture, SIZES};

#[global_allocator]
static ALLOC: AllocProfiler<Allocator> = AllocProfiler::new(Allocator);

fn main() {
    divan::main();
}

#[divan::bench(args = SIZES)]
fn exec(bencher: Bencher<'_, '_>, inputs: usize) {
    let fixture = Fixture::new(inputs);
    bencher.bench_local(|| fixture.exec());
}

#[divan::bench(args = SIZES)]
fn floor(bencher: Bencher<'_, '_>, inputs: usize) {
    let fixture = Fixture::new(inputs);
    bencher.bench_local(|| fixture.floor());
}
