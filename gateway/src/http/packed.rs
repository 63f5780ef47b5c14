//! Answers as they were compressed before, for the next who gets the same one.
//!
//! What one developer compiles a hundred others are answered with, and compressing answers was a third of
//! what compiles of real projects cost that the cache knows. The key is a hash of the answer as it
//! is before it is compressed: whoever is given a kept one had every byte of it already.

use bytes::Bytes;
use goma_common::Digest;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::compress::deflate;
use super::encoding::Encoding;

/// Smaller ones take less time to compress than to look up and keep.
const SMALLEST: usize = 8 << 10;
/// Of all the room; a larger one would push out too many others.
const LARGEST_SHARE: usize = 16;
/// What an answer takes beside its bytes, about.
const EACH: u64 = 150;
/// What one is expected to be, for the table's first size.
const USUAL: usize = 32 << 10;

/// As many as there is room for; those that are asked for again and again stay.
pub(crate) struct PackedAnswers {
    room: usize,
    /// Empty where compressing did not pay.
    kept: Cache<(Digest, Encoding), Bytes, Weigh>,
}

#[derive(Clone, Copy, Debug)]
struct Weigh;

impl Weighter<(Digest, Encoding), Bytes> for Weigh {
    fn weight(&self, _: &(Digest, Encoding), packed: &Bytes) -> u64 {
        EACH + packed.len() as u64
    }
}

impl PackedAnswers {
    /// None yet, and at most so many bytes of them; 0 keeps none.
    pub(crate) fn new(room: usize) -> Self {
        Self { room, kept: Cache::with_weighter(room / USUAL, room as u64, Weigh) }
    }

    /// The answer compressed, or as it is where that does not pay.
    pub(super) fn pack(&self, encoding: Encoding, answer: Bytes) -> (Encoding, Bytes) {
        let is_kept = (SMALLEST..=self.room / LARGEST_SHARE).contains(&answer.len());
        if encoding == Encoding::Identity || !is_kept {
            return deflate(encoding, answer);
        }
        let key = (Digest::of(&answer), encoding);
        match self.kept.get(&key) {
            Some(packed) if packed.is_empty() => return (Encoding::Identity, answer),
            Some(packed) => return (encoding, packed),
            None => {}
        }
        let (used, packed) = deflate(encoding, answer);
        let shrank = used == encoding;
        // Its buffer has room for an answer that does not shrink.
        let kept = if shrank { Bytes::copy_from_slice(&packed) } else { Bytes::new() };
        self.kept.insert(key, kept);
        (used, packed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(size: usize, of: u8) -> Bytes {
        let mut random = fastrand::Rng::with_seed(of.into());
        std::iter::repeat_with(|| random.u8(..16)).take(size).collect()
    }

    #[test]
    fn the_same_answer_is_compressed_once() {
        let packed = PackedAnswers::new(1 << 20);
        let first = packed.pack(Encoding::Gzip, answer(50_000, 1));
        let again = packed.pack(Encoding::Gzip, answer(50_000, 1));
        let third = packed.pack(Encoding::Gzip, answer(50_000, 1));
        assert_eq!(first, deflate(Encoding::Gzip, answer(50_000, 1)));
        assert_eq!(first, again);
        assert_eq!(again.1.as_ptr(), third.1.as_ptr(), "the very same bytes");
        // Another coding, another answer.
        let other = packed.pack(Encoding::Deflate, answer(50_000, 1));
        assert_eq!(other, deflate(Encoding::Deflate, answer(50_000, 1)));
        assert_ne!(packed.pack(Encoding::Gzip, answer(50_000, 2)).1, first.1);
        assert_eq!(packed.pack(Encoding::Identity, answer(50_000, 1)).1, answer(50_000, 1));
    }

    #[test]
    fn what_does_not_shrink_is_tried_once() {
        let packed = PackedAnswers::new(1 << 20);
        let mut random = fastrand::Rng::with_seed(1);
        let noise: Bytes = std::iter::repeat_with(|| random.u8(..)).take(20_000).collect();
        for _ in 0..3 {
            let given = packed.pack(Encoding::Gzip, noise.clone());
            assert_eq!(given, (Encoding::Identity, noise.clone()));
        }
        assert_eq!((packed.kept.len(), packed.kept.weight()), (1, EACH));
    }

    #[test]
    fn no_more_is_kept_than_there_is_room_for() {
        let packed = PackedAnswers::new(1 << 20);
        for of in 0..200 {
            packed.pack(Encoding::Gzip, answer(40_000, of));
        }
        assert!(packed.kept.weight() <= 1 << 20, "{}", packed.kept.weight());
        assert!(packed.kept.len() > 10);
        for (room, size) in [(0, 50_000), (1 << 20, 100_000), (1 << 20, 2000)] {
            let packed = PackedAnswers::new(room);
            let given = packed.pack(Encoding::Gzip, answer(size, 1));
            assert_eq!(given, deflate(Encoding::Gzip, answer(size, 1)));
            assert_eq!(packed.kept.len(), 0, "of {size} bytes where there is room for {room}");
        }
    }
}
