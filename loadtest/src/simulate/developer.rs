//! A developer: a revision of the tree, edits of one's own, and what a build of it compiles.

use std::collections::BTreeMap;

use goma_common::Digest;
use goma_common::shards::Source;

use super::cluster::Request;
use super::random::{mix, spread};
use super::tree::{Contents, FileNumber, Revision, Tree, digest, key};

/// Sources that a developer's target has; fewer where the tree has fewer.
const TARGET: usize = 300;
/// Of ten builds at work, so many begin by syncing to the head of the tree.
const SYNCS_OF_TEN: u64 = 2;

pub(super) struct Developer {
    number: u64,
    revision: Revision,
    /// First source of the target.
    target: usize,
    edits: BTreeMap<FileNumber, Contents>,
    random: fastrand::Rng,
}

impl Developer {
    /// With the tree at its first revision.
    pub(super) fn new(number: u64, seed: u64, tree: &Tree) -> Self {
        let mut random = fastrand::Rng::with_seed(mix(seed ^ mix(number)));
        let target = random.usize(..tree.sources());
        Self { number, revision: 0, target, edits: BTreeMap::new(), random }
    }

    /// The compiles of a build that takes over what others did, and drops what was edited.
    pub(super) fn sync(&mut self, tree: &Tree, head: Revision) -> Vec<Request> {
        let dropped = std::mem::take(&mut self.edits).into_keys();
        let changed = dropped.chain(tree.changed(self.revision, head)).collect::<Vec<_>>();
        self.revision = head;
        self.requests(tree, changed)
    }

    /// The compiles of a build after an hour's work: an edit or two, sometimes a sync before.
    pub(super) fn work(&mut self, tree: &Tree, head: Revision) -> Vec<Request> {
        let mut requests = match self.random.u64(..10) < SYNCS_OF_TEN {
            true => self.sync(tree, head),
            false => Vec::new(),
        };
        let edited: Vec<FileNumber> = (0..self.random.u32(1..=2))
            .map(|_| {
                let source = (self.target + self.random.usize(..TARGET)) % tree.sources();
                tree.edited(source, &mut self.random)
            })
            .collect();
        for file in &edited {
            let version = self.random.u64(..);
            self.edits.insert(*file, Contents(mix(version ^ self.number << 40)));
        }
        requests.extend(self.requests(tree, edited));
        requests
    }

    /// Somebody who compiles everything once.
    pub(super) fn everything(&self, tree: &Tree) -> impl Iterator<Item = Request> {
        (0..tree.sources()).map(|source| self.request(tree, source))
    }

    fn requests(&self, tree: &Tree, changed: Vec<FileNumber>) -> Vec<Request> {
        let affected = tree.affected(changed).into_iter().filter(|source| {
            let place = (source + tree.sources() - self.target) % tree.sources();
            place < TARGET
        });
        affected.map(|source| self.request(tree, source)).collect()
    }

    /// Equal for all who have the same contents, as the action of a relocatable compile is.
    fn request(&self, tree: &Tree, source: usize) -> Request {
        let mut inputs = Vec::new();
        let mut directories = BTreeMap::<u32, u64>::new();
        for file in tree.inputs(source) {
            let edited = self.edits.get(&file).copied();
            let contents = edited.unwrap_or_else(|| tree.contents(file, self.revision));
            inputs.push((key(contents), digest(contents)));
            let directory = directories.entry(tree.directory(file)).or_default();
            *directory = mix(*directory ^ contents.0);
        }
        let above = directories.values().fold(0, |above, directory| mix(above ^ directory));
        let [command, action] = [1, 2].map(|kind| blob(mix(above ^ mix(source as u64) ^ kind)));
        let directories = directories.into_values().chain([above]).map(blob);
        let made = directories.chain([command, action]).collect();
        Request { source: Source(self.number), inputs, made, action }
    }
}

/// A directory, a command or an action.
fn blob(n: u64) -> Digest {
    Digest { hash: spread(n ^ 0x6d61_6465), size: 200 + n % 2_000 }
}
