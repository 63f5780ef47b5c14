//! Answers as they were compressed before, for the next who gets the same one.
//!
//! What one developer compiles a hundred others are answered with, and compressing answers was a third of
//! what compiles of real projects cost that the cache knows. The key is a hash of the answer as it
//! is before it is compressed, or of its parts: whoever is given a kept one had every byte of it already.
//! What only one client is told, such as its own name for the request, goes in front of what is kept.

use std::sync::Arc;

use bytes::Bytes;
use goma_common::Digest;
use prost::Message;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::compress::{Deflated, deflate};
use super::encoding::Encoding;

/// Smaller ones take less time to compress than to look up and keep.
const SMALLEST: usize = 8 << 10;
/// Of all the room; a larger one would push out too many others.
const LARGEST_SHARE: usize = 16;
/// What an answer takes beside its bytes, about.
const EACH: u64 = 150;
/// What one is expected to be, for the table's first size.
const USUAL: usize = 32 << 10;
/// More than this is compressed on a thread for blocking work.
const COMPRESS_INLINE: usize = 256 << 10;

/// What tells an answer from all others. The two kinds are never taken for each other: a message might be made whose
/// bytes are what the parts of another are hashed as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Identity {
    /// The digest of the message's bytes.
    Whole(Digest),
    /// A digest over the message's parts, of which some are digests.
    Parts(Digest),
}

/// As many as there is room for; those that are asked for again and again stay.
pub(crate) struct PackedAnswers {
    room: usize,
    kept: Cache<Identity, Packed, Weigh>,
}

/// An answer that was to be compressed.
#[derive(Clone)]
enum Packed {
    /// It is smaller so.
    Smaller(Arc<Deflated>),
    /// That did not pay: it is sent as it is.
    AsItIs,
}

#[derive(Clone, Copy, Debug)]
struct Weigh;

impl Weighter<Identity, Packed> for Weigh {
    fn weight(&self, _: &Identity, packed: &Packed) -> u64 {
        match packed {
            Packed::Smaller(deflated) => EACH + deflated.len() as u64,
            Packed::AsItIs => EACH,
        }
    }
}

impl PackedAnswers {
    /// None yet, and at most so many bytes of them; 0 keeps none.
    pub(crate) fn new(room: usize) -> Self {
        Self { room, kept: Cache::with_weighter(room / USUAL, room as u64, Weigh) }
    }

    /// The body of an answer, and how it is coded: as asked for, or as it is where that does not pay. `own` is fields
    /// of the message for this client alone. One without a digest over its parts is hashed.
    pub(super) async fn pack(
        self: &Arc<Self>,
        encoding: Encoding,
        own: Bytes,
        message: impl Message,
        parts: Option<Digest>,
    ) -> (Encoding, Bytes) {
        let size = message.encoded_len();
        if encoding == Encoding::Identity {
            return (Encoding::Identity, joined(&own, size, &message));
        }
        if !(SMALLEST..=self.room / LARGEST_SHARE).contains(&size) {
            let plain = joined(&own, size, &message);
            if size <= COMPRESS_INLINE {
                return deflate(encoding, plain);
            }
            let whole = plain.clone();
            return blocking(move || deflate(encoding, plain), || whole).await;
        }
        let parts = parts.map(Identity::Parts);
        let shared = match parts.and_then(|parts| self.kept.get(&parts)) {
            Some(Packed::Smaller(deflated)) => return (encoding, deflated.body(encoding, &own)),
            Some(Packed::AsItIs) => return (Encoding::Identity, joined(&own, size, &message)),
            None => message.encode_to_vec(),
        };
        if size <= COMPRESS_INLINE {
            return self.pack_shared(encoding, &own, shared.into(), parts);
        }
        let (packed, first) = (Arc::clone(self), own.clone());
        let pack = move || packed.pack_shared(encoding, &first, shared.into(), parts);
        blocking(pack, || joined(&own, size, &message)).await
    }

    fn pack_shared(
        &self,
        encoding: Encoding,
        own: &[u8],
        shared: Bytes,
        parts: Option<Identity>,
    ) -> (Encoding, Bytes) {
        let identity = parts.unwrap_or_else(|| Identity::Whole(Digest::of(&shared)));
        let known = self.kept.get(&identity);
        let packed = known.unwrap_or_else(|| {
            let packed = match Deflated::of(&shared) {
                Some(deflated) => Packed::Smaller(Arc::new(deflated)),
                None => Packed::AsItIs,
            };
            self.kept.insert(identity, packed.clone());
            packed
        });
        match packed {
            Packed::Smaller(deflated) => (encoding, deflated.body(encoding, own)),
            Packed::AsItIs if own.is_empty() => (Encoding::Identity, shared),
            Packed::AsItIs => (Encoding::Identity, [own, &shared].concat().into()),
        }
    }
}

/// All of a message, not compressed: fields that are set apart may come before the others.
fn joined(own: &[u8], size: usize, message: &impl Message) -> Bytes {
    let mut whole = Vec::with_capacity(own.len() + size);
    whole.extend_from_slice(own);
    // A vector has room for all of it.
    let _encoded = message.encode(&mut whole);
    whole.into()
}

