//! When a member counts as ready: it answers in its own protocol.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use super::process::Process;
use crate::error::{Error, Result};

/// Between two looks.
const INTERVAL: Duration = Duration::from_millis(50);
/// One look; whoever is paused or cut off does not answer at all.
const LOOK: Duration = Duration::from_secs(5);
/// Longest first line of an answer.
const LINE: usize = 256;

/// What to ask a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Probe {
    /// It accepts connections, which our gRPC servers do once they can serve.
    Accepts,
    /// It answers PING.
    Redis,
    /// It answers 200 to `/readyz`.
    Http,
}

/// Waits until the member answers as it should.
///
/// # Errors
/// When it ended, or did not within `patience`; says where its log is.
pub(super) async fn wait(
    name: &str,
    process: &mut Process,
    address: SocketAddr,
    probe: Probe,
    patience: Duration,
) -> Result<()> {
    let log = process.log.display().to_string();
    let deadline = Instant::now() + patience;
    while !is_ready(address, probe).await {
        if !process.is_running() {
            return Err(Error::member(name, format!("it ended; its log is {log}")));
        }
        if Instant::now() >= deadline {
            let seconds = patience.as_secs();
            let why = format!("not ready after {seconds} s; its log is {log}");
            return Err(Error::member(name, why));
        }
        sleep(INTERVAL).await;
    }
    Ok(())
}

/// Whether it answers as it should now.
pub(super) async fn is_ready(address: SocketAddr, probe: Probe) -> bool {
    let (question, answer) = match probe {
        Probe::Accepts => ("", ""),
        Probe::Redis => ("PING\r\n", "+PONG"),
        Probe::Http => {
            ("GET /readyz HTTP/1.1\r\nhost: goma\r\nconnection: close\r\n\r\n", "HTTP/1.1 200")
        }
    };
    let line = timeout(LOOK, ask(address, question)).await;
    matches!(line, Ok(Ok(line)) if line.starts_with(answer))
}

/// The first line of the answer to a line; nothing is asked where the question is empty.
pub(super) async fn ask(address: SocketAddr, question: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    if question.is_empty() {
        return Ok(String::new());
    }
    stream.write_all(question.as_bytes()).await?;
    let mut line = Vec::new();
    while !line.contains(&b'\n') && line.len() < LINE {
        if stream.read_buf(&mut line).await? == 0 {
            break;
        }
    }
    let end = line.iter().position(|byte| *byte == b'\n').unwrap_or(line.len());
    Ok(String::from_utf8_lossy(&line[..end]).trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// A server that gives one answer to whatever it is asked.
    async fn answering(answer: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut asked = [0; 1024];
                if stream.read(&mut asked).await.is_ok_and(|read| read > 0) {
                    stream.write_all(answer.as_bytes()).await.ok();
                }
            }
        });
        address
    }

    #[tokio::test]
    async fn a_server_must_answer_in_its_own_protocol() {
        let http = answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
        let unready = answering("HTTP/1.1 503 Service Unavailable\r\n\r\n").await;
        let redis = answering("+PONG\r\n").await;
        assert!(is_ready(http, Probe::Http).await);
        assert!(!is_ready(unready, Probe::Http).await);
        assert!(is_ready(redis, Probe::Redis).await);
        assert!(!is_ready(http, Probe::Redis).await);
        assert!(is_ready(unready, Probe::Accepts).await);
    }
}
