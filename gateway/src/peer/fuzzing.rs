//! What connections begin with and what proxies write, of fuzzers.

use futures::FutureExt;
use http::{HeaderMap, HeaderValue};

use super::{Proxies, certificate, proxy_protocol};

/// The first bytes of a connection: a header of the PROXY protocol is read to its end, whatever follows
/// it, and is never longer than its bound.
pub fn proxy_header(bytes: &[u8]) {
    let read = |bytes: &[u8]| {
        let mut left = bytes;
        // Bytes that are there are not waited for.
        let read = proxy_protocol::read(&mut left).now_or_never().expect("they are all there");
        (read.ok(), bytes.len() - left.len())
    };
    let (told, length) = read(bytes);
    assert!(length <= 16 + 4096);
    if told.is_some() {
        let more = [&bytes[..length], b"GET / HTTP/1.1\r\n"].concat();
        assert_eq!(read(&more), (told, length));
    }
}

/// A client's certificate.
pub fn client_certificate(der: &[u8]) {
    if let Some(name) = certificate::name(der) {
        assert!(!name.is_empty());
    }
}

/// What stands in `X-Forwarded-For`: nobody but a proxy is believed, and what is believed was written.
pub fn forwarded(text: &str) {
    let Ok(value) = HeaderValue::from_str(text) else { return };
    let headers = HeaderMap::from_iter([(super::proxies::FORWARDED_FOR, value)]);
    let networks = vec!["10.0.0.0/8".parse().expect("a network")];
    let proxies = Proxies { networks, ..Proxies::default() };
    let [stranger, proxy] = ["198.51.100.7", "10.0.0.1"].map(|text| text.parse().expect("one"));
    assert_eq!(proxies.client(stranger, &headers), stranger);
    let client = proxies.client(proxy, &headers);
    assert!(client == proxy || !text.trim().is_empty());
}
