//! A gateway's status as JSON: the fields that scripts and the page read.

use std::time::SystemTime;

use goma_common::telemetry;
use serde::Serialize;

use super::builds::Build;
use super::clock::seconds;
use super::misses::Miss;
use super::problems::Problem;
use super::topology::Topology;
use super::{Numbered, Status, Totals};
use crate::trail::Stage;

/// All of it.
#[derive(Serialize)]
pub(super) struct View {
    version: &'static str,
    /// Seconds since 1970.
    now: f64,
    started: f64,
    draining: bool,
    totals: Totals,
    topology: Topology,
    recent: Vec<Request>,
    slowest: Vec<Request>,
    wrong: Vec<Request>,
    builds: Vec<Build>,
    problems: Vec<Problem>,
}

/// One request.
#[derive(Serialize)]
struct Request {
    number: u64,
    kind: &'static str,
    when: f64,
    ms: f64,
    http: u16,
    outcome: &'static str,
    why: Option<String>,
    user: String,
    from: Option<String>,
    trace: Option<String>,
    compiler: String,
    output: String,
    client: String,
    build: String,
    retry: i32,
    inputs: usize,
    embedded: usize,
    received: usize,
    sent: usize,
    action: Option<String>,
    joined: bool,
    queue_ms: Option<f64>,
    worker_ms: Option<f64>,
    miss: Option<Told>,
    stages: Vec<Bar>,
}

/// Why the cache did not answer, in words too.
#[derive(Serialize)]
struct Told {
    told: String,
    #[serde(flatten)]
    miss: Miss,
}

/// A stage, from the beginning of the request.
#[derive(Serialize)]
struct Bar {
    name: &'static str,
    at_ms: f64,
    ms: f64,
}

impl View {
    /// As of now.
    pub(super) fn of(status: &Status, topology: Topology, draining: bool) -> Self {
        let told = status.told();
        Self {
            version: telemetry::version(),
            now: seconds(SystemTime::now()),
            started: seconds(status.started),
            draining,
            totals: told.totals,
            topology,
            recent: told.recent.iter().rev().map(|request| Request::of(request)).collect(),
            slowest: told.slowest.iter().map(|request| Request::of(request)).collect(),
            wrong: told.wrong.iter().rev().map(|request| Request::of(request)).collect(),
            builds: told.builds.list(),
            problems: told.problems.list(),
        }
    }
}

impl Request {
    fn of(request: &Numbered) -> Self {
        let Numbered { number, http, ended } = request;
        let told = &ended.told;
        let millis = |time: std::time::Duration| time.as_secs_f64() * 1e3;
        let miss = told.miss.clone().map(|miss| Told { told: miss.told(), miss });
        let bar = |stage: &Stage| Bar {
            name: stage.name,
            at_ms: millis(stage.at),
            ms: millis(stage.took),
        };
        Self {
            number: *number,
            kind: ended.kind.name(),
            when: seconds(ended.when),
            ms: millis(ended.took),
            http: *http,
            outcome: told.end.name(),
            why: told.end.why().map(ToOwned::to_owned),
            user: told.user.clone(),
            from: told.from.map(|from| from.to_string()),
            trace: told.trace.clone(),
            compiler: told.compiler.clone(),
            output: told.output.clone(),
            client: told.client.clone(),
            build: told.build.clone(),
            retry: told.retry,
            inputs: told.inputs,
            embedded: told.embedded,
            received: told.received,
            sent: told.sent,
            action: told.action.map(|action| action.to_string()),
            joined: told.joined,
            queue_ms: told.worker.queued.map(millis),
            worker_ms: told.worker.ran.map(millis),
            miss,
            stages: ended.stages.iter().map(bar).collect(),
        }
    }
}
