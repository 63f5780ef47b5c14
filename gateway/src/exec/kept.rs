//! Outputs that were answered with lately, for the next who compiles the same.
//!
//! What one developer compiles a hundred others are answered with, and reading its outputs out of the CAS each time
//! was the largest part of what compiles of real projects cost that the cache knows. The action cache is
//! asked all the same: it says what the outputs are, and here are their contents.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use goma_common::Digest;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

/// Of all the room; a larger output would push out too many others.
const LARGEST_SHARE: u64 = 16;
/// What an output takes beside its contents, about.
const EACH: u64 = 150;
/// What one is expected to be, for the table's first size.
const USUAL: usize = 32 << 10;
/// Actions that are remembered for each output that there is room for: some outputs are small.
const ACTIONS: usize = 4;

/// As many as there is room for; those that are asked for again and again stay.
pub(crate) struct KeptOutputs {
    largest: u64,
    contents: Cache<Digest, Bytes, Weigh>,
    /// What an action left when it was last answered with.
    of_actions: Cache<Digest, Arc<[Digest]>>,
}

#[derive(Clone, Copy, Debug)]
struct Weigh;

impl Weighter<Digest, Bytes> for Weigh {
    fn weight(&self, _: &Digest, contents: &Bytes) -> u64 {
        EACH + contents.len() as u64
    }
}

impl KeptOutputs {
    /// None yet, and at most so many bytes of them; 0 keeps none.
    pub(crate) fn new(room: usize) -> Self {
        let outputs = room / USUAL;
        Self {
            largest: room as u64 / LARGEST_SHARE,
            contents: Cache::with_weighter(outputs, room as u64, Weigh),
            of_actions: Cache::new(outputs * ACTIONS),
        }
    }

    /// Whether all that the action left is here, if it leaves the same as when it was last answered with:
    /// nothing of it need come along with its result.
    pub(super) fn has_all_of(&self, action: Digest) -> bool {
        let left = self.of_actions.get(&action);
        left.is_some_and(|left| left.iter().all(|digest| self.contents.peek(digest).is_some()))
    }

    /// Those of these that are here.
    pub(super) fn get(&self, wanted: &[Digest]) -> HashMap<Digest, Bytes> {
        let kept = |digest: &Digest| Some((*digest, self.contents.get(digest)?));
        wanted.iter().filter_map(kept).collect()
    }

    /// Keeps what an action left; all of it is verified, and each output alone in its memory.
    pub(super) fn keep(&self, action: Digest, left: &HashMap<Digest, Bytes>) {
        let digests: Arc<[Digest]> = left.keys().copied().collect();
        if digests.iter().any(|digest| digest.size > self.largest) {
            return;
        }
        for (digest, contents) in left {
            if self.contents.peek(digest).is_none() {
                self.contents.insert(*digest, contents.clone());
            }
        }
        self.of_actions.insert(action, digests);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Outputs of these sizes.
    fn left(sizes: &[usize]) -> HashMap<Digest, Bytes> {
        let outputs = sizes.iter().zip(0..).map(|(size, n)| vec![n; *size]);
        outputs.map(|contents| (Digest::of(&contents), contents.into())).collect()
    }

    #[test]
    fn what_an_action_left_is_all_here_or_is_not() {
        let kept = KeptOutputs::new(1 << 20);
        let (action, outputs) = (Digest::of(b"action"), left(&[1000, 2000]));
        assert!(!kept.has_all_of(action));
        kept.keep(action, &outputs);
        assert!(kept.has_all_of(action) && !kept.has_all_of(Digest::of(b"other")));
        let wanted: Vec<Digest> = outputs.keys().copied().chain([Digest::of(b"none")]).collect();
        assert_eq!(kept.get(&wanted), outputs);
        for digest in outputs.keys() {
            kept.contents.remove(digest);
            assert!(!kept.has_all_of(action), "{digest} is gone");
            kept.keep(action, &outputs);
        }
        // An action that leaves nothing but empty files needs nothing.
        kept.keep(Digest::of(b"empty"), &HashMap::new());
        assert!(kept.has_all_of(Digest::of(b"empty")));
    }

    #[test]
    fn no_more_is_kept_than_there_is_room_for() {
        let kept = KeptOutputs::new(1 << 20);
        for action in 0..1000_u32 {
            let contents: Bytes = action.to_le_bytes().repeat(5000).into();
            let outputs = HashMap::from([(Digest::of(&contents), contents)]);
            kept.keep(Digest::of(&action.to_le_bytes()), &outputs);
        }
        assert!(kept.contents.weight() <= 1 << 20, "{}", kept.contents.weight());
        assert!(kept.contents.len() > 20 && kept.of_actions.len() <= 32 * ACTIONS);
        for (room, size) in [(0, 1000), (1 << 20, 100_000)] {
            let kept = KeptOutputs::new(room);
            kept.keep(Digest::of(b"action"), &left(&[size]));
            assert!(kept.contents.is_empty(), "of {size} bytes where there is room for {room}");
            assert!(!kept.has_all_of(Digest::of(b"action")));
        }
    }
}
