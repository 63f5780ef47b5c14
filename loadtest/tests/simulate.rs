//! A simulated day of a small fleet: what it must and must not ask of the backend.

use goma_loadtest::simulate::{SimulateConfig, SimulateReport, run};

fn fleet() -> SimulateConfig {
    SimulateConfig {
        gateways: 3,
        shards: 9,
        developers: 20,
        jobs: 50,
        sources: 150,
        headers: 400,
        builds_per_hour: 30.0,
        commits_per_hour: 4.0,
        lost: 3,
        seed: 7,
        ..SimulateConfig::default()
    }
}

fn day(config: &SimulateConfig) -> SimulateReport {
    let report = run(config, || {}).expect("a fleet");
    assert_eq!(report.failed(), 0, "{}", report.table());
    assert_eq!(report.phases.len(), 5, "{}", report.table());
    assert!(report.phases.iter().all(|phase| phase.counts.compiles > 0), "{}", report.table());
    report
}

#[test]
fn each_blob_is_asked_about_and_uploaded_once_though_shards_are_lost() {
    // Long, so that nothing is asked about only to keep it fresh.
    let report = day(&SimulateConfig { presence_life: 24 * 60 * 60, ..fleet() });
    let sum = |of: fn(&goma_loadtest::simulate::Counts) -> u64| {
        report.phases.iter().map(|phase| of(&phase.counts)).sum::<u64>()
    };
    assert_eq!(sum(|counts| counts.batch_update_blobs), report.blobs as u64);
    let asked = sum(|counts| counts.find_missing_digests);
    // A question that its shard's loss cut off is asked again.
    let again = asked - report.blobs as u64;
    assert!(again * 100 < asked, "{again} of {asked} blobs were asked about again");
    let compiles = sum(|counts| counts.compiles);
    assert!(sum(|counts| counts.hits) > compiles / 3, "{}", report.table());
}

#[test]
fn without_redis_the_successors_of_lost_shards_ask_again() {
    let after = |config: &SimulateConfig| {
        let report = day(config);
        report.phases[3..].iter().map(|phase| phase.counts.find_missing_digests).sum::<u64>()
    };
    let with = after(&fleet());
    let without = after(&SimulateConfig { redis: false, ..fleet() });
    assert!(without > with, "{without} after the loss, and {with} with Redis");
}

#[test]
fn a_seed_gives_one_report_and_the_page_shows_it() {
    let report = day(&fleet());
    assert_eq!(report, day(&fleet()));
    assert_ne!(report, day(&SimulateConfig { seed: 8, ..fleet() }));
    let page = report.page().expect("pictures");
    assert_eq!(page.matches("<svg").count(), 4);
    assert!(page.contains("10:15 3 shards are lost") && !page.contains("http://goma"));
}

#[test]
fn a_fleet_that_loses_all_its_shards_is_refused() {
    let why = run(&SimulateConfig { lost: 9, ..fleet() }, || {}).expect_err("no fleet").to_string();
    assert!(why.contains("--lost"), "{why}");
}
