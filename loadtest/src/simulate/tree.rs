//! The source tree that all developers share: its files, who includes what, and how it changes.

use std::time::Duration;

use goma_common::{Digest, FileKey};

use super::random::{mix, spread};

/// Headers in a directory.
const DIR: usize = 40;
/// Headers that a compile takes of a directory it reaches into.
const OF_DIR: usize = 12;
/// The median of a compile's inputs: what the stock client's recorded requests have.
const MEDIAN_INPUTS: f64 = 288.0;
/// How far inputs spread about it: the standard deviation of their logarithm.
const SPREAD_INPUTS: f64 = 0.6;
/// Of ten files that a commit or an edit changes, so many are headers.
const HEADERS_OF_TEN: u64 = 2;

/// How large a tree, and how fast it moves.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) sources: usize,
    pub(super) headers: usize,
    pub(super) commits_per_hour: f64,
    pub(super) commits: u32,
}

/// A file by number: headers first, then sources.
pub(super) type FileNumber = u32;
/// So many commits have been made.
pub(super) type Revision = u32;

/// The tree at all its revisions.
pub(super) struct Tree {
    shape: Shape,
    /// Of each source, its headers in order.
    includes: Vec<Vec<FileNumber>>,
    /// Of each header, the sources that include it.
    included: Vec<Vec<usize>>,
    /// Of each file, the revisions that changed it, in order.
    changes: Vec<Vec<Revision>>,
    /// What each revision changed.
    commits: Vec<Vec<FileNumber>>,
}

/// A file's contents, as a number that differs where they do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Contents(pub(super) u64);

impl Tree {
    pub(super) fn new(shape: Shape, random: &mut fastrand::Rng) -> Self {
        let includes: Vec<_> =
            (0..shape.sources).map(|_| includes(shape.headers, random)).collect();
        let mut included = vec![Vec::new(); shape.headers];
        for (source, headers) in includes.iter().enumerate() {
            headers.iter().for_each(|header| included[*header as usize].push(source));
        }
        let mut changes = vec![Vec::new(); shape.headers + shape.sources];
        let mut commits = vec![Vec::new()];
        for revision in 1..=shape.commits {
            let files: Vec<_> = (0..random.u32(1..=3)).map(|_| some_file(shape, random)).collect();
            files.iter().for_each(|file| changes[*file as usize].push(revision));
            commits.push(files);
        }
        Self { shape, includes, included, changes, commits }
    }

    /// How many revisions there are so long after the beginning.
    pub(super) fn head(&self, elapsed: Duration) -> Revision {
        let made = elapsed.as_secs_f64() / 3600.0 * self.shape.commits_per_hour;
        (made as Revision).min(self.shape.commits)
    }

    pub(super) fn sources(&self) -> usize {
        self.shape.sources
    }

    /// The inputs of a source: its headers, and itself.
    pub(super) fn inputs(&self, source: usize) -> impl Iterator<Item = FileNumber> {
        let itself = (self.shape.headers + source) as FileNumber;
        self.includes[source].iter().copied().chain([itself])
    }

    /// What a file holds at a revision.
    pub(super) fn contents(&self, file: FileNumber, at: Revision) -> Contents {
        let changed = self.changes[file as usize].partition_point(|revision| *revision <= at);
        Contents(mix(u64::from(file) << 32 | changed as u64))
    }

    /// The sources to be compiled again after these files changed.
    pub(super) fn affected(&self, files: impl IntoIterator<Item = FileNumber>) -> Vec<usize> {
        let mut sources = Vec::new();
        for file in files {
            match self.included.get(file as usize) {
                Some(includers) => sources.extend_from_slice(includers),
                None => sources.push(file as usize - self.shape.headers),
            }
        }
        sources.sort_unstable();
        sources.dedup();
        sources
    }

    /// What changed after a revision, up to another.
    pub(super) fn changed(
        &self,
        after: Revision,
        to: Revision,
    ) -> impl Iterator<Item = FileNumber> {
        self.commits[after as usize + 1..=to as usize].iter().flatten().copied()
    }

    /// A file that a developer who works on this source may edit: mostly that, else a header of it.
    pub(super) fn edited(&self, source: usize, random: &mut fastrand::Rng) -> FileNumber {
        let headers = &self.includes[source];
        match random.u64(..10) < HEADERS_OF_TEN && !headers.is_empty() {
            // What is included widely is edited rarely: the least included of a few.
            true => (0..4)
                .map(|_| headers[random.usize(..headers.len())])
                .min_by_key(|header| self.included[*header as usize].len())
                .unwrap_or(headers[0]),
            false => (self.shape.headers + source) as FileNumber,
        }
    }

    /// The directory of a file; sources have one to ten of them.
    pub(super) fn directory(&self, file: FileNumber) -> u32 {
        match (file as usize) < self.shape.headers {
            true => file / DIR as u32,
            false => u32::MAX - file / 10,
        }
    }
}

/// The key of a file that holds this.
pub(super) fn key(contents: Contents) -> FileKey {
    FileKey(spread(contents.0 ^ 0x6b65_7973))
}

/// The digest of a file that holds this: a few kilobytes, as files of code are.
pub(super) fn digest(contents: Contents) -> Digest {
    let hash = spread(contents.0);
    Digest { size: 500 + mix(contents.0) % 15_000, hash }
}

/// Few directories are reached into by most, and most by few.
fn includes(headers: usize, random: &mut fastrand::Rng) -> Vec<FileNumber> {
    let wanted = (MEDIAN_INPUTS * (SPREAD_INPUTS * normal(random)).exp()) as usize;
    let wanted = wanted.clamp(OF_DIR, headers / 2);
    let directories = headers.div_ceil(DIR);
    let mut chosen = Vec::with_capacity(wanted + OF_DIR);
    while chosen.len() < wanted {
        let directory = (random.f64().powi(3) * directories as f64) as usize;
        for _ in 0..OF_DIR {
            let header = directory * DIR + (random.f64().powi(2) * DIR as f64) as usize;
            chosen.push(header.min(headers - 1) as FileNumber);
        }
        if random.u32(..8) == 0 {
            chosen.sort_unstable();
            chosen.dedup();
        }
    }
    chosen.sort_unstable();
    chosen.dedup();
    chosen
}

fn some_file(shape: Shape, random: &mut fastrand::Rng) -> FileNumber {
    match random.u64(..10) < HEADERS_OF_TEN {
        // Towards the end of the list, where headers are that few include.
        true => ((1.0 - random.f64().powi(2)) * (shape.headers - 1) as f64) as FileNumber,
        false => (shape.headers + random.usize(..shape.sources)) as FileNumber,
    }
}

/// Of a normal distribution, near enough: the sum of twelve.
fn normal(random: &mut fastrand::Rng) -> f64 {
    (0..12).map(|_| random.f64()).sum::<f64>() - 6.0
}
