//! What reached the backend, counted: each blob and each action should once.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::Mutex;

use goma_proto::reapi::Digest;
use serde::{Deserialize, Serialize};

use crate::lock::lock;

/// Counters that all connections share.
#[derive(Debug, Default)]
pub(super) struct Counters {
    uploads: Mutex<HashMap<String, u64>>,
    executions: Mutex<HashMap<String, u64>>,
    /// By the name of the operation.
    operations: Mutex<HashMap<String, Operation>>,
    /// By the name of the method.
    calls: Mutex<BTreeMap<String, Calls>>,
}

/// Calls of one method.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calls {
    /// Calls.
    pub calls: u64,
    /// Digests or blobs in them.
    pub blobs: u64,
    /// Bytes of contents in them.
    pub bytes: u64,
}

/// What an Execute led to. Calls for the same action may be given the same operation.
#[derive(Debug)]
struct Operation {
    action: String,
    ran: bool,
}

/// How often things happened, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Times {
    /// Different blobs or actions.
    pub unique: u64,
    /// All of them.
    pub total: u64,
}

/// What the backend was sent by gateways and shards.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Blobs of BatchUpdateBlobs and Write, whatever came of them.
    pub uploads: Times,
    /// Actions of Execute.
    pub executions: Times,
    /// Actions that were run, and not found in the backend's cache or in the run of another call.
    pub runs: Times,
    /// By the method's name.
    pub calls: BTreeMap<String, Calls>,
}

impl Counters {
    /// A call of a method, with so many blobs or digests and so many bytes of contents.
    pub(super) fn called(&self, method: &str, blobs: usize, bytes: usize) {
        let mut calls = lock(&self.calls);
        let counted = calls.entry(method.to_owned()).or_default();
        counted.calls += 1;
        counted.blobs += blobs as u64;
        counted.bytes += bytes as u64;
    }

    /// More contents of a call that was counted.
    pub(super) fn sent(&self, method: &str, bytes: usize) {
        lock(&self.calls).entry(method.to_owned()).or_default().bytes += bytes as u64;
    }

    pub(super) fn uploaded(&self, digest: Option<&Digest>) {
        count(&self.uploads, name_of(digest));
    }

    /// By a resource name, `[INSTANCE/]uploads/UUID/blobs/HASH/SIZE`.
    pub(super) fn written(&self, resource: &str) {
        let blob = resource.rsplit_once("/blobs/").map_or(resource, |(_, blob)| blob);
        count(&self.uploads, blob.to_owned());
    }

    pub(super) fn executed(&self, action: Option<&Digest>) {
        count(&self.executions, name_of(action));
    }

    /// An operation of this action exists.
    pub(super) fn operation(&self, name: &str, action: Option<&Digest>) {
        let new = || Operation { action: name_of(action), ran: false };
        lock(&self.operations).entry(name.to_owned()).or_insert_with(new);
    }

    /// An operation ran to its end.
    pub(super) fn ran(&self, operation: &str) {
        if let Some(operation) = lock(&self.operations).get_mut(operation) {
            operation.ran = true;
        }
    }

    pub(super) fn read(&self) -> Counts {
        let operations = lock(&self.operations);
        let ran: Vec<&str> =
            operations.values().filter(|one| one.ran).map(|one| one.action.as_str()).collect();
        let unique = ran.iter().collect::<HashSet<_>>().len() as u64;
        Counts {
            uploads: times(&self.uploads),
            executions: times(&self.executions),
            runs: Times { unique, total: ran.len() as u64 },
            calls: lock(&self.calls).clone(),
        }
    }
}

fn name_of(digest: Option<&Digest>) -> String {
    digest.map(|digest| format!("{}/{}", digest.hash, digest.size_bytes)).unwrap_or_default()
}

fn count(counts: &Mutex<HashMap<String, u64>>, name: String) {
    *lock(counts).entry(name).or_default() += 1;
}

fn times(counts: &Mutex<HashMap<String, u64>>) -> Times {
    let counts = lock(counts);
    Times { unique: counts.len() as u64, total: counts.values().sum() }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} different, {} in all", self.unique, self.total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_is_the_same_whichever_way_it_comes() {
        let counters = Counters::default();
        let digest = Digest { hash: "ab".into(), size_bytes: 3 };
        counters.uploaded(Some(&digest));
        counters.written("main/uploads/0-0/blobs/ab/3");
        counters.written("uploads/0-0/blobs/cd/3");
        counters.executed(Some(&digest));
        let expected = Counts {
            uploads: Times { unique: 2, total: 3 },
            executions: Times { unique: 1, total: 1 },
            ..Counts::default()
        };
        assert_eq!(counters.read(), expected);
    }

    #[test]
    fn calls_are_counted_by_method() {
        let counters = Counters::default();
        counters.called("FindMissingBlobs", 3, 0);
        counters.called("FindMissingBlobs", 2, 0);
        counters.called("Write", 1, 10);
        counters.sent("Write", 5);
        let counts = counters.read().calls;
        assert_eq!(counts["FindMissingBlobs"], Calls { calls: 2, blobs: 5, bytes: 0 });
        assert_eq!(counts["Write"], Calls { calls: 1, blobs: 1, bytes: 15 });
    }

    #[test]
    fn an_operation_that_two_calls_were_given_ran_once() {
        let counters = Counters::default();
        let action = Digest { hash: "ab".into(), size_bytes: 3 };
        for name in ["op1", "op1", "op2", "op3"] {
            counters.operation(name, Some(&action));
        }
        for name in ["op1", "op1", "op2"] {
            counters.ran(name);
        }
        assert_eq!(counters.read().runs, Times { unique: 1, total: 2 });
    }
}
