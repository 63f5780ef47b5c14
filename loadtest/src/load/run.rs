//! A whole run: prepares, sends in a closed or an open loop, and says what came of it.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::arrivals::Rate;
use super::config::{LoadConfig, Pace};
use super::material::Making;
use super::server_process::{ServerProcess, own_cpu_ms};
use super::watch::{Progress, watch};
use super::{loops, prepare, supply};
use crate::error::Result;
use crate::lock::lock;
use crate::report::{LoadReport, thousandths};

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
    let server = config.server_pid.map(ServerProcess::watch).transpose()?;

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
    let mut watched = server;
    let (pid, own) = (config.server_pid, own_cpu_ms());
    tokio::select! {
        ended = sending => ended?,
        () = watch(&sender, config.warmup, pid, &mut watched, &told) => {}
        () = stop => lock(&sender.measured).stop(sender.start.elapsed()),
    }
    let measured = lock(&sender.measured);
    let mut report = measured.report(config.settings());
    let own = own_cpu_ms().saturating_sub(own) as f64 / 1e3;
    report.generator.cores = thousandths(own / sender.start.elapsed().as_secs_f64());
    if let Some(mut server) = watched {
        server.sample(sender.start.elapsed().saturating_sub(config.warmup));
        report.server = Some(server.report(measured.requests()));
    }
    Ok(report)
}

/// Of this run and no other.
fn nonce() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    format!("{:x}-{:x}", std::process::id(), since)
}