/// Packs on a thread for blocking work; should that end, the answer goes as it is.
async fn blocking(
    pack: impl FnOnce() -> (Encoding, Bytes) + Send + 'static,
    as_it_is: impl FnOnce() -> Bytes,
) -> (Encoding, Bytes) {
    let packed = tokio::task::spawn_blocking(pack).await;
    packed.unwrap_or_else(|_| (Encoding::Identity, as_it_is()))
}

#[cfg(test)]
mod tests {
    use goma_proto::api::SaveLogReq;

    use super::super::encoding::inflate;
    use super::*;

    /// A message of about this size, like no other of another number.
    fn message(size: usize, of: u8) -> SaveLogReq {
        let mut random = fastrand::Rng::with_seed(of.into());
        let log = std::iter::repeat_with(|| random.u8(..16)).take(size).collect();
        SaveLogReq { exec_log: vec![log], ..Default::default() }
    }

    fn noise(size: usize) -> SaveLogReq {
        let mut random = fastrand::Rng::with_seed(1);
        let log = std::iter::repeat_with(|| random.u8(..)).take(size).collect();
        SaveLogReq { exec_log: vec![log], ..Default::default() }
    }

    fn kept(room: usize) -> Arc<PackedAnswers> {
        Arc::new(PackedAnswers::new(room))
    }

    /// How it is coded; whoever inflates it has the message behind the fields that are set apart.
    async fn pack(
        packed: &Arc<PackedAnswers>,
        encoding: Encoding,
        own: &'static [u8],
        message: SaveLogReq,
        parts: Option<&[u8]>,
    ) -> Encoding {
        let whole = [own, &message.encode_to_vec()].concat();
        let parts = parts.map(Digest::of);
        let (used, body) = packed.pack(encoding, own.into(), message, parts).await;
        assert!(used == encoding || body.len() == whole.len(), "nothing else was asked for");
        let read = inflate(used, body, whole.len(), whole.len(), |_| Ok(())).expect("inflates");
        assert!(read == whole, "{} bytes by {used:?}", whole.len());
        used
    }

    #[tokio::test]
    async fn an_answer_is_compressed_once_for_all_clients_and_codings() {
        let packed = kept(1 << 20);
        for parts in [None, Some(&b"parts"[..])] {
            for encoding in [Encoding::Gzip, Encoding::Deflate, Encoding::Identity] {
                for own in [&b""[..], b"one", b"another"] {
                    let used = pack(&packed, encoding, own, message(50_000, 1), parts).await;
                    assert_eq!(used, encoding);
                }
            }
        }
        // Once by its bytes, once by its parts.
        assert_eq!(packed.kept.len(), 2);
        pack(&packed, Encoding::Gzip, b"", message(50_000, 2), None).await;
        assert_eq!(packed.kept.len(), 3);
    }

    #[tokio::test]
    async fn what_is_known_by_its_parts_is_not_compressed_again() {
        let packed = kept(1 << 20);
        let parts = Digest::of(b"parts");
        let known = Packed::Smaller(Arc::new(Deflated::of(&[7; 9000]).expect("smaller")));
        // Not what has these very bytes for parts: its message would be another.
        packed.kept.insert(Identity::Whole(parts), Packed::AsItIs);
        packed.kept.insert(Identity::Parts(parts), known);
        let of = message(20_000, 1);
        let (used, body) = packed.pack(Encoding::Gzip, Bytes::new(), of, Some(parts)).await;
        let read = inflate(used, body, 9000, 9000, |_| Ok(())).expect("inflates");
        assert!(read == vec![7; 9000]);
    }

    #[tokio::test]
    async fn what_does_not_shrink_is_tried_once() {
        let packed = kept(8 << 20);
        for (parts, size) in [(None, 20_000), (Some(&b"parts"[..]), 20_000), (None, 400_000)] {
            let before = packed.kept.len();
            for own in [&b""[..], b"one", b"another"] {
                let used = pack(&packed, Encoding::Gzip, own, noise(size), parts).await;
                assert_eq!(used, Encoding::Identity);
            }
            assert_eq!(packed.kept.len(), before + 1);
        }
        assert_eq!(packed.kept.weight(), 3 * EACH);
    }

    #[tokio::test]
    async fn no_more_is_kept_than_there_is_room_for() {
        let packed = kept(1 << 20);
        for of in 0..200 {
            pack(&packed, Encoding::Gzip, b"own", message(40_000, of), None).await;
        }
        assert!(packed.kept.weight() <= 1 << 20, "{}", packed.kept.weight());
        assert!(packed.kept.len() > 10);
        for (room, size) in [(0, 50_000), (1 << 20, 100_000), (1 << 20, 2000), (1 << 20, 400_000)] {
            let packed = kept(room);
            let used =
                pack(&packed, Encoding::Gzip, b"own", message(size, 1), Some(b"parts")).await;
            assert_eq!(used, Encoding::Gzip);
            assert_eq!(packed.kept.len(), 0, "of {size} bytes where there is room for {room}");
        }
    }
}
