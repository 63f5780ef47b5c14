//! The order in which tasks get at what they share, tried by shuttle: thousands of random orders, and
//! thousands in which a task is held up at the worst places.
//!
//! What is tried is the shard's own source, compiled here with another `sync` in which every step is
//! shuttle's. `model` is what it talks to, `properties` are what must hold. Where one does not, shuttle prints
//! the order that broke it, to be played again.

// What nobody calls here is called in the shard, where the sources' own tests are run too.
#![allow(dead_code, unused_imports)]

mod contents;
mod model;
mod properties;
mod sync;

#[path = "../../src/counts.rs"]
mod counts;
#[path = "../../src/joins.rs"]
mod joins;
#[path = "../../src/presence/mod.rs"]
mod presence;
#[path = "../../src/single_flight.rs"]
mod single_flight;
#[path = "../../src/upload/mod.rs"]
mod upload;

/// What the sources know of their neighbours.
mod facts {
    pub(crate) use goma_shard::facts::{Facts, Memory};
}

use std::time::Instant;

use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::{Config, Runner};

use properties::{flights, joins as joining, presence as believing, uploads};

/// Orders of each kind that are tried; `SCHEDULES` says otherwise.
const ORDERS: usize = 20_000;
/// Places at which a task is held up.
const HOLD_UPS: usize = 3;

/// All that must hold, by name.
const PROPERTIES: [(&str, fn()); 7] = [
    ("no_drop_is_undone_by_an_older_answer", believing::no_drop_is_undone_by_an_older_answer),
    (
        "nothing_of_the_last_epoch_is_believed_in_the_next",
        believing::nothing_of_the_last_epoch_is_believed_in_the_next,
    ),
    ("a_blob_is_uploaded_once_and_all_hear", uploads::a_blob_is_uploaded_once_and_all_hear),
    (
        "a_tenants_drop_is_not_undone_by_what_others_asked",
        uploads::a_tenants_drop_is_not_undone_by_what_others_asked,
    ),
    ("recovery_is_never_swallowed", uploads::recovery_is_never_swallowed),
    ("one_runs_at_a_time_and_all_hear", flights::one_runs_at_a_time_and_all_hear),
    ("one_runs_it_and_nobody_waits_for_nothing", joining::one_runs_it_and_nobody_waits_for_nothing),
];

fn main() {
    // Deadlines want to have a clock; it is never wound.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.expect("a runtime");
    let _entered = runtime.enter();
    let orders = std::env::var("SCHEDULES").ok().and_then(|told| told.parse().ok());
    let orders = orders.unwrap_or(ORDERS);
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    for (name, property) in PROPERTIES {
        if !wanted.is_empty() && !wanted.iter().any(|word| name.contains(word.as_str())) {
            continue;
        }
        let began = Instant::now();
        Runner::new(RandomScheduler::new(orders), Config::new()).run(property);
        Runner::new(PctScheduler::new(HOLD_UPS, orders), Config::new()).run(property);
        println!("interleavings: {name} ... ok, {} orders in {:.1?}", 2 * orders, began.elapsed());
    }
}
