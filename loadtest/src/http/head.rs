//! The heads of requests and responses: written in the stock client's order, read leniently in the
//! names of headers and strictly in their values, as the stock client reads them.

use super::server::Server;

/// Largest head of a response, in bytes.
const MAX_HEAD: usize = 64 * 1024;

/// What varies between the heads of requests.
#[derive(Clone, Debug, Default)]
pub(super) struct RequestHead<'a> {
    pub(super) path: &'a str,
    pub(super) user_agent: &'a str,
    pub(super) length: usize,
    pub(super) token: Option<&'a str>,
    pub(super) accept_encoding: Option<&'a str>,
    pub(super) content_encoding: Option<&'a str>,
}

impl RequestHead<'_> {
    /// The bytes up to and with the empty line.
    pub(super) fn render(&self, server: &Server) -> Vec<u8> {
        let mut head = format!(
            "POST {}{} HTTP/1.1\r\nHost: {}\r\nUser-Agent: {}\r\n\
             Content-Type: binary/x-protocol-buffer\r\nContent-Length: {}\r\n",
            server.prefix, self.path, server.host, self.user_agent, self.length
        );
        let optional = [
            ("Authorization: Bearer ", self.token),
            ("Accept-Encoding: ", self.accept_encoding),
            ("Content-Encoding: ", self.content_encoding),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                head.push_str(name);
                head.push_str(value);
                head.push_str("\r\n");
            }
        }
        head.push_str("\r\n");
        head.into_bytes()
    }
}

/// How long the body of a response is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    Length(usize),
    Chunked,
    UntilEof,
}

/// Status and headers of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ResponseHead {
    pub(super) status: u16,
    headers: Vec<(String, String)>,
}

impl ResponseHead {
    /// Reads a head from the start of `bytes`; `None` while it is not whole. With it comes its
    /// length.
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, String> {
        let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") else {
            return if bytes.len() > MAX_HEAD { Err("endless head".into()) } else { Ok(None) };
        };
        let text = String::from_utf8_lossy(&bytes[..end]);
        let mut lines = text.split("\r\n");
        let status_line = lines.next().unwrap_or_default();
        let status = status_line
            .strip_prefix("HTTP/1.")
            .and_then(|rest| rest.split(' ').nth(1))
            .and_then(|code| code.parse().ok())
            .ok_or_else(|| format!("not a status line: {status_line:?}"))?;
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        Ok(Some((Self { status, headers }, end + 4)))
    }

    /// The value of the header of this lower-case name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// How the body is delimited.
    pub(super) fn framing(&self) -> Result<Framing, String> {
        if self.get("transfer-encoding") == Some("chunked") {
            return Ok(Framing::Chunked);
        }
        match self.get("content-length") {
            Some(length) => length
                .parse()
                .map(Framing::Length)
                .map_err(|_| format!("content-length {length:?}")),
            None if self.status == 204 => Ok(Framing::Length(0)),
            None => Ok(Framing::UntilEof),
        }
    }

    /// Whether the server will close; it must say so in lower case to be understood.
    pub(super) fn closes(&self) -> bool {
        self.get("connection") == Some("close")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_reads_as_the_stock_client_writes_it() {
        let server = Server::parse("http://127.0.0.1:5050").expect("valid");
        let head = RequestHead {
            path: "/e",
            user_agent: "compiler-proxy ",
            length: 3043,
            token: Some("tok1"),
            accept_encoding: Some("gzip"),
            content_encoding: Some("gzip"),
        };
        assert_eq!(
            String::from_utf8(head.render(&server)).expect("ascii"),
            "POST /cxx-compiler-service/e HTTP/1.1\r\nHost: 127.0.0.1\r\n\
             User-Agent: compiler-proxy \r\nContent-Type: binary/x-protocol-buffer\r\n\
             Content-Length: 3043\r\nAuthorization: Bearer tok1\r\nAccept-Encoding: gzip\r\n\
             Content-Encoding: gzip\r\n\r\n"
        );
    }

    fn head(text: &str) -> ResponseHead {
        ResponseHead::parse(text.as_bytes()).expect("valid").expect("whole").0
    }

    #[test]
    fn names_of_headers_have_no_case_but_values_do() {
        let chunked = head("HTTP/1.1 200 OK\r\nTRANSFER-Encoding: chunked\r\n\r\n");
        assert_eq!(chunked.framing(), Ok(Framing::Chunked));
        let shouted = head("HTTP/1.1 200 OK\r\nTransfer-Encoding: CHUNKED\r\n\r\n");
        assert_eq!(shouted.framing(), Ok(Framing::UntilEof));
        assert!(head("HTTP/1.1 200 OK\r\nCONNECTION: close\r\n\r\n").closes());
        assert!(!head("HTTP/1.1 200 OK\r\nConnection: Close\r\n\r\n").closes());
    }

    #[test]
    fn a_head_may_come_in_pieces() {
        assert_eq!(ResponseHead::parse(b"HTTP/1.1 200 OK\r\nA: b\r\n"), Ok(None));
        let (head, length) = ResponseHead::parse(b"HTTP/1.1 204 No Content\r\n\r\nrest")
            .expect("valid")
            .expect("whole");
        assert_eq!((head.status, length), (204, 27));
        assert_eq!(head.framing(), Ok(Framing::Length(0)));
        assert!(ResponseHead::parse(b"SSH-2.0\r\n\r\n").is_err());
    }
}
