//! Sends what was recorded once more at the pace at which it came or another, or over and over.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use goma_common::Digest;
use goma_proto::api::exec_req::CachePolicy;
use goma_proto::api::{ExecReq, FileBlob, LookupFileReq, StoreFileReq};
use prost::Message;

use super::super::again::{Again, Known};
use super::super::checked::Expect;
use super::super::material::Request;
use super::super::sample::Window;
use super::super::template::pack;
use super::super::watch::{Progress, begin};
use super::super::watched::Watched;
use super::super::way::Way;
use super::super::workload::{Choice, Kind};
use super::super::{loops, supply};
use super::file::Recorded;
use crate::client::blocking;
use crate::error::{Error, Result};
use crate::report::{LoadReport, SettingsReport};

/// When what was recorded is sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ReplayPace {
    /// Once, each request when it came.
    Recorded {
        /// How many times faster than it came.
        speed: f64,
        /// Requests a second of what has no times: a client's dumps.
        rate: f64,
        /// More are not sent but counted as dropped.
        max_in_flight: usize,
    },
    /// In rotation, in the order of the recording, by workers with a request under way at all times.
    Rotation {
        /// How many.
        workers: usize,
        /// What goes before and is not measured.
        warmup: Duration,
        /// What is measured.
        duration: Duration,
    },
}

/// What to send, and how.
#[derive(Clone, Debug)]
pub struct ReplayConfig {
    /// Where to, and how.
    pub way: Way,
    /// Of a recording, or of a client's dumps.
    pub dir: PathBuf,
    /// When.
    pub pace: ReplayPace,
    /// The server's processes, if they run on this machine and their cost is to be told.
    pub server_pids: Vec<u32>,
}

impl ReplayConfig {
    fn check(&self) -> Result<()> {
        let refuse = |flag, reason: &str| Err(Error::Config { flag, reason: reason.to_owned() });
        match self.pace {
            ReplayPace::Recorded { speed, rate, .. } => {
                for (flag, figure) in [("--speed", speed), ("--rate", rate)] {
                    if !(figure > 0.0 && figure.is_finite()) {
                        return refuse(flag, "must be over 0");
                    }
                }
            }
            ReplayPace::Rotation { workers: 0, .. } => {
                return refuse("--workers", "must be 1 or more");
            }
            ReplayPace::Rotation { duration: Duration::ZERO, .. } => {
                return refuse("--duration", "must be over 0");
            }
            ReplayPace::Rotation { .. } => {}
        }
        Ok(())
    }

    fn settings(&self, window: Window) -> SettingsReport {
        let mut settings = SettingsReport {
            server: self.way.url.clone(),
            verb: "replay".to_owned(),
            duration_s: window.duration.as_secs_f64(),
            warmup_s: window.warmup.as_secs_f64(),
            users: self.way.users().len(),
            two_writes: self.way.two_writes,
            compression: self.way.coding.is_some(),
            timeout_s: self.way.timeout.as_secs_f64(),
            ..Default::default()
        };
        match self.pace {
            ReplayPace::Recorded { speed, rate, max_in_flight } => {
                settings.rate = Some(rate);
                settings.max_in_flight = Some(max_in_flight);
                settings.speed = Some(speed);
            }
            ReplayPace::Rotation { workers, .. } => settings.workers = Some(workers),
        }
        settings
    }
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
    config.check()?;
    let server = begin(&config.server_pids)?;
    told(Progress::Preparing("reading what was recorded".to_owned()));
    let reading = config.clone();
    let due = blocking(move || requests(&reading)).await?;
    let Some(last) = due.last().map(|(at, _)| *at) else {
        let reason = format!("{} holds no requests", config.dir.display());
        return Err(Error::Config { flag: "DIR", reason });
    };
    let window = match config.pace {
        ReplayPace::Recorded { .. } => {
            Window { warmup: Duration::ZERO, duration: last + Duration::from_millis(1) }
        }
        ReplayPace::Rotation { warmup, duration, .. } => Window { warmup, duration },
    };
    let sender = Arc::new(config.way.sender(window, 1));
    let sending = async {
        match config.pace {
            ReplayPace::Recorded { max_in_flight, .. } => {
                let (times, requests): (Vec<_>, Vec<_>) = due.into_iter().unzip();
                let requests = supply::give(requests.into_iter());
                let due = supply::pace(requests, times.into_iter(), sender.start, window.end());
                loops::open(&sender, due, max_in_flight).await
            }
            ReplayPace::Rotation { workers, .. } => {
                let requests: Vec<_> = due.into_iter().map(|(_, request)| request).collect();
                let requests = supply::give(requests.into_iter().cycle());
                loops::closed(&sender, requests, workers, window.end()).await
            }
        }
    };
    let pids = &config.server_pids;
    let watched = Watched { sender: &sender, warmup: window.warmup, pids, server };
    watched.until(sending, stop, &told, config.settings(window)).await
}

/// All requests with their times, sorted by these.
fn requests(config: &ReplayConfig) -> Result<Vec<(Duration, Request)>> {
    let mut recorded = Vec::new();
    read(&config.dir, &mut recorded)?;
    let kept = Arc::new(contents(&recorded)?);
    let users = config.way.users().len();
    let mut due = Vec::with_capacity(recorded.len());
    for (number, recorded) in recorded.into_iter().enumerate() {
        let at = match (config.pace, recorded.at) {
            (ReplayPace::Rotation { .. }, at) => at.unwrap_or_default(),
            (ReplayPace::Recorded { speed, .. }, Some(at)) => at.div_f64(speed),
            (ReplayPace::Recorded { rate, .. }, None) => {
                Duration::from_secs_f64(number as f64 / rate)
            }
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
