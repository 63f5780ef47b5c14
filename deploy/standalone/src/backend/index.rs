//! What is on disk, in the order of last use, and what has to go to make room. Pure: no I/O, no clock.
//!
//! [`store`](super::store) does on disk what this decides.

use std::collections::{BTreeMap, HashMap};

use goma_common::Digest;

/// What a file of the store is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// A blob of the CAS.
    Blob,
    /// The same bytes once more, executable: links share their mode, so one file cannot be both.
    Program,
    /// The result of the action with this digest.
    Result,
}

/// The name of a file of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) kind: Kind,
    pub(super) digest: Digest,
}

/// Nothing more can be evicted: the rest is in use or being written.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

struct Entry {
    cost: u64,
    used: u64,
    /// The last use that is known on disk.
    saved: u64,
    pins: u32,
}

/// The files of a store with a bound on their sum.
pub(super) struct Index {
    entries: HashMap<Key, Entry>,
    /// Those nobody holds, least recently used first; times are made unique.
    idle: BTreeMap<u64, Key>,
    idle_cost: u64,
    stored: u64,
    reserved: u64,
    max: u64,
    last: u64,
}

/// What a file of `size` bytes takes on disk.
pub(super) fn cost(size: u64) -> u64 {
    size.div_ceil(4096).saturating_mul(4096)
}

impl Index {
    pub(super) fn new(max: u64) -> Self {
        Self {
            entries: HashMap::new(),
            idle: BTreeMap::new(),
            idle_cost: 0,
            stored: 0,
            reserved: 0,
            max,
            last: 0,
        }
    }

    pub(super) fn contains(&self, key: &Key) -> bool {
        self.entries.contains_key(key)
    }

    /// A file that is on disk since before the start, last used then.
    pub(super) fn restore(&mut self, key: Key, size: u64, used: u64) {
        let mut used = used;
        while self.idle.contains_key(&used) {
            used += 1;
        }
        self.last = self.last.max(used);
        self.add(key, cost(size), used);
    }

    /// A file that came to be now.
    pub(super) fn insert(&mut self, key: Key, size: u64, now: u64) {
        let used = self.tick(now);
        self.add(key, cost(size), used);
    }

    fn add(&mut self, key: Key, cost: u64, used: u64) {
        self.remove(&key);
        self.entries.insert(key, Entry { cost, used, saved: used, pins: 0 });
        self.idle.insert(used, key);
        self.idle_cost += cost;
        self.stored += cost;
    }

    /// Forgets a file that is no longer there.
    pub(super) fn remove(&mut self, key: &Key) {
        if let Some(entry) = self.entries.remove(key) {
            self.stored -= entry.cost;
            if entry.pins == 0 {
                self.idle.remove(&entry.used);
                self.idle_cost -= entry.cost;
            }
        }
    }

    /// Counts a use; `None` if there is no such file, else for how long the disk has not heard of it.
    pub(super) fn touch(&mut self, key: &Key, now: u64) -> Option<u64> {
        let used = self.tick(now);
        let entry = self.entries.get_mut(key)?;
        if entry.pins == 0 {
            self.idle.remove(&entry.used);
            self.idle.insert(used, *key);
        }
        entry.used = used;
        Some(used - entry.saved)
    }

    /// Marks the last use as known on disk and tells it.
    pub(super) fn save(&mut self, key: &Key) -> Option<u64> {
        let entry = self.entries.get_mut(key)?;
        entry.saved = entry.used;
        Some(entry.used)
    }

    /// Files whose last use the disk does not know.
    pub(super) fn unsaved(&self) -> Vec<Key> {
        let unsaved = self.entries.iter().filter(|(_, entry)| entry.used != entry.saved);
        unsaved.map(|(key, _)| *key).collect()
    }

    /// Keeps a file from eviction until as many [`unpin`](Self::unpin)s; false if there is none.
    pub(super) fn pin(&mut self, key: &Key, now: u64) -> bool {
        if self.touch(key, now).is_none() {
            return false;
        }
        let Some(entry) = self.entries.get_mut(key) else { return false };
        if entry.pins == 0 {
            self.idle.remove(&entry.used);
            self.idle_cost -= entry.cost;
        }
        entry.pins += 1;
        true
    }

    pub(super) fn unpin(&mut self, key: &Key) {
        // The file may have been forgotten, and come again, while it was held.
        let Some(entry) = self.entries.get_mut(key).filter(|entry| entry.pins > 0) else { return };
        entry.pins -= 1;
        if entry.pins == 0 {
            self.idle.insert(entry.used, *key);
            self.idle_cost += entry.cost;
        }
    }

    /// Sets room aside for a file of `size` bytes; the caller deletes what had to go for it.
    pub(super) fn reserve(&mut self, size: u64) -> Result<Vec<Key>, Full> {
        let cost = cost(size);
        let held = self.stored - self.idle_cost + self.reserved;
        if held.saturating_add(cost) > self.max {
            return Err(Full);
        }
        let mut evicted = Vec::new();
        while self.stored + self.reserved + cost > self.max {
            let Some((_, key)) = self.idle.first_key_value() else { break };
            let key = *key;
            self.remove(&key);
            evicted.push(key);
        }
        self.reserved += cost;
        Ok(evicted)
    }

    /// Gives back what [`reserve`](Self::reserve) set aside.
    pub(super) fn release(&mut self, size: u64) {
        self.reserved = self.reserved.saturating_sub(cost(size));
    }

    fn tick(&mut self, now: u64) -> u64 {
        self.last = now.max(self.last + 1);
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        Key { kind: Kind::Blob, digest: Digest::of(name.as_bytes()) }
    }

    fn index_of(names: &[&str], blocks: u64) -> Index {
        let mut index = Index::new(blocks * 4096);
        for name in names {
            index.insert(key(name), 1, 0);
        }
        index
    }

    #[test]
    fn least_recently_used_goes_first() {
        let mut index = index_of(&["a", "b", "c"], 3);
        assert!(index.touch(&key("a"), 0).is_some());
        assert_eq!(index.reserve(1), Ok(vec![key("b")]));
        assert!(!index.contains(&key("b")));
    }

    #[test]
    fn pinned_files_are_never_evicted_and_a_full_store_says_so() {
        let mut index = index_of(&["a", "b"], 2);
        assert!(index.pin(&key("a"), 0));
        assert_eq!(index.reserve(4097), Err(Full));
        assert!(index.contains(&key("b")), "a refusal evicts nothing");
        assert_eq!(index.reserve(1), Ok(vec![key("b")]));
        assert_eq!(index.reserve(1), Err(Full));
        index.unpin(&key("a"));
        assert_eq!(index.reserve(1), Ok(vec![key("a")]));
    }

    #[test]
    fn released_room_can_be_reserved_again() {
        let mut index = Index::new(4096);
        assert_eq!(index.reserve(9), Ok(vec![]));
        assert_eq!(index.reserve(9), Err(Full));
        index.release(9);
        assert_eq!(index.reserve(9), Ok(vec![]));
    }

    #[test]
    fn equal_times_from_disk_lose_nobody() {
        let mut index = Index::new(2 * 4096);
        index.restore(key("a"), 1, 7);
        index.restore(key("b"), 1, 7);
        assert_eq!(index.reserve(4097), Ok(vec![key("a"), key("b")]));
    }
}
