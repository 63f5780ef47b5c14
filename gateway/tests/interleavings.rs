//! The order in which requests ask for room, give up and leave, tried by shuttle: thousands of random orders,
//! and thousands in which a task is held up at the worst places.
//!
//! What is tried is the gateway's own source, compiled here with another `sync` in which every step is
//! shuttle's. Where something does not hold, shuttle prints the order that broke it, to be played again.

// What nobody calls here is called in the gateway, where the source's own tests are run too.
#![allow(dead_code, unused_imports)]

#[path = "../src/fair.rs"]
mod fair;

/// What `gateway/src/sync.rs` names, by shuttle.
mod sync {
    pub(crate) use shuttle::sync::{Mutex, MutexGuard, PoisonError};
}

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fair::{Fair, Held};
use futures::future::{Either, select};
use goma_common::shards::Source;
use shuttle::future::{block_on, spawn, yield_now};
use shuttle::rand::{Rng, thread_rng};
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::{Config, Runner};

/// Orders of each kind that are tried; `SCHEDULES` says otherwise.
const ORDERS: usize = 20_000;
/// Places at which a task is held up.
const HOLD_UPS: usize = 3;
const ROOM: usize = 5;

async fn others_run() {
    for _ in 0..thread_rng().gen_range(0..3) {
        yield_now().await;
    }
}

/// What is held in all.
struct Sum(AtomicUsize);

impl Sum {
    /// Holds it for a while, in part after a time.
    async fn hold(&self, mut held: Held) {
        let (all, part) = (held.amount(), held.amount() / 2);
        let before = self.0.fetch_add(all, Ordering::SeqCst);
        assert!(before + all <= ROOM, "{before} and {all} are more than there is");
        others_run().await;
        self.0.fetch_sub(all - part, Ordering::SeqCst);
        held.keep(part);
        others_run().await;
        self.0.fetch_sub(part, Ordering::SeqCst);
    }
}

/// Some wait to the end, some give up, some want it at once; a large amount is among them.
fn room_is_never_more_than_there_is_and_comes_to_everybody() {
    block_on(async {
        let (room, sum) = (Fair::new(ROOM), Arc::new(Sum(AtomicUsize::new(0))));
        let mut tasks = Vec::new();
        for (who, amount, gives_up) in
            [(1, 2, false), (1, ROOM, true), (2, ROOM, false), (2, 1, true), (3, 3, false)]
        {
            let (room, sum) = (room.clone(), sum.clone());
            tasks.push(spawn(async move {
                let taken = pin!(room.take(Source(who), amount));
                let over = pin!(others_run());
                let held = match gives_up {
                    false => taken.await,
                    true => match select(taken, over).await {
                        Either::Left((held, _)) => held,
                        Either::Right(_) => return,
                    },
                };
                assert_eq!(held.amount(), amount);
                sum.hold(held).await;
            }));
        }
        if let Some(held) = room.try_take(2) {
            sum.hold(held).await;
        }
        // That they end at all is half of it: shuttle tells of those who wait for ever.
        for task in tasks {
            task.await.expect("it ends");
        }
        assert!(room.try_take(ROOM).is_some(), "some of it is lost");
    });
}

fn main() {
    let orders = std::env::var("SCHEDULES").ok().and_then(|told| told.parse().ok());
    let (orders, property) =
        (orders.unwrap_or(ORDERS), room_is_never_more_than_there_is_and_comes_to_everybody);
    Runner::new(RandomScheduler::new(orders), Config::new()).run(property);
    Runner::new(PctScheduler::new(HOLD_UPS, orders), Config::new()).run(property);
    println!("interleavings: room comes to everybody ... ok, {} orders", 2 * orders);
}
