//! Content codings, as the stock client understands them.
//!
//! Its "deflate" is a zlib stream without the two bytes in front and with the checksum of four bytes
//! behind; it takes answers in raw deflate.

use std::cell::RefCell;
use std::io::Read;

use bytes::Bytes;
use flate2::bufread::{DeflateDecoder, GzDecoder};
use goma_common::{Code, Error, Result};
use http::HeaderValue;
use libdeflater::Decompressor;

/// How a body is coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Encoding {
    Identity,
    Gzip,
    Deflate,
}

/// How many times larger than it was sent a body becomes that does not tell; the stock client's
/// become 2.5 to 5 times as large.
const USUAL_RATIO: usize = 5;
/// A larger body is read in pieces: its buffer need not be there before its bytes are.
const AT_ONCE: usize = 8 << 20;
/// Deflate can do no better: 258 bytes from two bits.
const MOST_RATIO: usize = 1032;

impl Encoding {
    /// The coding of a request.
    ///
    /// # Errors
    /// `InvalidArgument` naming the coding, for which the client switches compression off.
    pub(super) fn of_request(content_encoding: Option<&HeaderValue>) -> Result<Self> {
        match content_encoding.map(HeaderValue::as_bytes) {
            None | Some(b"" | b"identity") => Ok(Self::Identity),
            Some(b"gzip" | b"x-gzip") => Ok(Self::Gzip),
            Some(b"deflate") => Ok(Self::Deflate),
            Some(other) => Err(Error::new(
                Code::InvalidArgument,
                format!(
                    "Content-Encoding {:?}: send gzip or deflate",
                    String::from_utf8_lossy(other)
                ),
            )),
        }
    }

    /// The coding for an answer: the first that the client names and we know.
    pub(super) fn for_answer(accept_encoding: Option<&HeaderValue>) -> Self {
        let accepted = accept_encoding.and_then(|value| value.to_str().ok()).unwrap_or("");
        let codings =
            accepted.split(',').filter(|coding| !coding.replace(' ', "").contains(";q=0"));
        codings
            .map(|coding| coding.split(';').next().unwrap_or("").trim())
            .find_map(|coding| match coding {
                "gzip" => Some(Self::Gzip),
                "deflate" => Some(Self::Deflate),
                _ => None,
            })
            .unwrap_or(Self::Identity)
    }

    /// How many bytes a body is taken to inflate to: what gzip says at its end, as far as that is
    /// possible, else the usual. Either may be wrong.
    ///
    /// # Errors
    /// `InvalidArgument` for one that says itself that it is too large.
    pub(super) fn expected_size(self, body: &[u8], max: usize) -> Result<usize> {
        match self {
            Self::Identity => Ok(0),
            Self::Deflate => Ok(body.len().saturating_mul(USUAL_RATIO).min(max)),
            Self::Gzip => {
                let told = body.last_chunk().map_or(0, |told| u32::from_le_bytes(*told) as usize);
                if told > max {
                    return Err(self.too_large(max));
                }
                Ok(told.min(body.len().saturating_mul(MOST_RATIO)))
            }
        }
    }

    fn too_large(self, max: usize) -> Error {
        self.invalid(&format!("inflates to more than {max} bytes"))
    }

    fn invalid(self, why: &str) -> Error {
        let name = self.name().unwrap_or("identity");
        Error::new(Code::InvalidArgument, format!("body ({name}): {why}"))
    }

    /// The header's word; none for identity.
    pub(super) fn name(self) -> Option<&'static str> {
        match self {
            Self::Identity => None,
            Self::Gzip => Some("gzip"),
            Self::Deflate => Some("deflate"),
        }
    }
}

