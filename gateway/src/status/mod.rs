//! What a gateway can tell of itself: its last requests and the slowest, why compiles were not in the
//! cache, what builds cost, what went wrong, and how its shards and backend are.
//!
//! [`misses`] compares compiles, [`builds`] and [`problems`] sum up, [`advice`] says what to do;
//! [`topology`] asks the others, [`view`] is all of it as JSON, and [`page`] shows that to people. All is
//! bounded, and kept by each gateway for itself.

mod advice;
mod builds;
mod clock;
mod misses;
mod page;
mod problems;
#[cfg(test)]
mod testing;
mod topology;
mod view;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use crate::trail::{End, Ended, Kind};
use builds::Builds;
pub(crate) use misses::{Compile, Miss, Misses};
pub use page::pages;
use problems::Problems;

/// Requests that are told of: the last, the last of those that went wrong, and the slowest.
const RECENT: usize = 200;
const WRONG: usize = 100;
const SLOWEST: usize = 50;
/// How long a slow request is told of.
const SLOW_FOR: Duration = Duration::from_secs(3600);

/// What is told of one gateway.
pub(crate) struct Status {
    started: SystemTime,
    told: Mutex<Told>,
}

#[derive(Default)]
struct Told {
    count: u64,
    totals: Totals,
    recent: VecDeque<Arc<Numbered>>,
    wrong: VecDeque<Arc<Numbered>>,
    slowest: Vec<Arc<Numbered>>,
    builds: Builds,
    problems: Problems,
}

/// A request by its number, counted from the start of the gateway.
struct Numbered {
    number: u64,
    http: u16,
    ended: Ended,
}

/// Sums since the start, for rates.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
struct Totals {
    requests: u64,
    compiles: u64,
    hits: u64,
    ran: u64,
    joined: u64,
    missing: u64,
    refused: u64,
    failed: u64,
    denied: u64,
    received: u64,
    sent: u64,
    /// Seconds of all requests together.
    seconds: f64,
}

impl Default for Status {
    fn default() -> Self {
        Self { started: SystemTime::now(), told: Mutex::default() }
    }
}

impl Status {
    /// Counts a request that was answered with that HTTP status.
    pub(crate) fn ended(&self, ended: Ended, http: u16) {
        let mut told = self.told();
        let number = told.count;
        told.count += 1;
        told.totals.add(&ended);
        if ended.kind == Kind::Exec {
            told.builds.add(&ended);
        }
        told.problems.add(number, &ended);
        let request = Arc::new(Numbered { number, http, ended });
        if request.ended.told.end.why().is_some() {
            push(&mut told.wrong, request.clone(), WRONG);
        }
        told.add_slow(&request);
        push(&mut told.recent, request, RECENT);
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        // What is done to it is done by single operations.
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Told {
    fn add_slow(&mut self, request: &Arc<Numbered>) {
        let took = request.ended.took;
        if self.slowest.len() >= SLOWEST
            && self.slowest.last().is_some_and(|least| took <= least.ended.took)
        {
            return;
        }
        let now = SystemTime::now();
        self.slowest
            .retain(|slow| now.duration_since(slow.ended.when).is_ok_and(|age| age < SLOW_FOR));
        let at = self.slowest.partition_point(|slow| slow.ended.took >= took);
        self.slowest.insert(at, request.clone());
        self.slowest.truncate(SLOWEST);
    }
}

impl Totals {
    fn add(&mut self, ended: &Ended) {
        let told = &ended.told;
        self.requests += 1;
        self.received += told.received as u64;
        self.sent += told.sent as u64;
        self.seconds += ended.took.as_secs_f64();
        self.joined += u64::from(told.joined);
        let sum = match &told.end {
            End::Hit { .. } => &mut self.hits,
            End::Ran { .. } => &mut self.ran,
            End::Missing(_) => &mut self.missing,
            End::Refused(_) => &mut self.refused,
            End::Failed(_) => &mut self.failed,
            End::Denied(_) => &mut self.denied,
            End::Done | End::Left => return,
        };
        *sum += 1;
        if matches!(told.end, End::Hit { .. } | End::Ran { .. }) {
            self.compiles += 1;
        }
    }
}

fn push<T>(queue: &mut VecDeque<T>, item: T, most: usize) {
    if queue.len() >= most {
        queue.pop_front();
    }
    queue.push_back(item);
}

#[cfg(test)]
mod tests {
    use super::testing::ended;
    use super::*;

    #[test]
    fn the_last_the_wrong_and_the_slowest_are_told_and_no_more() {
        let status = Status::default();
        for n in 0..1000 {
            let end = match n % 2 {
                0 => End::Hit { exit: 0 },
                _ => End::Failed("no".to_owned()),
            };
            let mut request = ended(end, "b", 0);
            (request.when, request.took) = (SystemTime::now(), Duration::from_millis(n % 500));
            status.ended(request, 200);
        }
        let told = status.told();
        assert_eq!((told.recent.len(), told.wrong.len()), (RECENT, WRONG));
        assert_eq!(told.recent.back().map(|request| request.number), Some(999));
        let slowest: Vec<_> = told.slowest.iter().map(|s| s.ended.took.as_millis()).collect();
        assert_eq!(slowest.len(), SLOWEST);
        assert_eq!(slowest[..4], [499, 499, 498, 498]);
        assert_eq!((told.totals.hits, told.totals.failed, told.totals.compiles), (500, 500, 500));
    }

    #[test]
    fn what_was_slow_long_ago_is_no_news() {
        let status = Status::default();
        let mut old = ended(End::Hit { exit: 0 }, "b", 0);
        old.took = Duration::from_secs(100);
        status.ended(old, 200);
        let mut new = ended(End::Hit { exit: 0 }, "b", 0);
        (new.when, new.took) = (SystemTime::now(), Duration::from_secs(1));
        status.ended(new, 200);
        let told = status.told();
        let slowest: Vec<_> = told.slowest.iter().map(|slow| slow.ended.took.as_secs()).collect();
        assert_eq!(slowest, [1]);
    }
}
