//! HTTP by hand, so that what goes over the wire is what the test says.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// No answer takes longer.
const ANSWER: Duration = Duration::from_secs(60);

/// A whole answer; names of headers in lower case, values as they came.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// One connection.
pub struct Connection(TcpStream);

impl Connection {
    /// `None` where nobody listens.
    pub async fn open(port: u16) -> Option<Self> {
        let connect = TcpStream::connect(("127.0.0.1", port));
        timeout(ANSWER, connect).await.expect("connected or refused").ok().map(Self)
    }

    /// Sends bytes as they are. A peer that has closed already may have said why before.
    pub async fn send(&mut self, bytes: &[u8]) -> bool {
        timeout(ANSWER, self.0.write_all(bytes)).await.expect("written").is_ok()
    }

    /// The same for however long it takes.
    pub async fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.0.write_all(bytes).await.is_ok()
    }

    /// Waits for whatever comes first, however long that takes.
    pub async fn next_byte(&mut self) -> Option<u8> {
        self.0.read_u8().await.ok()
    }

    /// Reads an answer; `None` when the connection ends before one.
    pub async fn reply(&mut self) -> Option<Reply> {
        timeout(ANSWER, self.read_reply()).await.expect("an answer in time")
    }

    async fn read_reply(&mut self) -> Option<Reply> {
        let mut bytes = Vec::new();
        let head = loop {
            if self.0.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                return None;
            }
            if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                break end;
            }
        };
        let text = String::from_utf8_lossy(&bytes[..head]).into_owned();
        let mut lines = text.split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers: Vec<_> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let mut reply = Reply { status, headers, body: bytes.split_off(head + 4) };
        let length = reply.header("content-length").map_or(0, |n| n.parse().expect("a number"));
        while reply.body.len() < length {
            if self.0.read_buf(&mut reply.body).await.unwrap_or(0) == 0 {
                return None;
            }
        }
        Some(reply)
    }

    /// A request in the stock client's shape, and its answer.
    pub async fn request(
        &mut self,
        line: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Option<Reply> {
        self.send(&render(line, headers, body.len())).await;
        self.send(body).await;
        self.reply().await
    }

    /// Sends no more, and still listens.
    pub async fn finish(&mut self) {
        // A peer that has hung up needs no telling.
        let _ = self.0.shutdown().await;
    }

    /// Whether the other side closes within this time, saying nothing.
    pub async fn closes_within(&mut self, time: Duration) -> bool {
        let read = timeout(time, self.0.read(&mut [0])).await;
        read.is_ok_and(|read| matches!(read, Ok(0) | Err(_)))
    }
}

/// The head of a request with a body of this length.
pub fn render(line: &str, headers: &[(&str, &str)], length: usize) -> Vec<u8> {
    let mut head = format!("{line} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {length}\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    head.into_bytes()
}

/// One request on a connection of its own.
pub async fn request(
    port: u16,
    line: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Option<Reply> {
    Connection::open(port).await?.request(line, headers, body).await
}

pub async fn get(port: u16, path: &str) -> Option<Reply> {
    request(port, &format!("GET {path}"), &[], b"").await
}

pub async fn post(port: u16, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
    let line = format!("POST /cxx-compiler-service{path}");
    request(port, &line, headers, body).await.expect("an answer")
}
