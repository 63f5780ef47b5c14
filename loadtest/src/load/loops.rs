//! A whole run: prepares, sends in a closed or an open loop, and tells of it every second.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

use super::arrivals::Rate;
use super::config::{LoadConfig, Pace};
use super::latencies::Latencies;
use super::material::{Making, Request};
use super::measured::Measured;
use super::prepare;
use super::sender::Sender;
use super::server_process::ServerProcess;
use super::supply;
use crate::error::{Error, Result};
use crate::http::{Caller, CallerConfig};
use crate::lock::lock;
use crate::report::LoadReport;

/// How a run is going.
#[derive(Clone, Debug)]
pub enum Progress {
    /// What is being done before it.
    Preparing(String),
    /// Requests of the warm-up are under way.
    WarmingUp {
        /// How many.
        under_way: usize,
    },
    /// Figures so far.
    Running {
        /// Since the end of the warm-up.
        elapsed: Duration,
        /// Right answers a second, in the time since the last word.
        rate: f64,
        /// Milliseconds, since the end of the warm-up.
        p50: f64,
        /// Milliseconds, since the end of the warm-up.
        p99: f64,
        /// Answers that were not right.
        errors: u64,
        /// Requests that found no room.
        dropped: u64,
        /// Requests under way.
        under_way: usize,
    },
}

/// Measures as set. `told` hears every second how it is going.
///
/// # Errors
/// A setting that cannot be meant, or a server that does not answer known requests before the run; what
/// goes wrong in the run is in the report.
pub async fn run(config: &LoadConfig, told: impl Fn(Progress)) -> Result<LoadReport> {
    config.check()?;
    let making = Making { nonce: nonce(), coding: config.coding };
    let say = |words: &str| told(Progress::Preparing(words.to_owned()));
    let mut prepared = prepare::material(config, &say).await?;
    say("sending known requests");
    prepare::acquaint(config, &mut prepared, &sender(config), &making).await?;
    let server = config.server_pid.map(ServerProcess::watch).transpose()?;

    let sender = Arc::new(sender(config));
    let material = Arc::clone(&prepared.material);
    let requests = supply::make(material, config.workload(), making);
    let loops = async {
        match config.pace {
            Pace::Closed { workers } => closed(config, &sender, requests, workers).await,
            Pace::Open { rate, arrivals, ramp, max_in_flight } => {
                let times = Rate { rate, ramp, arrivals }.times(config.seed);
                let end = config.window().end();
                let due = supply::pace(requests, times, sender.start, end);
                open(&sender, due, max_in_flight).await
            }
        }
    };
    let mut watched = server;
    {
        tokio::pin!(loops);
        let watching = watch(config, &sender, &mut watched, &told);
        tokio::pin!(watching);
        tokio::select! {
            ended = &mut loops => ended?,
            () = &mut watching => {}
        }
    }
    let measured = lock(&sender.measured);
    let mut report = measured.report(config.settings());
    if let Some(mut server) = watched {
        server.sample(sender.start.elapsed().saturating_sub(config.warmup));
        report.server = Some(server.report(measured.requests()));
    }
    Ok(report)
}

fn sender(config: &LoadConfig) -> Sender {
    let caller = |token| {
        Caller::new(CallerConfig {
            server: config.server.clone(),
            user_agent: config.client(None).user_agent,
            token,
            coding: config.coding,
            manners: config.manners(),
            deadline: config.timeout,
        })
    };
    Sender {
        callers: config.users().into_iter().map(caller).collect(),
        coding: config.coding,
        start: Instant::now(),
        measured: Mutex::new(Measured::new(config.window(), config.inputs.len())),
        under_way: AtomicUsize::new(0),
    }
}

/// Each worker sends its next request when it has the answer to the one before.
async fn closed(
    config: &LoadConfig,
    sender: &Arc<Sender>,
    requests: mpsc::Receiver<Result<Request>>,
    workers: usize,
) -> Result<()> {
    let requests = Arc::new(tokio::sync::Mutex::new(requests));
    let end = config.window().end();
    let mut working: JoinSet<Result<()>> = JoinSet::new();
    for _ in 0..workers {
        let (sender, requests) = (Arc::clone(sender), Arc::clone(&requests));
        working.spawn(async move {
            loop {
                let asked = sender.start.elapsed();
                if asked >= end {
                    return Ok(());
                }
                let Some(request) = requests.lock().await.recv().await else { return Ok(()) };
                let begun = sender.start.elapsed();
                lock(&sender.measured).starve(asked, begun.saturating_sub(asked));
                sender.send(request?, begun).await;
            }
        });
    }
    while let Some(ended) = working.join_next().await {
        ended.map_err(|error| Error::member("a worker", error))??;
    }
    Ok(())
}

/// Each request leaves when it is due, unless too many are under way.
async fn open(
    sender: &Arc<Sender>,
    mut due: mpsc::Receiver<Result<supply::Due>>,
    max_in_flight: usize,
) -> Result<()> {
    let room = Arc::new(Semaphore::new(max_in_flight));
    let mut under_way = JoinSet::new();
    while let Some(next) = due.recv().await {
        let supply::Due { at, request } = next?;
        let Ok(permit) = Arc::clone(&room).try_acquire_owned() else {
            lock(&sender.measured).turn_away(at);
            continue;
        };
        let sender = Arc::clone(sender);
        under_way.spawn(async move {
            sender.send(request, at).await;
            drop(permit);
        });
        while under_way.try_join_next().is_some() {}
    }
    while under_way.join_next().await.is_some() {}
    Ok(())
}

/// Looks every second, without end.
async fn watch(
    config: &LoadConfig,
    sender: &Sender,
    server: &mut Option<ServerProcess>,
    told: &impl Fn(Progress),
) {
    let mut before = 0;
    let mut began = false;
    let mut ticks = tokio::time::interval_at(sender.start + config.warmup, Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    if !config.warmup.is_zero() {
        told(Progress::WarmingUp { under_way: sender.under_way.load(Ordering::Relaxed) });
    }
    loop {
        ticks.tick().await;
        let elapsed = sender.start.elapsed().saturating_sub(config.warmup);
        let under_way = sender.under_way.load(Ordering::Relaxed);
        if !began {
            began = true;
            // What the warm-up cost is none of the run's.
            *server = config.server_pid.and_then(|pid| ServerProcess::watch(pid).ok());
            continue;
        }
        if let Some(server) = server {
            server.sample(elapsed);
        }
        let measured = lock(&sender.measured);
        let right = measured.requests() - measured.wrong();
        let all: &Latencies = measured.all();
        let progress = Progress::Running {
            elapsed,
            rate: (right - before) as f64,
            p50: all.at(0.5),
            p99: all.at(0.99),
            errors: measured.wrong(),
            dropped: measured.dropped(),
            under_way,
        };
        before = right;
        drop(measured);
        told(progress);
    }
}

/// Of this run and no other.
fn nonce() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    format!("{:x}-{:x}", std::process::id(), since)
}
