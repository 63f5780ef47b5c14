//! Schedules: users compile on a cluster while shards, gateways, the store of facts and the farm fail
//! as a seed has them fail, in a time of their own. Invariants are checked at every step.
//!
//! `SEED=7` plays one schedule, `COUNT=10000` so many; a violation names the seed that plays it again.
//! [`script`] is what happens, [`world`] the cluster, [`checker`] what must hold; [`farm`] and
//! [`store`] are the doubles of a backend and of Redis, [`client`] that of the stock client,
//! [`member`] a shard that can be killed, [`cluster`] who is up as each gateway sees it.

#![allow(unreachable_pub, reason = "modules of a test")]

mod chance;
mod checker;
mod client;
mod closure;
mod cluster;
mod farm;
mod member;
mod sabotage;
mod script;
mod store;
mod world;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use checker::Report;
use client::Client;
use futures::future::join_all;
use sabotage::Sabotage;
use script::Script;
use tokio::runtime::Builder;
use tokio::time::{sleep_until, timeout};
use world::World;

/// Schedules that are played where nobody asks for others.
const COUNT: u64 = 500;
/// No schedule takes longer, in its own time.
const WHOLE: Duration = Duration::from_secs(3 * 60 * 60);

fn play(script: Script) -> Report {
    // The delays between tries of the code under test.
    fastrand::seed(script.seed);
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(async {
        let world = World::new(script);
        if timeout(WHOLE, act(&world)).await.is_err() {
            world.checker.violation("the schedule does not end");
        }
        if world.script.is_calm() {
            world.checker.each_upload_was_made_once();
        }
        world.checker.report()
    })
}

async fn act(world: &std::sync::Arc<World>) {
    let start = tokio::time::Instant::now();
    let clients = (0..world.script.clients).map(|n| Client::new(world.clone(), n).work());
    let clients: Vec<_> = clients.map(tokio::spawn).collect();
    let episodes = world.script.episodes.iter().copied().zip(0..).map(|((at, episode), number)| {
        let world = world.clone();
        tokio::spawn(async move {
            sleep_until(start + at).await;
            world.happen(number, episode).await;
        })
    });
    let episodes: Vec<_> = episodes.collect();
    for ended in join_all(clients.into_iter().chain(episodes)).await {
        if let Err(error) = ended {
            world.checker.violation(format!("something panicked: {error}"));
        }
    }
}

/// Plays these seeds on all cores; the violations, and what happened in all of them together.
fn play_all(seeds: std::ops::Range<u64>, sabotage: Sabotage) -> Report {
    let next = AtomicU64::new(seeds.start);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let played = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..cores)
            .map(|_| {
                scope.spawn(|| {
                    let (mut violations, mut counts) = (Vec::new(), BTreeMap::<_, u64>::new());
                    loop {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        if !seeds.contains(&seed) {
                            return (violations, counts);
                        }
                        let report = play(Script { sabotage, ..Script::of(seed) });
                        violations
                            .extend(report.violations.iter().map(|v| format!("SEED={seed} {v}")));
                        report
                            .counts
                            .iter()
                            .for_each(|(what, n)| *counts.entry(*what).or_default() += n);
                    }
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().expect("no panic")).collect::<Vec<_>>()
    });
    let mut all = Report::default();
    for (violations, counts) in played {
        all.violations.extend(violations);
        counts.into_iter().for_each(|(what, n)| *all.counts.entry(what).or_default() += n);
    }
    all
}

/// A number from the environment.
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

#[test]
fn no_schedule_breaks_an_invariant() {
    let seeds = match (number("SEED"), number("COUNT")) {
        (Some(seed), None) => seed..seed + 1,
        (seed, count) => {
            let first = seed.unwrap_or(0);
            first..first + count.unwrap_or(COUNT)
        }
    };
    if seeds.end - seeds.start == 1 {
        println!("{:#?}", Script::of(seeds.start));
    }
    let report = play_all(seeds.clone(), Sabotage::Nothing);
    println!("{} schedules: {:#?}", seeds.end - seeds.start, report.counts);
    assert!(report.violations.is_empty(), "{}", report.violations.join("\n"));
    if seeds == (0..COUNT) {
        for what in ["recoveries", "answers that ask for inputs", "replayed requests", "epochs"] {
            assert!(report.counts.contains_key(what), "no {what} in all of them");
        }
    }
}

#[test]
fn equal_seeds_give_equal_schedules() {
    for seed in 0..50 {
        let [one, other] = [(); 2].map(|()| play(Script::of(seed)));
        assert_eq!(one.trace, other.trace, "seed {seed}");
    }
}

/// Plays schedules with a safeguard turned off until the checker says these words.
fn finds(sabotage: Sabotage, words: &str) {
    let found = (0..COUNT).any(|seed| {
        let report = play(Script { sabotage, ..Script::of(seed) });
        report.violations.iter().any(|violation| violation.contains(words))
    });
    assert!(found, "nobody noticed {sabotage:?}");
}

#[test]
fn recovery_that_believes_presence_is_noticed() {
    finds(Sabotage::TrustAlways, "did not ask the CAS about");
}

#[test]
fn presence_that_is_kept_after_a_loss_is_noticed() {
    finds(Sabotage::NeverForget, "was kept that a worker found gone");
}

#[test]
fn presence_without_a_confirmation_is_noticed() {
    finds(Sabotage::ConfirmUnasked, "the CAS never confirmed it");
}

#[test]
fn a_key_of_other_contents_is_noticed() {
    finds(Sabotage::MixKeys, "was mapped to");
}

#[test]
fn a_key_before_its_contents_is_noticed() {
    finds(Sabotage::RecordFirst, "before the CAS had its contents");
}

#[test]
fn an_answer_that_is_not_passed_on_is_noticed() {
    finds(Sabotage::NeverAnswer, "no answer to attempt");
}
