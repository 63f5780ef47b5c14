//! The ring at one moment: who is up, who owns what, and why the others are not.

use std::sync::Arc;

use goma_common::shards::Shards;
use goma_common::{Code, Error};
use tokio_util::sync::CancellationToken;

use super::hash_ring::{Member, Ring};

/// A shard that is up.
#[derive(Clone)]
pub struct Up {
    /// Its place on the ring.
    pub member: Member,
    /// Its calls.
    pub shard: Arc<dyn Shards>,
    /// Told when it went down: what is asked of it is not answered any more.
    pub gone: CancellationToken,
}

/// The ring as of now. Never changes: a later one replaces it.
pub struct View {
    ring: Arc<Ring>,
    /// In the order of the ring's members.
    up: Vec<Up>,
    /// Names or addresses of those that are not up, and why.
    out: Vec<(String, String)>,
}

impl View {
    /// A ring of those that are up, whose names differ. `out` says why others are not.
    #[must_use]
    pub fn new(mut up: Vec<Up>, out: Vec<(String, String)>) -> Self {
        up.sort_by(|a, b| a.member.cmp(&b.member));
        let members: Vec<Member> = up.iter().map(|up| up.member.clone()).collect();
        Self { ring: Arc::new(Ring::of(&members)), up, out }
    }

    /// The same members on other connections: `None` where these are others, and a new ring is due.
    pub(super) fn again(&self, mut up: Vec<Up>, out: Vec<(String, String)>) -> Option<Self> {
        up.sort_by(|a, b| a.member.cmp(&b.member));
        let same = up.iter().map(|up| &up.member).eq(self.ring.members());
        same.then(|| Self { ring: self.ring.clone(), up, out })
    }

    /// Who owns what.
    #[must_use]
    pub fn ring(&self) -> &Ring {
        &self.ring
    }

    /// The owner of a file key or a digest's hash; `None` where nobody is up.
    #[must_use]
    pub fn owner(&self, key: &[u8; 32]) -> Option<&Up> {
        self.up.get(self.ring.owner(key)?)
    }

    /// How many are up, and how many are not.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.up.len(), self.out.len())
    }

    /// Those that are up.
    pub(super) fn up(&self) -> &[Up] {
        &self.up
    }

    /// Names or addresses of those that are not, and why.
    pub(super) fn out(&self) -> &[(String, String)] {
        &self.out
    }

    /// Whether nobody is up.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.up.is_empty()
    }

    /// That nobody is up, and why.
    #[must_use]
    pub fn nobody(&self) -> Error {
        let why: Vec<String> =
            self.out.iter().map(|(name, why)| format!("{name}: {why}")).collect();
        let why = if why.is_empty() { "none is known".to_owned() } else { why.join("; ") };
        Error::new(Code::Unavailable, format!("no shard is up: {why}"))
    }
}
