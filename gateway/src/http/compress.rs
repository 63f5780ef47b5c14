//! Answers made smaller, where that pays.

use std::cell::RefCell;

use bytes::Bytes;
use flate2::{Compress, Compression, Crc, FlushCompress, Status};

use super::encoding::Encoding;

/// Answers below this are sent as they are: a compressed one would save less than it costs.
const WORTH_COMPRESSING: usize = 512;
/// A gzip member with deflate inside, no name, no time, compressed fast on an unknown system.
const GZIP_HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 0xff];
/// Behind the stream: a checksum of what it inflates to, and the length of that.
const GZIP_END: usize = 8;
/// A block that is stored as it is: bytes before its contents, and the most that it holds.
const STORED_HEAD: usize = 5;
const STORED_MOST: usize = u16::MAX as usize;
/// A larger answer is tried first: pieces of this size, so many of them, spread evenly. An eighth of it at most is then
/// compressed twice, and what does not shrink (packed files, say) is compressed in no other part, at 11 ms a megabyte.
const TRIED: usize = 256 << 10;
const PIECE: usize = 4 << 10;
const PIECES: usize = 8;
/// What of a piece must be saved: less is not worth the time on the way and at the client.
const LEAST_SAVED: usize = PIECE / 32;

/// Compresses an answer, unless that does not pay: then it is identity, whatever was asked for.
pub(super) fn deflate(encoding: Encoding, answer: Bytes) -> (Encoding, Bytes) {
    let deflated = (encoding != Encoding::Identity).then(|| Deflated::of(&answer)).flatten();
    match deflated {
        Some(deflated) => (encoding, deflated.body(encoding, &[])),
        None => (Encoding::Identity, answer),
    }
}

/// A part of an answer, or all of it, compressed.
#[derive(Debug)]
pub(super) struct Deflated {
    /// Blocks of RFC 1951 up to the last, which begin at a byte.
    blocks: Box<[u8]>,
    crc: Crc,
}

impl Deflated {
    /// None where that does not pay.
    pub(super) fn of(plain: &[u8]) -> Option<Self> {
        if plain.len() < WORTH_COMPRESSING || !shrinks(plain) {
            return None;
        }
        // What does not fit is no smaller than the answer: with a head and an end it would even be larger.
        let mut blocks = Vec::with_capacity(plain.len() - GZIP_HEAD.len() - GZIP_END);
        if !raw_deflate(plain, &mut blocks) {
            return None;
        }
        let mut crc = Crc::new();
        crc.update(plain);
        Some(Self { blocks: blocks.into(), crc })
    }

    /// Bytes that it takes.
    pub(super) fn len(&self) -> usize {
        self.blocks.len()
    }

    /// A body of this coding, which is not identity: first these bytes as they are, then what was compressed.
    pub(super) fn body(&self, encoding: Encoding, first: &[u8]) -> Bytes {
        let stored = first.len() + STORED_HEAD * (first.len() / STORED_MOST + 1);
        let ends = GZIP_HEAD.len() + GZIP_END;
        let mut body = Vec::with_capacity(ends + stored + self.blocks.len());
        if encoding == Encoding::Gzip {
            body.extend_from_slice(&GZIP_HEAD);
        }
        for part in first.chunks(STORED_MOST) {
            // Not the last block, stored, the rest of the byte unused; then the length and its complement.
            let length = u16::try_from(part.len()).unwrap_or(u16::MAX);
            body.push(0);
            body.extend_from_slice(&length.to_le_bytes());
            body.extend_from_slice(&(!length).to_le_bytes());
            body.extend_from_slice(part);
        }
        body.extend_from_slice(&self.blocks);
        if encoding == Encoding::Gzip {
            let mut crc = Crc::new();
            crc.update(first);
            crc.combine(&self.crc);
            body.extend_from_slice(&crc.sum().to_le_bytes());
            body.extend_from_slice(&crc.amount().to_le_bytes());
        }
        body.into()
    }
}

