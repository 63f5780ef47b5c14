//! The name of a blob in the CAS: its SHA-256 and its size.

use std::fmt;

use goma_proto::reapi;
use sha2::{Digest as _, Sha256};

use crate::error::{Code, Error};

/// SHA-256 and length of a blob. Copy, 40 bytes; equal digests mean equal contents.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest {
    /// The 32 bytes of the SHA-256.
    pub hash: [u8; 32],
    /// Length of the contents in bytes.
    pub size: u64,
}

impl Digest {
    /// The empty blob, which every CAS holds by definition and nobody needs to ask for.
    pub const EMPTY: Self = Self {
        hash: [
            0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f,
            0xb9, 0x24, 0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b,
            0x78, 0x52, 0xb8, 0x55,
        ],
        size: 0,
    };

    /// Hashes `contents`.
    #[must_use]
    pub fn of(contents: &[u8]) -> Self {
        Self { hash: Sha256::digest(contents).into(), size: contents.len() as u64 }
    }

    /// Reads lower-case hex and a size, as REAPI spells a digest.
    ///
    /// # Errors
    /// `InvalidArgument` naming the text, when it is no SHA-256 or the size is negative.
    pub fn parse(hash: &str, size: i64) -> Result<Self, Error> {
        let invalid =
            || Error::new(Code::InvalidArgument, format!("not a digest: {hash:?}/{size}"));
        let size = u64::try_from(size).map_err(|_| invalid())?;
        Ok(Self { hash: parse_hash(hash.as_bytes()).ok_or_else(invalid)?, size })
    }

    /// Whether this is the empty blob.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.size == 0
    }

    /// The hash as lower-case hex.
    #[must_use]
    pub fn hex(&self) -> String {
        String::from_utf8(self.hex_digits().to_vec()).unwrap_or_default()
    }

    /// The hash as 64 lower-case hex digits.
    #[must_use]
    pub fn hex_digits(&self) -> [u8; 64] {
        hex_digits(&self.hash)
    }
}

/// A hash as lower-case hex digits.
pub(crate) fn hex_digits(hash: &[u8; 32]) -> [u8; 64] {
    let mut digits = [0; 64];
    // It fails where there is too little room, and there is as much as it takes.
    let _encoded = faster_hex::hex_encode(hash, &mut digits);
    digits
}

/// Reads 64 lower-case hex digits; anything else is `None`. A compile brings hundreds of them.
pub(crate) fn parse_hash(text: &[u8]) -> Option<[u8; 32]> {
    let digits: &[u8; 64] = text.try_into().ok()?;
    // Without a branch for each, so that many are looked at at once.
    let capitals = digits.iter().fold(false, |any, digit| any | digit.is_ascii_uppercase());
    let mut hash = [0; 32];
    (!capitals && faster_hex::hex_decode(digits, &mut hash).is_ok()).then_some(hash)
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.hex(), self.size)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<Digest> for reapi::Digest {
    fn from(digest: Digest) -> Self {
        Self { hash: digest.hex(), size_bytes: i64::try_from(digest.size).unwrap_or(i64::MAX) }
    }
}

impl TryFrom<&reapi::Digest> for Digest {
    type Error = Error;

    fn try_from(digest: &reapi::Digest) -> Result<Self, Error> {
        Self::parse(&digest.hash, digest.size_bytes)
    }
}

/// Hashes contents that arrive in pieces.
#[derive(Default)]
pub struct Hasher {
    sha256: Sha256,
    size: u64,
}

impl Hasher {
    /// Takes the next piece.
    pub fn update(&mut self, piece: &[u8]) {
        self.sha256.update(piece);
        self.size += piece.len() as u64;
    }

    /// The digest of all pieces so far.
    #[must_use]
    pub fn finish(self) -> Digest {
        Digest { hash: self.sha256.finalize().into(), size: self.size }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_is_the_digest_of_nothing() {
        assert_eq!(Digest::of(b""), Digest::EMPTY);
        assert_eq!(Hasher::default().finish(), Digest::EMPTY);
    }

    #[test]
    fn pieces_hash_like_the_whole() {
        let mut hasher = Hasher::default();
        hasher.update(b"hel");
        hasher.update(b"lo");
        assert_eq!(hasher.finish(), Digest::of(b"hello"));
    }

    #[test]
    fn parse_refuses_what_is_no_digest() {
        let good = Digest::of(b"x");
        assert_eq!(Digest::parse(&good.hex(), 1).expect("valid"), good);
        assert!(Digest::parse(&good.hex().to_uppercase(), 1).is_err());
        assert!(Digest::parse(&good.hex()[1..], 1).is_err());
        assert!(Digest::parse(&good.hex().replace('2', "g"), 1).is_err());
        assert!(Digest::parse(&format!("0x{}", &good.hex()[2..]), 1).is_err());
        for at in 0..64 {
            for wrong in ['A', 'F', 'g', '`', '/', ':', '@', ' ', '\0'] {
                let mut digits = good.hex();
                digits.replace_range(at..=at, wrong.encode_utf8(&mut [0; 4]));
                assert!(Digest::parse(&digits, 1).is_err(), "{digits}");
            }
        }
        assert_eq!(good.hex(), hex::encode(good.hash));
        assert!(Digest::parse(&good.hex(), -1).is_err());
    }
}
