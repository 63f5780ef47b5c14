//! Sends one request to its end, and writes down how that went.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::checked::{self, Checked, Expect, Fault};
use super::material::Request;
use super::measured::Measured;
use super::sample::Sample;
use crate::client::blocking;
use crate::http::{Answer, Caller, Coding, Traffic};
use crate::lock::lock;

/// Execs of one compile, as many as the stock client sends.
const MAX_ATTEMPTS: u32 = 5;
/// Bytes of an answer that take no time worth the name to be looked at.
const LARGE: usize = 128 << 10;

/// All that requests under way share.
#[derive(Debug)]
pub(crate) struct Sender {
    /// One for each user.
    pub(crate) callers: Vec<Caller>,
    pub(crate) coding: Option<Coding>,
    pub(crate) start: Instant,
    pub(crate) measured: Mutex<Measured>,
    pub(crate) under_way: AtomicUsize,
}

/// How a request ended.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) result: Result<bool, Fault>,
    /// When the last byte of the last answer came.
    at: Instant,
    timing: Option<String>,
    resent: u64,
}

impl Sender {
    /// Sends a request that was due at this time since the start.
    pub(crate) async fn send(&self, request: Request, due: Duration) {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        let (traffic, left) = (Traffic::default(), self.start.elapsed());
        let (size, contents) = (request.choice.size, request.contents);
        let end = self.to_the_end(request, &traffic).await;
        self.under_way.fetch_sub(1, Ordering::Relaxed);
        lock(&self.measured).add(Sample {
            due,
            left,
            ended: end.at.saturating_duration_since(self.start),
            size,
            result: end.result,
            sent: traffic.sent(),
            received: traffic.received(),
            contents,
            resent: end.resent,
            timing: end.timing,
        });
    }

    /// Sends it, and again with what the server names as missing.
    pub(crate) async fn to_the_end(&self, request: Request, traffic: &Traffic) -> End {
        let Request { choice, path, packed, expect, again, .. } = request;
        let mut packed = packed;
        let mut attempt = 1;
        loop {
            let end = |result, at, timing| {
                let resent = u64::from(attempt) - 1;
                End { result, at, timing, resent }
            };
            let answer = match self.callers[choice.user].call(path, &packed, traffic).await {
                Ok(answer) => answer,
                Err(failure) => return end(Err(Fault::from(&failure)), Instant::now(), None),
            };
            let (arrived, timing) = (answer.arrived, answer.timing.clone());
            let missing = match judge(&expect, answer).await {
                Checked::Right { cache_hit } => return end(Ok(cache_hit), arrived, timing),
                Checked::Wrong(fault) => return end(Err(fault), arrived, None),
                Checked::Missing(names) => names,
            };
            let lacking = format!("{} inputs in attempt {attempt}", missing.len());
            let (Some(again), true) = (again.clone(), attempt < MAX_ATTEMPTS) else {
                let fault = Fault::new("missing_input", lacking);
                return end(Err(fault), arrived, None);
            };
            let coding = self.coding;
            let made = blocking(move || {
                Ok((again.stores(&missing, coding)?, again.with(&missing, attempt, coding)?))
            });
            let (stores, next) = match made.await {
                Ok(made) => made,
                Err(error) => {
                    let fault = Fault::new("missing_input", format!("{lacking}: {error}"));
                    return end(Err(fault), arrived, None);
                }
            };
            for store in stores {
                if let Err(failure) = self.callers[choice.user].call("/s", &store, traffic).await {
                    return end(Err(Fault::from(&failure)), Instant::now(), None);
                }
            }
            packed = next;
            attempt += 1;
        }
    }
}

/// Large answers are looked at off the threads that send and receive: others' would seem late.
async fn judge(expect: &Expect, answer: Answer) -> Checked {
    let judge = |expect: &Expect, answer: Answer| match answer.inflate() {
        Ok(body) => checked::check(expect, &body),
        Err(failure) => Checked::Wrong(Fault::from(&failure)),
    };
    if answer.len() <= LARGE {
        return judge(expect, answer);
    }
    let expect = expect.clone();
    let judged = blocking(move || Ok(judge(&expect, answer))).await;
    judged.unwrap_or_else(|error| Checked::Wrong(Fault::new("not_checked", error)))
}
