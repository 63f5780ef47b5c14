//! Sends what was recorded once more, at the pace at which it came or another.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use goma_common::Digest;
use goma_proto::api::exec_req::CachePolicy;
use goma_proto::api::{ExecReq, FileBlob, LookupFileReq, StoreFileReq};
use prost::Message;
use tokio::sync::mpsc;

use super::super::again::{Again, Known};
use super::super::checked::Expect;
use super::super::material::Request;
use super::super::sample::Window;
use super::super::server_process::own_cpu_ms;
use super::super::template::pack;
use super::super::watch::{Progress, watch};
use super::super::way::Way;
use super::super::workload::{Choice, Kind};
use super::super::{loops, supply};
use super::file::Recorded;
use crate::client::blocking;
use crate::error::{Error, Result};
use crate::lock::lock;
use crate::report::{LoadReport, SettingsReport, thousandths};

/// What to send, and how.
#[derive(Clone, Debug)]
pub struct ReplayConfig {
    /// Where to, and how.
    pub way: Way,
    /// Of a recording, or of a client's dumps.
    pub dir: PathBuf,
    /// How many times faster than it came.
    pub speed: f64,
    /// Requests a second of what has no times: a client's dumps.
    pub rate: f64,
    /// More are not sent but counted as dropped.
    pub max_in_flight: usize,
    /// The server's process, if it runs on this machine and its cost is to be told.
    pub server_pid: Option<u32>,
}

/// Sends all of it, or until `stop`. `told` hears every second how it is going.
///
/// # Errors
/// A directory that cannot be read or holds nothing, or a flag that cannot be meant.
pub async fn replay(
    config: &ReplayConfig,
    stop: impl Future<Output = ()>,
    told: impl Fn(Progress),
) -> Result<LoadReport> {
    let refuse = |flag, reason: String| Err(Error::Config { flag, reason });
    for (flag, figure) in [("--speed", config.speed), ("--rate", config.rate)] {
        if !(figure > 0.0 && figure.is_finite()) {
            return refuse(flag, "must be over 0".to_owned());
        }
    }
    told(Progress::Preparing("reading what was recorded".to_owned()));
    let reading = config.clone();
    let due = blocking(move || requests(&reading)).await?;
    let Some(last) = due.last().map(|(at, _)| *at) else {
        return refuse("DIR", format!("{} holds no requests", config.dir.display()));
    };
    let window = Window { warmup: Duration::ZERO, duration: last + Duration::from_millis(1) };
    let sender = Arc::new(config.way.sender(window, 1));
    let (times, requests): (Vec<_>, Vec<_>) = due.into_iter().unzip();
    let (made, taken) = mpsc::channel(requests.len());
    for request in requests {
        made.try_send(Ok(request)).map_err(|error| Error::member("a queue", error))?;
    }
    let due = supply::pace(taken, times.into_iter(), sender.start, window.end());
    let (mut server, own) = (None, own_cpu_ms());
    tokio::select! {
        ended = loops::open(&sender, due, config.max_in_flight) => ended?,
        () = watch(&sender, Duration::ZERO, config.server_pid, &mut server, &told) => {}
        () = stop => lock(&sender.measured).stop(sender.start.elapsed()),
    }
    let measured = lock(&sender.measured);
    let mut report = measured.report(SettingsReport {
        server: config.way.url.clone(),
        verb: "replay".to_owned(),
        rate: Some(config.rate),
        max_in_flight: Some(config.max_in_flight),
        duration_s: window.duration.as_secs_f64(),
        users: config.way.users().len(),
        two_writes: config.way.two_writes,
        compression: config.way.coding.is_some(),
        timeout_s: config.way.timeout.as_secs_f64(),
        speed: Some(config.speed),
        ..Default::default()
    });
    let own = own_cpu_ms().saturating_sub(own) as f64 / 1e3;
    report.generator.cores = thousandths(own / sender.start.elapsed().as_secs_f64());
    if let Some(mut server) = server {
        server.sample(sender.start.elapsed());
        report.server = Some(server.report(measured.requests()));
    }
    Ok(report)
}

