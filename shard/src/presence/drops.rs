//! Which blobs were dropped lately, so that what was learnt before a drop is not believed after it. Pure.

use std::collections::HashMap;

/// Drops that are told apart. When there are more, all that is asked at that moment counts as dropped,
/// which costs another question each.
const MOST: usize = 10_000;

/// Drops in the order of their counting.
#[derive(Debug, Default)]
pub(super) struct Drops {
    count: u64,
    /// The last drop of each blob.
    of: HashMap<u128, u64>,
    /// The last drop of all blobs.
    of_all: u64,
}

impl Drops {
    /// How many there were so far.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// These are dropped.
    pub(super) fn add(&mut self, blobs: impl IntoIterator<Item = u128>) {
        self.count += 1;
        self.of.extend(blobs.into_iter().map(|blob| (blob, self.count)));
        if self.of.len() > MOST {
            self.of.clear();
            self.of_all = self.count;
        }
    }

    /// All blobs are dropped.
    pub(super) fn add_all(&mut self) {
        self.count += 1;
        self.of.clear();
        self.of_all = self.count;
    }

    /// Whether this one was dropped after there were so many.
    pub(super) fn have(&self, blob: u128, after: u64) -> bool {
        self.of_all > after || self.of.get(&blob).is_some_and(|last| *last > after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drop_counts_against_what_is_older_alone() {
        let mut drops = Drops::default();
        let before = drops.count();
        drops.add([1, 2]);
        assert!(drops.have(1, before) && drops.have(2, before) && !drops.have(3, before));
        let after = drops.count();
        assert!(!drops.have(1, after));
        drops.add_all();
        assert!(drops.have(3, after) && !drops.have(3, drops.count()));
    }

    #[test]
    fn more_than_are_told_apart_count_against_everything_older() {
        let mut drops = Drops::default();
        let before = drops.count();
        (0..=MOST).for_each(|blob| drops.add([blob as u128]));
        assert!(drops.of.len() <= MOST);
        assert!(drops.have(u128::MAX, before));
        assert!(!drops.have(0, drops.count()));
    }
}