/// Decompresses a whole body that is `expected` to give so many bytes into at most `max`.
///
/// `room` is told how many bytes are about to be allocated in all before a buffer that proved too
/// small is made larger, and may object.
///
/// # Errors
/// `InvalidArgument` for what is damaged, cut off, or larger; what `room` says.
pub(super) fn inflate(
    encoding: Encoding,
    body: Bytes,
    expected: usize,
    max: usize,
    room: impl FnMut(usize) -> Result<()>,
) -> Result<Bytes> {
    if encoding != Encoding::Identity
        && let Some(inflated) = at_once(encoding, &body, expected.min(max))
    {
        return Ok(inflated.into());
    }
    let inflated = match encoding {
        Encoding::Identity => return Ok(body),
        Encoding::Gzip => read_all(GzDecoder::new(&body[..]), encoding, expected, max, room)?,
        Encoding::Deflate => {
            read_all(DeflateDecoder::new(&body[..]), encoding, expected, max, room)?
        }
    };
    Ok(inflated.into())
}

/// A body in one go, which takes half the time of reading it in pieces. None where it does not fit, or is damaged: whoever
/// reads it in pieces finds out which.
fn at_once(encoding: Encoding, body: &[u8], expected: usize) -> Option<Vec<u8>> {
    thread_local! {
        static DECOMPRESSOR: RefCell<Decompressor> = RefCell::new(Decompressor::new());
    }
    if expected > AT_ONCE {
        return None;
    }
    let mut inflated = vec![0; expected];
    let length = DECOMPRESSOR.with_borrow_mut(|decompressor| match encoding {
        Encoding::Gzip => decompressor.gzip_decompress(body, &mut inflated).ok(),
        // What stands behind the stream is passed over.
        Encoding::Deflate => decompressor.deflate_decompress(body, &mut inflated).ok(),
        Encoding::Identity => None,
    })?;
    inflated.truncate(length);
    Some(inflated)
}

fn read_all(
    mut decoder: impl Read,
    encoding: Encoding,
    expected: usize,
    max: usize,
    mut room: impl FnMut(usize) -> Result<()>,
) -> Result<Vec<u8>> {
    // With one byte more than expected or allowed, there is an end or a byte too many to be seen.
    let mut inflated = Vec::with_capacity(expected.min(max) + 1);
    loop {
        let spare = inflated.capacity() - inflated.len();
        // Within its capacity the buffer does not grow by itself.
        let read = decoder.by_ref().take(spare as u64).read_to_end(&mut inflated);
        let read = read.map_err(|error| encoding.invalid(&error.to_string()))?;
        if inflated.len() > max {
            return Err(encoding.too_large(max));
        }
        if read < spare {
            return Ok(inflated);
        }
        let doubled = inflated.capacity().saturating_mul(2);
        // Not by doubling up to the last byte, where two buffers of nearly all would be needed.
        let larger = if doubled > max / 2 { max + 1 } else { doubled };
        // While one is copied to the other, there are both.
        room(inflated.capacity() + larger)?;
        inflated.reserve_exact(larger - inflated.len());
    }
}

#[cfg(test)]
mod tests {
    use super::super::compress::deflate;
    use super::*;

    fn header(text: &'static str) -> HeaderValue {
        HeaderValue::from_static(text)
    }

    /// With all the room in the world.
    fn inflate_all(encoding: Encoding, body: Bytes, max: usize) -> Result<Bytes> {
        let expected = encoding.expected_size(&body, max)?;
        inflate(encoding, body, expected, max, |_| Ok(()))
    }

    #[test]
    fn both_codings_come_back() {
        let text = Bytes::from("int main(void) { return 0; }\n".repeat(1000));
        for encoding in [Encoding::Gzip, Encoding::Deflate] {
            let (used, compressed) = deflate(encoding, text.clone());
            assert_eq!(used, encoding);
            assert!(compressed.len() < text.len() / 10);
            assert_eq!(inflate_all(encoding, compressed, text.len()).expect("inflates"), text);
        }
    }