/// All requests with their times, sorted by these.
fn requests(config: &ReplayConfig) -> Result<Vec<(Duration, Request)>> {
    let mut recorded = Vec::new();
    read(&config.dir, &mut recorded)?;
    let kept = Arc::new(contents(&recorded)?);
    let users = config.way.users().len();
    let mut due = Vec::with_capacity(recorded.len());
    for (number, recorded) in recorded.into_iter().enumerate() {
        let at = match recorded.at {
            Some(at) => at.div_f64(config.speed),
            None => Duration::from_secs_f64(number as f64 / config.rate),
        };
        let user = number % users;
        let number = number as u64;
        let choice = Choice { number, size: 0, action: 0, user, kind: Kind::Known };
        due.push((at, request(config, choice, recorded, &kept)?));
    }
    due.sort_by_key(|(at, _)| *at);
    Ok(due)
}

/// Files below a directory, in the order of their names.
fn read(dir: &Path, into: &mut Vec<Recorded>) -> Result<()> {
    let failed = |error| Error::file(dir, error);
    let entries = std::fs::read_dir(dir).map_err(failed)?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    let mut paths = paths.collect::<std::io::Result<Vec<_>>>().map_err(failed)?;
    paths.sort();
    for path in paths {
        if path.is_dir() && !path.is_symlink() {
            read(&path, into)?;
        } else if let Some(recorded) = Recorded::read(&path)? {
            into.push(recorded);
        }
    }
    Ok(())
}

/// All contents that were recorded, by their keys.
fn contents(recorded: &[Recorded]) -> Result<HashMap<String, FileBlob>> {
    let mut kept = HashMap::new();
    for Recorded { path, message, .. } in recorded {
        match *path {
            "/e" => {
                let request = ExecReq::decode(message.clone()).map_err(unread)?;
                kept.extend(
                    request.input.into_iter().filter_map(|input| input.hash_key.zip(input.content)),
                );
            }
            "/s" => {
                let request = StoreFileReq::decode(message.clone()).map_err(unread)?;
                kept.extend(request.blob.into_iter().map(|blob| (key_of(&blob), blob)));
            }
            _ => {}
        }
    }
    Ok(kept)
}

fn request(
    config: &ReplayConfig,
    choice: Choice,
    recorded: Recorded,
    kept: &Arc<HashMap<String, FileBlob>>,
) -> Result<Request> {
    let Recorded { path, message: plain, .. } = recorded;
    let packed = pack(config.way.coding, &plain)?;
    let (expect, contents) = match path {
        "/s" => {
            let request = StoreFileReq::decode(plain.clone()).map_err(unread)?;
            let size = |blob: &FileBlob| blob.content.as_ref().map_or(0, |c| c.len() as u64);
            let contents = request.blob.iter().map(size).sum();
            (Expect::Keys(request.blob.iter().map(key_of).collect()), contents)
        }
        "/l" => {
            let request = LookupFileReq::decode(plain.clone()).map_err(unread)?;
            (Expect::Files(request.hash_key.into()), 0)
        }
        _ => {
            let request = ExecReq::decode(plain.clone()).map_err(unread)?;
            let cached_alone = request.cache_policy() == CachePolicy::LookupOnly;
            (if cached_alone { Expect::Anything } else { Expect::Result }, 0)
        }
    };
    let known = Known::Kept(Arc::clone(kept));
    let again = (path == "/e").then_some(Again { plain, fresh: Vec::new(), known });
    Ok(Request { choice, path, packed, expect, contents, again })
}

/// As Goma has it: of the message.
fn key_of(blob: &FileBlob) -> String {
    Digest::of(&blob.encode_to_vec()).hex()
}

fn unread(error: prost::DecodeError) -> Error {
    Error::Answer(format!("what was recorded cannot be read: {error}"))
}
