//! A client that gives up many calls before the server has looked at any, frame by frame of HTTP/2 (RFC 9113).

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
const CANCEL: u32 = 8;

/// Whether a server still speaks on the connection after so many calls were begun and given up in one breath.
///
/// # Errors
/// When the connection breaks, or ends.
pub async fn bears_given_up_calls(
    mut connection: impl AsyncRead + AsyncWrite + Unpin,
    calls: u32,
) -> io::Result<bool> {
    let mut sent = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    frame(&mut sent, SETTINGS, 0, 0, &[]);
    for stream in (0..calls).map(|call| 2 * call + 1) {
        // `POST`, `http` and `/` of HPACK's table, and the authority `x`.
        frame(&mut sent, HEADERS, END_HEADERS, stream, &[0x83, 0x86, 0x84, 0x41, 1, b'x']);
        frame(&mut sent, RST_STREAM, 0, stream, &CANCEL.to_be_bytes());
    }
    frame(&mut sent, PING, 0, 0, b"anybody?");
    connection.write_all(&sent).await?;
    loop {
        let mut head = [0; 9];
        connection.read_exact(&mut head).await?;
        let mut payload = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
        connection.read_exact(&mut payload).await?;
        match (head[3], head[4]) {
            (PING, ACK) => return Ok(true),
            (GOAWAY, _) => return Ok(false),
            _ => {}
        }
    }
}

/// Of less than 64 KiB.
fn frame(to: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    to.extend_from_slice(&length.to_be_bytes()[1..]);
    to.extend_from_slice(&[kind, flags]);
    to.extend_from_slice(&stream.to_be_bytes());
    to.extend_from_slice(payload);
}
