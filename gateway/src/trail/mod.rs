//! What is noted of a request while it is served: its stages and how long each took, and at the end what
//! came of it. [`told`] has the facts, [`timing`] tells the client, [`span`] the trace.
//!
//! It goes along with the task that serves the request, so that no stage has to hand it on.

pub(crate) mod span;
pub(crate) mod timing;
mod told;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use futures::FutureExt;
pub(crate) use told::{End, Told};

tokio::task_local! {
    static TRAIL: Arc<Trail>;
}

/// Stages of one request that are noted; a compile that is tried again has some twice.
const MOST: usize = 64;

/// A request on its way.
pub(crate) struct Trail {
    kind: Kind,
    when: SystemTime,
    began: Instant,
    noted: Mutex<Noted>,
}

#[derive(Default)]
struct Noted {
    stages: Vec<Stage>,
    told: Told,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Exec,
    Store,
    Lookup,
    Log,
}

impl Kind {
    /// As a word.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Exec => "exec",
            Self::Store => "store",
            Self::Lookup => "lookup",
            Self::Log => "log",
        }
    }
}

/// A part of the work, from the beginning of the request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stage {
    pub(crate) name: &'static str,
    pub(crate) at: Duration,
    pub(crate) took: Duration,
}

/// A request that was answered.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) kind: Kind,
    pub(crate) when: SystemTime,
    pub(crate) took: Duration,
    pub(crate) stages: Vec<Stage>,
    pub(crate) told: Told,
}

impl Trail {
    /// Begins now.
    pub(crate) fn new(kind: Kind) -> Arc<Self> {
        let (when, began) = (SystemTime::now(), Instant::now());
        Arc::new(Self { kind, when, began, noted: Mutex::default() })
    }

    /// Notes what this work says of itself.
    pub(crate) fn follow<F: Future>(self: Arc<Self>, work: F) -> impl Future<Output = F::Output> {
        TRAIL.scope(self, work)
    }

    /// What was noted, as of now.
    pub(crate) fn ended(&self) -> Ended {
        let Noted { stages, mut told } = std::mem::take(&mut *self.noted());
        told.cut();
        let (kind, when, took) = (self.kind, self.when, self.began.elapsed());
        Ended { kind, when, took, stages, told }
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        // What is done to it is done by single operations.
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, name: &'static str, since: Instant) {
        let stage = Stage { name, at: since - self.began, took: since.elapsed() };
        let mut noted = self.noted();
        if noted.stages.len() < MOST {
            noted.stages.push(stage);
        }
    }
}

/// Does a part of the work, and notes how long it took.
// Not an `async fn`, which would hold the work twice: as its argument, and as what it waits for.
pub(crate) fn stage<F: Future>(
    name: &'static str,
    work: F,
) -> impl Future<Output = F::Output> + use<F> {
    let since = Instant::now();
    work.inspect(move |_| {
        let _ = TRAIL.try_with(|trail| trail.add(name, since));
    })
}

/// As [`stage`], for what is done at once.
pub(crate) fn step<T>(name: &'static str, work: impl FnOnce() -> T) -> T {
    let since = Instant::now();
    let done = work();
    let _ = TRAIL.try_with(|trail| trail.add(name, since));
    done
}

/// Notes facts of the request under way, if this task serves one.
pub(crate) fn note(note: impl FnOnce(&mut Told)) {
    let _ = TRAIL.try_with(|trail| note(&mut trail.noted().told));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn stages_and_facts_are_those_of_the_request_under_way() {
        let trail = Trail::new(Kind::Exec);
        let work = trail.clone().follow(async {
            step("job", || ());
            stage("inputs", async { note(|told| told.inputs = 7) }).await;
        });
        work.await;
        note(|told| told.inputs = 9);
        step("nobody's", || ());
        let ended = trail.ended();
        let names: Vec<_> = ended.stages.iter().map(|stage| stage.name).collect();
        assert_eq!((names, ended.told.inputs), (vec!["job", "inputs"], 7));
        assert!(ended.stages[0].at <= ended.stages[1].at);
    }

    #[tokio::test]
    async fn a_request_that_goes_round_and_round_is_not_noted_without_end() {
        let trail = Trail::new(Kind::Store);
        trail.clone().follow(async { (0..1000).for_each(|_| step("again", || ())) }).await;
        assert_eq!(trail.ended().stages.len(), MOST);
    }
}
