//! What must hold at every moment of a schedule, and what was seen of it.
//!
//! The doubles tell the checker what the code under test does to them. It numbers these events, and
//! compares each with what came before.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use goma_common::{Digest, FileEntry, FileKey};
use tokio::time::Instant;

tokio::task_local! {
    /// The attempt of a client on whose behalf something is done.
    pub static ATTEMPT: u64;
}

/// On whose behalf, if that is known: shards gather what many want.
#[must_use]
pub fn attempt() -> Option<u64> {
    ATTEMPT.try_with(|attempt| *attempt).ok()
}

/// How a schedule ended.
#[derive(Debug, Default)]
pub struct Report {
    /// What should not have happened; empty in a good schedule.
    pub violations: Vec<String>,
    /// How often what happened.
    pub counts: BTreeMap<&'static str, u64>,
    /// Everything that was counted with its time, sorted: equal for equal seeds.
    pub trace: Vec<(u128, String)>,
}

/// Looks on.
pub struct Checker {
    began: Instant,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    report: Report,
    /// The number of the last event.
    now: u64,
    /// When the CAS last said of a blob that it has it.
    confirmed: HashMap<Digest, u64>,
    /// When the CAS was last asked about a blob, or sent it.
    asked: HashMap<Digest, u64>,
    /// When presence of a blob was last dropped.
    dropped: HashMap<Digest, u64>,
    /// When each epoch began.
    epochs: HashMap<u64, u64>,
    /// Executions that failed for want of blobs, by whose they were.
    failed: HashMap<(u64, Digest), Failed>,
    /// What each key stands for in truth.
    truth: HashMap<FileKey, Digest>,
    /// The action that each kind of compile became.
    actions: HashMap<usize, Digest>,
    uploads: HashMap<Digest, u64>,
}

struct Failed {
    at: u64,
    closure: Vec<Digest>,
    named: Vec<Digest>,
}

impl Checker {
    pub fn new(truth: HashMap<FileKey, Digest>) -> Self {
        Self { began: Instant::now(), seen: Mutex::new(Seen { truth, ..Seen::default() }) }
    }

    /// Something worth counting happened.
    pub fn count(&self, what: &'static str) {
        let at = self.began.elapsed().as_millis();
        let mut seen = self.seen();
        *seen.report.counts.entry(what).or_default() += 1;
        seen.report.trace.push((at, what.to_owned()));
    }

    /// Something happened that must not.
    pub fn violation(&self, what: impl Into<String>) {
        let at = self.began.elapsed().as_millis();
        let what = format!("at {at} ms: {}", what.into());
        self.seen().report.violations.push(what);
    }

    /// The CAS is about to be asked about these blobs, or sent them.
    pub fn asked(&self, digests: impl IntoIterator<Item = Digest>) {
        let mut seen = self.seen();
        let now = seen.tick();
        seen.asked.extend(digests.into_iter().map(|digest| (digest, now)));
    }

    /// The CAS has decided that it holds these.
    pub fn confirmed(&self, digests: impl IntoIterator<Item = Digest>) {
        let mut seen = self.seen();
        let now = seen.tick();
        seen.confirmed.extend(digests.into_iter().map(|digest| (digest, now)));
    }

    /// The CAS was sent a blob by a shard.
    pub fn uploaded(&self, digest: Digest) {
        *self.seen().uploads.entry(digest).or_default() += 1;
    }

    /// Nothing was lost and nobody was away: each blob is to have been uploaded once.
    pub fn each_upload_was_made_once(&self) {
        let twice = self.seen().uploads.values().filter(|count| **count > 1).count();
        if twice > 0 {
            self.violation(format!("{twice} blobs were uploaded more than once on a calm day"));
        }
    }

    /// A shard writes presence under this epoch.
    pub fn put_present(&self, digests: &[Digest], epoch: u64) {
        for digest in digests {
            let (confirmed, began) = {
                let seen = self.seen();
                let began = seen.epochs.get(&epoch).copied().unwrap_or(0);
                (seen.confirmed.get(digest).copied(), began)
            };
            match confirmed {
                None => self.violation(format!(
                    "presence of {digest} was written and the CAS never confirmed it"
                )),
                Some(confirmed) if confirmed < began => self.violation(format!(
                    "presence of {digest} was written into an epoch that began after the CAS \
                     confirmed it"
                )),
                Some(_) => {}
            }
        }
    }

    /// Presence was dropped, or will be as soon as the store can be told.
    pub fn drop_present(&self, digests: &[Digest]) {
        let mut seen = self.seen();
        let now = seen.tick();
        seen.dropped.extend(digests.iter().map(|digest| (*digest, now)));
    }

    /// Another epoch began.
    pub fn epoch(&self, epoch: u64) {
        let mut seen = self.seen();
        let now = seen.tick();
        seen.epochs.insert(epoch, now);
    }

    /// A shard remembers what a key stands for.
    pub fn put_mapping(&self, key: FileKey, entry: &FileEntry) {
        let (truth, confirmed) = {
            let seen = self.seen();
            let told = entry.contents();
            let confirmed = told.is_some_and(|d| d.is_empty() || seen.confirmed.contains_key(&d));
            (seen.truth.get(&key).copied(), confirmed)
        };
        if truth.is_none() || truth != entry.contents() {
            self.violation(format!("{key} was mapped to {entry:?}, and is {truth:?}"));
        }
        if !confirmed {
            self.violation(format!("{key} was mapped before the CAS had its contents"));
        }
    }

    /// An attempt at a compile of this kind became this action.
    pub fn action(&self, kind: usize, action: Digest) {
        let other = *self.seen().actions.entry(kind).or_insert(action);
        if other != action {
            self.violation(format!("equal compiles became two actions, {other} and {action}"));
        }
    }

    /// A worker is asked to run an action. After a loss, the whole closure must have been asked for
    /// since, and what the worker named be believed by nobody.
    pub fn execute(&self, action: Digest) {
        let Some(attempt) = attempt() else { return };
        let (skipped, kept) = {
            let mut seen = self.seen();
            let Some(failed) = seen.failed.remove(&(attempt, action)) else { return };
            let since = |at: Option<&u64>| at.is_some_and(|at| *at > failed.at);
            let asked = |d: &&Digest| !since(seen.asked.get(*d));
            let dropped = |d: &&Digest| !since(seen.dropped.get(*d));
            (
                failed.closure.iter().filter(asked).count(),
                failed.named.iter().filter(dropped).count(),
            )
        };
        self.count("recoveries");
        if skipped > 0 {
            self.violation(format!(
                "recovery of {action} did not ask the CAS about {skipped} of its blobs"
            ));
        }
        if kept > 0 {
            self.violation(format!("presence of {kept} blobs was kept that a worker found gone"));
        }
    }

    /// A worker could not run an action for want of blobs.
    pub fn execution_failed(&self, action: Digest, closure: HashSet<Digest>, named: Vec<Digest>) {
        self.count("executions without their inputs");
        let Some(attempt) = attempt() else { return };
        let mut seen = self.seen();
        let at = seen.tick();
        let closure = closure.into_iter().filter(|digest| !digest.is_empty()).collect();
        seen.failed.insert((attempt, action), Failed { at, closure, named });
    }

    /// What was seen.
    pub fn report(&self) -> Report {
        let mut report = std::mem::take(&mut self.seen().report);
        report.trace.sort();
        report
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn tick(&mut self) -> u64 {
        self.now += 1;
        self.now
    }
}
