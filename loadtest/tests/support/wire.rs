//! The fake server's HTTP: whole requests in, answers out in any framing.

use std::io::{Read, Write};
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{Framing, Seen, State, Turn};

pub(super) async fn serve(listener: TcpListener, state: Arc<State>) {
    let mut connection = 0;
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        connection += 1;
        tokio::spawn(converse(stream, connection, Arc::clone(&state)));
    }
}

async fn converse(mut stream: TcpStream, connection: usize, state: Arc<State>) {
    while let Some(seen) = read_request(&mut stream, connection).await {
        let path = seen.path.clone();
        let body = seen.body.clone();
        state.seen.lock().unwrap().push(seen);
        let turn = match path.ends_with("/e") {
            true => state.script.lock().unwrap().pop_front().unwrap_or(Turn::Serve),
            false => Turn::Serve,
        };
        let answer = match turn {
            Turn::Hang => return,
            Turn::Status(code) => {
                let text = format!("HTTP/1.1 {code} X\r\nContent-Length: 4\r\n\r\nbusy");
                stream.write_all(text.as_bytes()).await.ok();
                return;
            }
            Turn::Cut => {
                let text =
                    "HTTP/1.1 200 OK\r\nAccept-Encoding: gzip\r\nContent-Length: 9\r\n\r\nabc";
                stream.write_all(text.as_bytes()).await.ok();
                return;
            }
            Turn::Garbage => vec![0xff; 10],
            Turn::Say(answer) => prost::Message::encode_to_vec(&*answer),
            Turn::Serve if path.ends_with("/ping") => {
                let status = state.habits.lock().unwrap().ping;
                if status != 200 {
                    let text = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n");
                    stream.write_all(text.as_bytes()).await.ok();
                    return;
                }
                b"pong".to_vec()
            }
            Turn::Serve => {
                let state = Arc::clone(&state);
                tokio::task::spawn_blocking(move || state.brain.answer(&state, &path, &body))
                    .await
                    .unwrap()
            }
        };
        let (bytes, close) = render(&state, answer);
        if stream.write_all(&bytes).await.is_err() || close {
            return;
        }
    }
}

async fn read_request(stream: &mut TcpStream, connection: usize) -> Option<Seen> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let with_head = bytes.len() - end;
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let header = |name: &str| {
        let line = head.lines().find_map(|line| line.strip_prefix(name));
        line.map(|value| value.trim().to_owned())
    };
    let length: usize = header("Content-Length:")?.parse().unwrap();
    while bytes.len() < end + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    let raw = bytes.split_off(end);
    let mut body = Vec::new();
    match header("Content-Encoding:").as_deref() {
        Some("gzip") => flate2::read::GzDecoder::new(&raw[..]).read_to_end(&mut body).unwrap(),
        Some("deflate") => {
            let end = raw.len() - 4;
            flate2::read::DeflateDecoder::new(&raw[..end]).read_to_end(&mut body).unwrap()
        }
        _ => Read::read_to_end(&mut &raw[..], &mut body).unwrap(),
    };
    let path = head.split(' ').nth(1).unwrap().to_owned();
    Some(Seen { path, connection, head, with_head, raw, body })
}

/// The bytes of a 200, and whether to close after them.
fn render(state: &State, body: Vec<u8>) -> (Vec<u8>, bool) {
    let habits = state.habits.lock().unwrap();
    let mut head = "HTTP/1.1 200 OK\r\n".to_owned();
    if let Some(codings) = habits.accept_encoding {
        head += &format!("aCCept-encoding: {codings}\r\n");
    }
    if let Some(timing) = habits.server_timing {
        head += &format!("Server-Timing: {timing}\r\n");
    }
    let level = flate2::Compression::fast();
    let body = match habits.content_encoding {
        Some("gzip") => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
            encoder.write_all(&body).unwrap();
            encoder.finish().unwrap()
        }
        Some("deflate") => {
            let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), level);
            encoder.write_all(&body).unwrap();
            encoder.finish().unwrap()
        }
        _ => body,
    };
    if let Some(coding) = habits.content_encoding {
        head += &format!("Content-Encoding: {coding}\r\n");
    }
    let mut bytes = Vec::new();
    match habits.framing {
        Framing::Length => {
            bytes.extend(format!("{head}Content-Length: {}\r\n\r\n", body.len()).bytes());
            bytes.extend(&body);
        }
        Framing::Eof => {
            bytes.extend(format!("{head}\r\n").bytes());
            bytes.extend(&body);
        }
        Framing::Chunked => {
            bytes.extend(format!("{head}Transfer-Encoding: chunked\r\n\r\n").bytes());
            for piece in body.chunks(1000) {
                bytes.extend(format!("{:x}\r\n", piece.len()).bytes());
                bytes.extend(piece);
                bytes.extend(b"\r\n");
            }
            bytes.extend(b"0\r\n\r\n");
        }
    }
    (bytes, habits.framing == Framing::Eof || habits.close_silently)
}
