//! One TCP connection: a request out, a response in.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::body::BodyReader;
use super::failure::Failure;
use super::head::ResponseHead;
use super::manners::Manners;
use super::server::Server;
use super::traffic::Traffic;

/// Bytes of an error's body that are kept as its words.
const WORDS: usize = 300;

/// An open connection with nothing in flight.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
}

/// A response read whole.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) head: ResponseHead,
    pub(super) body: Vec<u8>,
    /// Whether the connection may carry another request.
    pub(super) reusable: bool,
}

impl Connection {
    /// Connects.
    pub(super) async fn open(server: &Server, manners: &Manners) -> Result<Self, Failure> {
        let failed = |reason: String| Failure::Connect { server: server.authority(), reason };
        let address = (server.host.as_str(), server.port);
        let stream = timeout(manners.connect, TcpStream::connect(address))
            .await
            .map_err(|_| failed("timed out".into()))?
            .map_err(|e| failed(e.to_string()))?;
        stream.set_nodelay(manners.merge_writes).map_err(|e| failed(e.to_string()))?;
        Ok(Self { stream })
    }

    /// Whether the other side has neither closed nor said anything unasked.
    pub(super) fn is_quiet(&self) -> bool {
        let would_block = |e: std::io::Error| e.kind() == std::io::ErrorKind::WouldBlock;
        self.stream.try_read(&mut [0]).is_err_and(would_block)
    }

    /// Sends a request and reads its response.
    pub(super) async fn exchange(
        &mut self,
        head: Vec<u8>,
        body: &[u8],
        manners: &Manners,
        traffic: &Traffic,
    ) -> Result<Response, Failure> {
        let bytes = head.len() + body.len();
        match timeout(manners.first_byte, self.send(head, body, manners)).await {
            Ok(sent) => sent.map_err(|e| Failure::Write(e.to_string()))?,
            Err(_) => return Err(silence(manners.first_byte, false)),
        }
        traffic.add_sent(bytes);
        self.receive(manners, traffic).await
    }

    async fn send(
        &mut self,
        mut head: Vec<u8>,
        body: &[u8],
        manners: &Manners,
    ) -> std::io::Result<()> {
        if manners.merge_writes {
            head.extend_from_slice(body);
            return self.stream.write_all(&head).await;
        }
        // Two writes with Nagle's algorithm on: the second waits for the first's ACK.
        self.stream.write_all(&head).await?;
        self.stream.write_all(body).await
    }

    async fn receive(&mut self, manners: &Manners, traffic: &Traffic) -> Result<Response, Failure> {
        let mut bytes = Vec::new();
        let (head, length) = loop {
            let patience = if bytes.is_empty() { manners.first_byte } else { manners.silence };
            let started = !bytes.is_empty();
            match self.read(&mut bytes, patience, started, traffic).await? {
                0 if started => return Err(Failure::Broken("cut within the header".into())),
                0 => return Err(Failure::NoHeader),
                _ => {}
            }
            if let Some(head) = ResponseHead::parse(&bytes).map_err(Failure::Broken)? {
                break head;
            }
        };
        if head.status != 200 && head.status != 204 {
            // The stock client closes at once; what came along with the header is all we look at.
            let words = &bytes[length..bytes.len().min(length + WORDS)];
            let words = String::from_utf8_lossy(words).trim().to_owned();
            return Err(Failure::Status { code: head.status, words });
        }
        let framing = head.framing().map_err(Failure::BadBody)?;
        let mut body = BodyReader::new(framing, manners.max_body);
        let mut done = body.push(&bytes[length..]).map_err(Failure::BadBody)?;
        while !done {
            bytes.clear();
            if self.read(&mut bytes, manners.silence, true, traffic).await? == 0 {
                let body = body.end().map_err(Failure::BadBody)?;
                return Ok(Response { head, body, reusable: false });
            }
            done = body.push(&bytes).map_err(Failure::BadBody)?;
        }
        let reusable = !head.closes();
        Ok(Response { head, body: body.into_body(), reusable })
    }

    async fn read(
        &mut self,
        bytes: &mut Vec<u8>,
        patience: Duration,
        started: bool,
        traffic: &Traffic,
    ) -> Result<usize, Failure> {
        bytes.reserve(64 * 1024);
        let read = timeout(patience, self.stream.read_buf(bytes))
            .await
            .map_err(|_| silence(patience, started))?
            .map_err(|e| Failure::Broken(e.to_string()))?;
        traffic.add_received(read);
        Ok(read)
    }
}

fn silence(waited: Duration, after_first_byte: bool) -> Failure {
    Failure::Silence { seconds: waited.as_secs(), after_first_byte }
}
