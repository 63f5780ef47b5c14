//! What reached the backend, counted: each blob and each action should once.

use std::collections::HashMap;
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Blobs of BatchUpdateBlobs and Write, whatever came of them.
    pub uploads: Times,
    /// Actions of Execute.
    pub executions: Times,
}

impl Counters {
    pub(super) fn uploaded(&self, digest: Option<&Digest>) {
        count(&self.uploads, name(digest));
    }

    /// By a resource name, `[INSTANCE/]uploads/UUID/blobs/HASH/SIZE`.
    pub(super) fn written(&self, resource: &str) {
        let blob = resource.rsplit_once("/blobs/").map_or(resource, |(_, blob)| blob);
        count(&self.uploads, blob.to_owned());
    }

    pub(super) fn executed(&self, action: Option<&Digest>) {
        count(&self.executions, name(action));
    }

    pub(super) fn read(&self) -> Counts {
        Counts { uploads: times(&self.uploads), executions: times(&self.executions) }
    }
}

fn name(digest: Option<&Digest>) -> String {
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
        };
        assert_eq!(counters.read(), expected);
    }
}
