//! gzip, and the stock client's "deflate": a zlib stream without its header but with its checksum.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::{DeflateDecoder, MultiGzDecoder};
use flate2::write::{GzEncoder, ZlibEncoder};

/// A compression that the client can speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Coding {
    /// RFC 1952.
    Gzip,
    /// Requests: zlib less its first two bytes. Responses: raw deflate.
    Deflate,
}

impl Coding {
    /// Its name in headers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
        }
    }

    /// Compresses the body of a request.
    pub(super) fn compress(self, body: &[u8]) -> std::io::Result<Vec<u8>> {
        let level = Compression::new(3);
        match self {
            Self::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), level);
                encoder.write_all(body)?;
                encoder.finish()
            }
            Self::Deflate => {
                let mut encoder = ZlibEncoder::new(Vec::new(), level);
                encoder.write_all(body)?;
                let mut stream = encoder.finish()?;
                stream.drain(..2);
                Ok(stream)
            }
        }
    }
}

/// Inflates the body of a response to at most `cap` bytes. An encoding that the stock client does
/// not know is taken as plain bytes.
pub(crate) fn inflate(
    encoding: Option<&str>,
    body: Vec<u8>,
    cap: usize,
) -> Result<Vec<u8>, String> {
    let limit = cap as u64 + 1;
    let mut plain = Vec::new();
    match encoding {
        Some("gzip") => MultiGzDecoder::new(&body[..]).take(limit).read_to_end(&mut plain),
        Some("deflate") => DeflateDecoder::new(&body[..]).take(limit).read_to_end(&mut plain),
        _ => return Ok(body),
    }
    .map_err(|e| format!("{}: {e}", encoding.unwrap_or_default()))?;
    if plain.len() > cap {
        return Err(format!("inflates to over {cap} bytes"));
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deflate_requests_have_no_zlib_header_and_keep_their_checksum() {
        let stream = Coding::Deflate.compress(b"hello hello hello").expect("in memory");
        let mut decoder = DeflateDecoder::new(&stream[..]);
        let mut plain = Vec::new();
        decoder.read_to_end(&mut plain).expect("raw deflate");
        assert_eq!(plain, b"hello hello hello");
        assert_eq!(stream.len() as u64 - decoder.total_in(), 4);
    }

    #[test]
    fn answers_are_inflated_within_a_cap() {
        let gzip = Coding::Gzip.compress(&[b'a'; 1000]).expect("in memory");
        assert_eq!(inflate(Some("gzip"), gzip.clone(), 1000).expect("fits").len(), 1000);
        assert!(inflate(Some("gzip"), gzip.clone(), 999).is_err());
        assert!(inflate(Some("gzip"), gzip[..20].to_vec(), 1000).is_err());
        assert_eq!(inflate(Some("br"), b"x".to_vec(), 10), Ok(b"x".to_vec()));
    }
}
