//! A whole run: prepares, sends in a closed or an open loop, and says what came of it.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::arrivals::Rate;
use super::config::{LoadConfig, Pace};
use super::material::Making;
use super::watch::{Progress, begin};
use super::watched::Watched;
use super::{loops, prepare, supply};
use crate::error::Result;
use crate::report::LoadReport;

/// Measures as set, or until `stop`: then what is under way is given up and not counted. `told` hears
/// every second how it is going.
///
/// # Errors
/// A setting that cannot be meant, or a server that does not answer known requests before the run; what
/// goes wrong in the run is in the report.
pub async fn run(
    config: &LoadConfig,
    stop: impl Future<Output = ()>,
    told: impl Fn(Progress),
) -> Result<LoadReport> {
    config.check()?;
    let making = Making { nonce: nonce(), coding: config.way.coding };
    let say = |words: &str| told(Progress::Preparing(words.to_owned()));
    let mut prepared = prepare::material(config, &say).await?;
    say("sending known requests");
    prepare::acquaint(config, &mut prepared, &config.sender(), &making).await?;
    let server = begin(&config.server_pids)?;

    let sender = Arc::new(config.sender());
    let material = Arc::clone(&prepared.material);
    let requests = supply::make(material, config.workload(), making);
    let end = config.window().end();
    let sending = async {
        match config.pace {
            Pace::Closed { workers } => loops::closed(&sender, requests, workers, end).await,
            Pace::Open { rate, arrivals, ramp, max_in_flight } => {
                let times = Rate { rate, ramp, arrivals }.times(config.seed);
                let due = supply::pace(requests, times, sender.start, end);
                loops::open(&sender, due, max_in_flight).await
            }
        }
    };
    let watched =
        Watched { sender: &sender, warmup: config.warmup, pids: &config.server_pids, server };
    watched.until(sending, stop, &told, config.settings()).await
}

/// Of this run and no other.
fn nonce() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    format!("{:x}-{:x}", std::process::id(), since)
}
