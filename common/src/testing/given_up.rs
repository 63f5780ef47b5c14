//! A client that gives up many calls before the server has looked at any, frame by frame.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::frames::{
    ACK, CANCEL, END_HEADERS, GOAWAY, HEADERS, PING, PREFACE, RST_STREAM, SETTINGS, frame,
};

/// Whether a server still speaks on the connection after so many calls were begun and given up in one breath.
///
/// # Errors
/// When the connection breaks, or ends.
pub async fn bears_given_up_calls(
    mut connection: impl AsyncRead + AsyncWrite + Unpin,
    calls: u32,
) -> io::Result<bool> {
    let mut sent = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
    for stream in (0..calls).map(|call| 2 * call + 1) {
        // `POST`, `http` and `/` of HPACK's table, and the authority `x`.
        sent.extend(frame(HEADERS, END_HEADERS, stream, &[0x83, 0x86, 0x84, 0x41, 1, b'x']));
        sent.extend(frame(RST_STREAM, 0, stream, &CANCEL));
    }
    sent.extend(frame(PING, 0, 0, b"anybody?"));
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
