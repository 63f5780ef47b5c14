//! What a shard does by itself every second: it follows the epoch, asks about what is hot, and writes
//! its memory back into a store that was emptied.

use std::sync::Arc;
use std::time::Duration;

use goma_common::reapi::Backend;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use crate::facts::Facts;
use crate::files::Files;
use crate::presence::{Presence, refresh};

const PERIOD: Duration = Duration::from_secs(1);

/// The tasks; dropping it ends them.
pub(crate) struct Upkeep(Vec<JoinHandle<()>>);

impl Upkeep {
    pub(crate) fn start(
        presence: Arc<Presence>,
        files: Arc<Files>,
        facts: Arc<dyn Facts>,
        backend: Backend,
    ) -> Self {
        let follow = {
            let presence = presence.clone();
            async move {
                let mut ticks = ticks();
                loop {
                    ticks.tick().await;
                    presence.follow_epoch().await;
                    if facts.was_emptied().await {
                        files.write_back().await;
                    }
                }
            }
        };
        let refresh = async move {
            let mut ticks = ticks();
            loop {
                ticks.tick().await;
                refresh(&presence, &backend).await;
            }
        };
        Self(vec![tokio::spawn(follow), tokio::spawn(refresh)])
    }
}

impl Drop for Upkeep {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

fn ticks() -> tokio::time::Interval {
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