/// Whether all of it fitted into the room that `compressed` has.
fn raw_deflate(answer: &[u8], compressed: &mut Vec<u8>) -> bool {
    thread_local! {
        /// A compressor is a quarter of a megabyte, too much to be allocated and cleared for each
        /// answer.
        static COMPRESSOR: RefCell<Compress> =
            RefCell::new(Compress::new(Compression::fast(), false));
    }
    COMPRESSOR.with_borrow_mut(|compressor| {
        compressor.reset();
        let end = compressor.compress_vec(answer, compressed, FlushCompress::Finish);
        let whole = matches!(end, Ok(Status::StreamEnd));
        if !whole {
            // A reset does not take back what a stream that was given up has left behind: the next
            // answer would be spoilt by it, or end in a panic.
            *compressor = Compress::new(Compression::fast(), false);
        }
        whole
    })
}

/// Whether it is likely that compressing pays: of a large answer, if it does for any of some pieces.
fn shrinks(answer: &[u8]) -> bool {
    if answer.len() < TRIED {
        return true;
    }
    // A piece that does not fit into this has saved too little.
    let mut compressed = Vec::with_capacity(PIECE - LEAST_SAVED);
    (0..PIECES).any(|n| {
        let start = (answer.len() - PIECE) / (PIECES - 1) * n;
        compressed.clear();
        raw_deflate(&answer[start..start + PIECE], &mut compressed)
    })
}

#[cfg(test)]
mod tests {
    use super::super::encoding::inflate;
    use super::*;

    fn inflate_all(encoding: Encoding, body: Bytes, max: usize) -> Bytes {
        inflate(encoding, body, max, max, |_| Ok(())).expect("inflates")
    }

    fn noise(size: usize) -> Vec<u8> {
        let mut random = fastrand::Rng::with_seed(7);
        std::iter::repeat_with(|| random.u8(..)).take(size).collect()
    }

    #[test]
    fn what_does_not_shrink_is_sent_as_it_is() {
        let noise = Bytes::from(noise(10_000));
        assert_eq!(deflate(Encoding::Gzip, noise.clone()), (Encoding::Identity, noise));
    }

    #[test]
    fn one_that_did_not_shrink_spoils_no_later_one() {
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..50 {
            let size = random.usize(600..60_000);
            let noise: Bytes = std::iter::repeat_with(|| random.u8(..)).take(size).collect();
            let digits: Bytes = hex::encode(&noise[..size.min(700)]).into();
            let text = Bytes::from("static int a;\n".repeat(size / 14));
            for answer in [noise, digits, text] {
                for encoding in [Encoding::Gzip, Encoding::Deflate] {
                    let (used, sent) = deflate(encoding, answer.clone());
                    let read = inflate_all(used, sent, answer.len());
                    assert!(read == answer, "{} bytes by {used:?}", answer.len());
                }
            }
        }
    }

    #[test]
    fn what_was_compressed_goes_behind_any_other_bytes() {
        let shared = "static int a;\n".repeat(500);
        let deflated = Deflated::of(shared.as_bytes()).expect("smaller");
        for size in [0, 1, 100, STORED_MOST, STORED_MOST + 1, 200_000] {
            let first = noise(size);
            let whole = [&first, shared.as_bytes()].concat();
            for encoding in [Encoding::Gzip, Encoding::Deflate] {
                let body = deflated.body(encoding, &first);
                assert!(body.len() <= size + size / 1000 + deflated.len() + 40, "{size}");
                assert!(
                    inflate_all(encoding, body, whole.len()) == whole,
                    "{size} by {encoding:?}"
                );
            }
        }
    }

    #[test]
    fn a_large_answer_is_tried_in_every_part() {
        let size = TRIED + 12_345;
        assert!(!shrinks(&noise(size)));
        assert!(shrinks(&noise(size)[..TRIED - 1]), "a small one is not tried");
        for part in 0..PIECES {
            let (mut mixed, eighth) = (noise(size), size / PIECES);
            mixed[part * eighth..(part + 1) * eighth].fill(b'x');
            assert!(shrinks(&mixed), "an eighth of it would: {part}");
            let answer = Bytes::from(mixed);
            let (used, sent) = deflate(Encoding::Gzip, answer.clone());
            assert_eq!(used, Encoding::Gzip);
            // Compressed fast, noise grows a little.
            assert!(sent.len() < size - size / 20 && inflate_all(used, sent, size) == answer);
        }
    }
}
