//! Content codings, as the stock client understands them.
//!
//! Its "deflate" is a zlib stream without the two bytes in front and with the checksum of four bytes
//! behind; it takes answers in raw deflate.

use std::cell::RefCell;
use std::io::Read;

use bytes::Bytes;
use flate2::bufread::{DeflateDecoder, GzDecoder};
use flate2::{Compress, Compression, Crc, FlushCompress, Status};
use goma_common::{Code, Error, Result};
use http::HeaderValue;

/// How a body is coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Identity,
    Gzip,
    Deflate,
}

/// Answers below this are sent as they are: a compressed one would save less than it costs.
const WORTH_COMPRESSING: usize = 512;
/// A gzip member with deflate inside, no name, no time, compressed fast on an unknown system.
const GZIP_HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 0xff];
/// The first guess at an inflated size, as a multiple of the compressed one.
const USUAL_RATIO: usize = 4;

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

    /// The header's word; none for identity.
    pub(super) fn name(self) -> Option<&'static str> {
        match self {
            Self::Identity => None,
            Self::Gzip => Some("gzip"),
            Self::Deflate => Some("deflate"),
        }
    }
}

/// Decompresses a whole body into at most `max` bytes.
///
/// # Errors
/// `InvalidArgument` for what is damaged, cut off, or larger.
pub(super) fn inflate(encoding: Encoding, body: Bytes, max: usize) -> Result<Bytes> {
    let mut inflated = Vec::with_capacity((body.len() * USUAL_RATIO).min(max));
    // One byte more than allowed tells that there are more.
    let limit = max as u64 + 1;
    let read = match encoding {
        Encoding::Identity => return Ok(body),
        Encoding::Gzip => GzDecoder::new(&body[..]).take(limit).read_to_end(&mut inflated),
        Encoding::Deflate => DeflateDecoder::new(&body[..]).take(limit).read_to_end(&mut inflated),
    };
    let invalid = |why: String| {
        Error::new(
            Code::InvalidArgument,
            format!("body ({}): {why}", encoding.name().unwrap_or("")),
        )
    };
    read.map_err(|error| invalid(error.to_string()))?;
    if inflated.len() > max {
        return Err(invalid(format!("inflates to more than {max} bytes")));
    }
    Ok(inflated.into())
}

/// Compresses an answer, unless that does not pay: then it is identity, whatever was asked for.
pub(super) fn deflate(encoding: Encoding, answer: Bytes) -> (Encoding, Bytes) {
    if encoding == Encoding::Identity || answer.len() < WORTH_COMPRESSING {
        return (Encoding::Identity, answer);
    }
    // What does not fit is no smaller than the answer.
    let mut compressed = Vec::with_capacity(answer.len());
    if encoding == Encoding::Gzip {
        compressed.extend_from_slice(&GZIP_HEAD);
    }
    if !raw_deflate(&answer, &mut compressed) {
        return (Encoding::Identity, answer);
    }
    if encoding == Encoding::Gzip {
        let mut crc = Crc::new();
        crc.update(&answer);
        compressed.extend_from_slice(&crc.sum().to_le_bytes());
        compressed.extend_from_slice(&crc.amount().to_le_bytes());
    }
    if compressed.len() < answer.len() {
        (encoding, compressed.into())
    } else {
        (Encoding::Identity, answer)
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
        matches!(end, Ok(Status::StreamEnd))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(text: &'static str) -> HeaderValue {
        HeaderValue::from_static(text)
    }

    #[test]
    fn both_codings_come_back() {
        let text = Bytes::from("int main(void) { return 0; }\n".repeat(1000));
        for encoding in [Encoding::Gzip, Encoding::Deflate] {
            let (used, compressed) = deflate(encoding, text.clone());
            assert_eq!(used, encoding);
            assert!(compressed.len() < text.len() / 10);
            assert_eq!(inflate(encoding, compressed, text.len()).expect("inflates"), text);
        }
    }

    #[test]
    fn what_does_not_shrink_is_sent_as_it_is() {
        let mut state = 1_u64;
        let noise = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        });
        let noise: Bytes = noise.take(10_000).collect();
        assert_eq!(deflate(Encoding::Gzip, noise.clone()), (Encoding::Identity, noise));
    }

    #[test]
    fn the_clients_deflate_has_four_bytes_behind() {
        let (_, compressed) = deflate(Encoding::Deflate, Bytes::from("x".repeat(10_000)));
        let body = [&compressed[..], &[1, 2, 3, 4]].concat();
        let inflated = inflate(Encoding::Deflate, body.into(), 10_000).expect("inflates");
        assert_eq!(inflated.len(), 10_000);
    }

    #[test]
    fn bombs_and_damage_are_refused() {
        let (_, bomb) = deflate(Encoding::Gzip, Bytes::from(vec![0; 1 << 20]));
        let error = inflate(Encoding::Gzip, bomb.clone(), 1 << 19).expect_err("too large");
        assert!(error.message.contains("more than 524288 bytes"), "{error}");
        assert!(inflate(Encoding::Gzip, bomb.slice(..bomb.len() / 2), 1 << 20).is_err());
        assert!(inflate(Encoding::Gzip, Bytes::from("nonsense"), 1 << 20).is_err());
        assert!(inflate(Encoding::Deflate, Bytes::from("\u{7f}nonsense"), 1 << 20).is_err());
    }

    #[test]
    fn the_answer_is_coded_as_the_client_says_first() {
        assert_eq!(Encoding::for_answer(Some(&header("gzip, deflate"))), Encoding::Gzip);
        assert_eq!(Encoding::for_answer(Some(&header("br, deflate"))), Encoding::Deflate);
        assert_eq!(Encoding::for_answer(Some(&header("gzip;q=0"))), Encoding::Identity);
        assert_eq!(Encoding::for_answer(None), Encoding::Identity);
    }
}