    #[test]
    fn the_clients_deflate_has_four_bytes_behind() {
        let (_, compressed) = deflate(Encoding::Deflate, Bytes::from("x".repeat(10_000)));
        let body = [&compressed[..], &[1, 2, 3, 4]].concat();
        let inflated = inflate_all(Encoding::Deflate, body.into(), 10_000).expect("inflates");
        assert_eq!(inflated.len(), 10_000);
    }

    #[test]
    fn bombs_and_damage_are_refused() {
        for encoding in [Encoding::Gzip, Encoding::Deflate] {
            let (_, bomb) = deflate(encoding, Bytes::from(vec![0; 1 << 20]));
            let error = inflate_all(encoding, bomb.clone(), 1 << 19).expect_err("too large");
            assert!(error.message.contains("more than 524288 bytes"), "{error}");
            assert!(inflate_all(encoding, bomb.clone(), 1 << 20).is_ok(), "not a byte too many");
            assert!(inflate_all(encoding, bomb.slice(..bomb.len() / 2), 1 << 20).is_err());
        }
        assert!(inflate_all(Encoding::Gzip, Bytes::from("nonsense"), 1 << 20).is_err());
        assert!(inflate_all(Encoding::Deflate, Bytes::from("\u{7f}nonsense"), 1 << 20).is_err());
    }

    #[test]
    fn gzip_tells_its_size_at_its_end() {
        let size = |body: &[u8], max| Encoding::Gzip.expected_size(body, max);
        let (_, body) = deflate(Encoding::Gzip, Bytes::from(vec![0; 1 << 20]));
        assert_eq!(size(&body, 1 << 20).expect("not too large"), 1 << 20);
        let error = size(&body, (1 << 20) - 1).expect_err("known before it is inflated");
        assert!(error.message.contains("gzip") && error.message.contains("1048575"), "{error}");
        // Ten bytes do not become so many.
        assert_eq!(size(b"??????\xff\xff\xff\x0f", 1 << 30).expect("a size"), 10_320);
        assert_eq!(size(b"?", 1 << 30).expect("a size"), 0, "nothing that it could tell");
    }

    #[test]
    fn a_buffer_of_the_right_size_asks_for_no_more_room() {
        let text = Bytes::from("int x;\n".repeat(100_000));
        let (_, body) = deflate(Encoding::Gzip, text.clone());
        let asked = |_| panic!("asked for more");
        let inflated = inflate(Encoding::Gzip, body, text.len(), text.len(), asked);
        assert_eq!(inflated.expect("inflates"), text);
    }

    #[test]
    fn no_buffer_grows_before_there_is_room() {
        let size = 1 << 20;
        for encoding in [Encoding::Gzip, Encoding::Deflate] {
            let (_, body) = deflate(encoding, Bytes::from(vec![0; size]));
            // Expected to be far smaller than it is.
            let mut asked = Vec::new();
            let note = |bytes| {
                asked.push(bytes);
                Ok(())
            };
            let inflated = inflate(encoding, body.clone(), 1000, size, note).expect("inflates");
            assert_eq!(inflated.len(), size);
            assert_eq!(asked[..3], [1001 * 3, 1001 * 6, 1001 * 12], "the old and the new");
            assert!(asked.last().is_some_and(|last| *last > size && *last <= 2 * size));

            let mut asked = 0;
            let none = |_| {
                asked += 1;
                Err(Error::new(Code::ResourceExhausted, "no room"))
            };
            let error = inflate(encoding, body, 1000, size, none).expect_err("no room");
            assert_eq!((error.code, asked), (Code::ResourceExhausted, 1));
        }
    }

    #[test]
    fn the_answer_is_coded_as_the_client_says_first() {
        assert_eq!(Encoding::for_answer(Some(&header("gzip, deflate"))), Encoding::Gzip);
        assert_eq!(Encoding::for_answer(Some(&header("br, deflate"))), Encoding::Deflate);
        assert_eq!(Encoding::for_answer(Some(&header("gzip;q=0"))), Encoding::Identity);
        assert_eq!(Encoding::for_answer(None), Encoding::Identity);
    }
}
