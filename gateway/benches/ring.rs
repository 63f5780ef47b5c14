//! What the ring costs: a lookup, which each key of each question pays, and a rebuild, which each
//! change of membership does.

use divan::{Bencher, black_box};
use goma_common::Digest;
use goma_gateway::ring::{Member, Ring};

fn main() {
    divan::main();
}

fn members(count: usize) -> Vec<Member> {
    (0..count).map(|at| Member { name: format!("shard-{at}"), weight: 1 }).collect()
}

#[divan::bench(args = [3, 30, 1_000], sample_size = 10_000)]
fn owner(bencher: Bencher<'_, '_>, count: usize) {
    let ring = Ring::of(&members(count));
    // More of them than caches remember the way of.
    let keys: Vec<_> = (0..65_536_u32).map(|at| Digest::of(&at.to_be_bytes()).hash).collect();
    let mut next = 0;
    bencher.bench_local(|| {
        next = (next + 1) % keys.len();
        ring.owner(black_box(&keys[next]))
    });
}

#[divan::bench(args = [3, 30, 1_000])]
fn rebuild(bencher: Bencher<'_, '_>, count: usize) {
    let members = members(count);
    bencher.bench_local(|| Ring::of(black_box(&members)));
}
