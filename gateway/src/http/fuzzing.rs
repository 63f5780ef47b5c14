//! Bodies of fuzzers.

use bytes::Bytes;
use http::HeaderValue;

use super::compress::deflate;
use super::encoding::{Encoding, inflate};

/// What a body may inflate to here.
const MAX: usize = 1 << 16;

/// A body after a byte that says how it is coded: it inflates to no more than it may, takes no more room
/// than was asked for, and inflates to the same whatever was expected. Read as an answer, it comes back.
pub fn body(data: &[u8]) {
    let Some((how, body)) = data.split_first() else { return };
    let body = Bytes::copy_from_slice(body);
    let encoding = [Encoding::Identity, Encoding::Gzip, Encoding::Deflate][usize::from(how % 3)];
    let mut asked = 0;
    let inflated = encoding.expected_size(&body, MAX).and_then(|expected| {
        assert!(expected <= MAX);
        let room = |bytes| {
            asked = bytes;
            Ok(())
        };
        inflate(encoding, body.clone(), expected, MAX, room)
    });
    assert!(asked <= 2 * (MAX + 1), "room for {asked} bytes");
    if let Ok(inflated) = inflated
        && encoding != Encoding::Identity
    {
        assert!(inflated.len() <= MAX);
        let again = inflate(encoding, body.clone(), usize::from(how / 3), MAX, |_| Ok(()));
        assert_eq!(again.expect("as before"), inflated);
        let less = inflated.len().saturating_sub(1);
        let small = inflate(encoding, body.clone(), 0, less, |_| Ok(()));
        assert!(small.is_err() || inflated.is_empty(), "a byte more than allowed");
    }
    for encoding in [Encoding::Gzip, Encoding::Deflate] {
        let (used, coded) = deflate(encoding, body.clone());
        assert!(coded.len() <= body.len());
        let expected = used.expected_size(&coded, body.len()).expect("it tells the truth");
        let back = inflate(used, coded, expected, body.len(), |_| Ok(()));
        assert_eq!(back.expect("it was coded here"), body);
    }
    if let Ok(value) = HeaderValue::from_bytes(&body) {
        Encoding::for_answer(Some(&value));
        if let Ok(encoding) = Encoding::of_request(Some(&value)) {
            assert!(encoding.name().is_none_or(|name| body.ends_with(name.as_bytes())));
        }
    }
}
