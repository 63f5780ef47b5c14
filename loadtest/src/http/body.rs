//! Takes the bytes after a response's head and says when the body is whole.

use super::head::Framing;

/// Collects one body. Feed it with [`BodyReader::push`] until it is done, or tell it of the end of
/// the stream.
#[derive(Debug)]
pub(super) struct BodyReader {
    framing: Framing,
    /// What has come and is not body yet: sizes and line ends of chunks.
    raw: Vec<u8>,
    body: Vec<u8>,
    chunk: Chunk,
    cap: usize,
}

/// Where in a chunked body the reader is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chunk {
    Size,
    Data(usize),
    DataEnd,
    Trailer,
    Done,
}

impl BodyReader {
    /// A reader of a body framed like this, of at most `cap` bytes.
    pub(super) fn new(framing: Framing, cap: usize) -> Self {
        Self { framing, raw: Vec::new(), body: Vec::new(), chunk: Chunk::Size, cap }
    }

    /// Takes bytes; true when the body is whole.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<bool, String> {
        let done = match self.framing {
            Framing::Length(length) => {
                self.body.extend_from_slice(bytes);
                if self.body.len() > length {
                    return Err("more bytes than content-length".into());
                }
                self.body.len() == length
            }
            Framing::UntilEof => {
                self.body.extend_from_slice(bytes);
                false
            }
            Framing::Chunked => {
                self.raw.extend_from_slice(bytes);
                self.take_chunks()?
            }
        };
        if self.body.len() > self.cap {
            return Err(format!("body over {} bytes", self.cap));
        }
        Ok(done)
    }

    /// The stream has ended; only a body without a length may end so.
    pub(super) fn end(self) -> Result<Vec<u8>, String> {
        match self.framing {
            Framing::UntilEof => Ok(self.body),
            Framing::Length(length) => Err(format!("cut at {} of {length} bytes", self.body.len())),
            Framing::Chunked => Err(format!("cut in chunk after {} bytes", self.body.len())),
        }
    }

    /// The whole body.
    pub(super) fn into_body(self) -> Vec<u8> {
        self.body
    }

    fn take_chunks(&mut self) -> Result<bool, String> {
        let mut at = 0;
        loop {
            let rest = &self.raw[at..];
            match self.chunk {
                Chunk::Size => {
                    let Some(end) = find_line(rest) else { break };
                    let line = String::from_utf8_lossy(&rest[..end]);
                    let digits = line.split(';').next().unwrap_or_default().trim();
                    let size = usize::from_str_radix(digits, 16)
                        .map_err(|_| format!("chunk size {digits:?}"))?;
                    at += end + 2;
                    self.chunk = if size == 0 { Chunk::Trailer } else { Chunk::Data(size) };
                }
                Chunk::Data(left) => {
                    if rest.is_empty() {
                        break;
                    }
                    let take = left.min(rest.len());
                    self.body.extend_from_slice(&rest[..take]);
                    at += take;
                    self.chunk =
                        if take == left { Chunk::DataEnd } else { Chunk::Data(left - take) };
                }
                Chunk::DataEnd => {
                    if rest.len() < 2 {
                        break;
                    }
                    if &rest[..2] != b"\r\n" {
                        return Err("chunk longer than its size".into());
                    }
                    at += 2;
                    self.chunk = Chunk::Size;
                }
                Chunk::Trailer => {
                    let Some(end) = find_line(rest) else { break };
                    at += end + 2;
                    if end == 0 {
                        self.chunk = Chunk::Done;
                    }
                }
                Chunk::Done => break,
            }
        }
        self.raw.drain(..at);
        Ok(self.chunk == Chunk::Done)
    }
}

fn find_line(bytes: &[u8]) -> Option<usize> {
    bytes.windows(2).position(|w| w == b"\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_arrive_in_any_pieces() {
        let wire = b"5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nA: b\r\n\r\n";
        for step in 1..wire.len() {
            let mut reader = BodyReader::new(Framing::Chunked, 100);
            let mut done = false;
            for piece in wire.chunks(step) {
                assert!(!done);
                done = reader.push(piece).expect("valid");
            }
            assert!(done);
            assert_eq!(reader.into_body(), b"hello world");
        }
    }

    #[test]
    fn a_length_is_neither_more_nor_less() {
        let mut reader = BodyReader::new(Framing::Length(3), 100);
        assert_eq!(reader.push(b"ab"), Ok(false));
        assert_eq!(reader.push(b"c"), Ok(true));
        assert!(reader.push(b"d").is_err());
        let mut cut = BodyReader::new(Framing::Length(3), 100);
        assert_eq!(cut.push(b"ab"), Ok(false));
        assert_eq!(cut.end(), Err("cut at 2 of 3 bytes".into()));
    }

    #[test]
    fn the_end_of_the_stream_ends_a_body_without_a_length() {
        let mut reader = BodyReader::new(Framing::UntilEof, 4);
        assert_eq!(reader.push(b"abcd"), Ok(false));
        assert!(reader.push(b"e").is_err(), "over the cap");
        let mut reader = BodyReader::new(Framing::UntilEof, 4);
        assert_eq!(reader.push(b"abc"), Ok(false));
        assert_eq!(reader.end(), Ok(b"abc".to_vec()));
    }
}
