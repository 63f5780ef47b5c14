//! Finds the requests in what a client sends, while it passes on unchanged.

/// Larger requests pass on without being kept.
const MAX_BODY: usize = 256 << 20;
const MAX_HEAD: usize = 64 << 10;

/// One direction of one connection.
#[derive(Debug, Default)]
pub(crate) struct Tap {
    bytes: Vec<u8>,
    /// Of the request whose body is awaited.
    head: Option<Head>,
    /// It was no HTTP that is understood: nothing more is looked at.
    blind: bool,
}

/// A request that has passed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Tapped {
    pub(crate) path: String,
    /// Of the body.
    pub(crate) encoding: Option<String>,
    pub(crate) body: Vec<u8>,
}

#[derive(Debug)]
struct Head {
    path: String,
    encoding: Option<String>,
    length: usize,
}

impl Tap {
    /// Takes what was read next, and gives the requests that are whole now.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<Tapped> {
        let mut tapped = Vec::new();
        if self.blind {
            return tapped;
        }
        self.bytes.extend_from_slice(bytes);
        while let Some(request) = self.next() {
            tapped.push(request);
        }
        tapped
    }

    fn next(&mut self) -> Option<Tapped> {
        if self.head.is_none() {
            let Some(end) = self.bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
                return self.stop_unless(self.bytes.len() <= MAX_HEAD);
            };
            let head = Head::parse(&String::from_utf8_lossy(&self.bytes[..end]));
            let Some(head) = head.filter(|head| head.length <= MAX_BODY) else {
                return self.stop_unless(false);
            };
            self.bytes.drain(..end + 4);
            self.head = Some(head);
        }
        let Head { path, encoding, length } =
            self.head.take_if(|head| self.bytes.len() >= head.length)?;
        let rest = self.bytes.split_off(length);
        let body = std::mem::replace(&mut self.bytes, rest);
        Some(Tapped { path, encoding, body })
    }

    fn stop_unless(&mut self, understood: bool) -> Option<Tapped> {
        if !understood {
            self.blind = true;
            self.bytes = Vec::new();
        }
        None
    }
}

impl Head {
    /// Nothing of a body without a length: Goma clients send none.
    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.split("\r\n");
        let mut words = lines.next()?.split(' ');
        let (_method, path, version) = (words.next()?, words.next()?, words.next()?);
        if !version.starts_with("HTTP/1.") {
            return None;
        }
        let (mut encoding, mut length) = (None, 0);
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            match name.trim().to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse().ok()?,
                "content-encoding" => encoding = Some(value.trim().to_owned()),
                "transfer-encoding" => return None,
                _ => {}
            }
        }
        Some(Self { path: path.to_owned(), encoding, length })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &[u8] = b"POST /x/e HTTP/1.1\r\nAuthorization: Bearer t\r\nContent-Length: 5\r\n\
        Content-Encoding: gzip\r\n\r\nhelloGET /ping HTTP/1.1\r\n\r\n";

    #[test]
    fn requests_are_found_in_any_pieces() {
        for step in 1..TWO.len() {
            let mut tap = Tap::default();
            let found: Vec<Tapped> = TWO.chunks(step).flat_map(|piece| tap.push(piece)).collect();
            let (gzip, none) = (Some("gzip".to_owned()), None);
            let first = Tapped { path: "/x/e".into(), encoding: gzip, body: b"hello".to_vec() };
            let second = Tapped { path: "/ping".into(), encoding: none, body: Vec::new() };
            assert_eq!(found, [first, second], "pieces of {step}");
        }
    }

    #[test]
    fn what_is_not_understood_is_not_looked_at() {
        let chunked = b"POST /e HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n".as_slice();
        for strange in [chunked, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &[b'x'; MAX_HEAD + 1]] {
            let mut tap = Tap::default();
            assert!(tap.push(strange).is_empty());
            assert!(tap.push(TWO).is_empty() && tap.bytes.is_empty());
        }
    }
}
