//! HTTP/2 frames by hand, in numbers that no client sends: the server hangs up on whoever does it.

use std::time::Duration;

use goma_common::testing::frames::{
    CANCEL, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, PREFACE,
    REFUSED_STREAM, RST_STREAM, SETTINGS, frame,
};
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::bench::Bench;
use crate::support::goma::file;
use crate::support::requests::{gcc, with};

/// No end of a connection is waited for longer.
const SOON: Duration = Duration::from_secs(20);

/// `POST` to this path: static entries, and names and values without Huffman's code.
fn head(path: &str) -> Vec<u8> {
    let text = |name: u8, value: &str| {
        [&[name, u8::try_from(value.len()).expect("a short one")][..], value.as_bytes()].concat()
    };
    [vec![0x83, 0x86], text(0x04, path), text(0x01, "goma")].concat()
}

/// The `at`th stream of a client.
fn stream(at: u32) -> u32 {
    2 * at + 1
}

/// What the server sent until it hung up, or nothing more came for a while.
struct Seen {
    goaway: Option<u32>,
    refused: usize,
    answered: usize,
    open: bool,
}

/// Sends the preface and all of this, as far as it is taken, and looks at what comes back.
async fn flood(port: u16, frames: impl Iterator<Item = Vec<u8>> + Send + 'static) -> Seen {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("it listens");
    let (mut reader, mut writer) = stream.into_split();
    let sending = tokio::spawn(async move {
        let mut sent = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
        for frame in frames {
            sent.extend(frame);
            // Many in one piece: that is how they get ahead of whoever serves them.
            if sent.len() > 32 << 10 && writer.write_all(&std::mem::take(&mut sent)).await.is_err()
            {
                return;
            }
        }
        let _ = writer.write_all(&sent).await;
        // Not closed from here.
        tokio::time::sleep(SOON).await;
    });
    let mut seen = Seen { goaway: None, refused: 0, answered: 0, open: false };
    let mut bytes = Vec::new();
    loop {
        match timeout(SOON / 4, reader.read_buf(&mut bytes)).await {
            Err(_) => seen.open = true,
            Ok(Ok(read)) if read > 0 => {
                while let Some(length) = frame_length(&bytes)
                    && bytes.len() >= 9 + length
                {
                    let rest = bytes.split_off(9 + length);
                    let frame = std::mem::replace(&mut bytes, rest);
                    look(&frame, &mut seen);
                }
                continue;
            }
            Ok(_) => {}
        }
        sending.abort();
        return seen;
    }
}

fn frame_length(bytes: &[u8]) -> Option<usize> {
    let length = bytes.get(..3)?;
    (bytes.len() >= 9).then(|| length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)))
}

fn look(frame: &[u8], seen: &mut Seen) {
    match frame[3] {
        GOAWAY => seen.goaway = frame[13..17].try_into().ok().map(u32::from_be_bytes),
        RST_STREAM if frame[9..] == REFUSED_STREAM => seen.refused += 1,
        HEADERS => seen.answered += 1,
        _ => {}
    }
}

/// An honest request while all of these are sent, and nothing of theirs is stored.
async fn during<T>(bench: &Bench, floods: impl Future<Output = T>) -> T {
    let before = bench.stored();
    let (seen, ()) = tokio::join!(floods, async {
        let kept = bench.goma.lookup(vec![]);
        timeout(SOON, kept).await.expect("an honest request is answered");
    });
    assert_eq!(bench.stored(), before);
    bench.is_unharmed().await;
    seen
}

#[tokio::test]
async fn whoever_begins_requests_and_takes_them_back_is_hung_up_on() {
    let bench = Bench::start().await;
    let port = bench.program.port;
    // A whole compile each, so that one that is taken back costs something if it is served.
    let request = with(gcc("/home/r", "r.c"), "r.c", &file(b"int reset;\n")).encode_to_vec();
    for body in [false, true] {
        let request = request.clone();
        let frames = (0..50_000).map(move |at| {
            let mut frames =
                frame(HEADERS, END_HEADERS, stream(at), &head("/cxx-compiler-service/l"));
            if body {
                frames.extend(frame(DATA, 0, stream(at), &request));
            }
            frames.extend(frame(RST_STREAM, 0, stream(at), &CANCEL));
            frames
        });
        let seen = during(&bench, flood(port, frames)).await;
        assert!(!seen.open, "it is still served");
        assert_eq!(seen.goaway, Some(11), "ENHANCE_YOUR_CALM");
    }
}

#[tokio::test]
async fn more_streams_than_are_allowed_are_refused_one_by_one() {
    let bench = Bench::start().await;
    let frames = (0..1000)
        .map(|at| frame(HEADERS, END_HEADERS, stream(at), &head("/cxx-compiler-service/l")));
    let seen = during(&bench, flood(bench.program.port, frames)).await;
    assert!(seen.refused >= 800 || seen.goaway.is_some(), "{} of 1000 refused", seen.refused);
    assert_eq!(seen.answered, 0, "their bodies never came");
}

#[tokio::test]
async fn heads_that_never_end_are_cut() {
    let bench = Bench::start().await;
    let start = std::iter::once(frame(HEADERS, 0, 1, &head("/cxx-compiler-service/l")));
    // Names of 100 bytes without an end.
    let more = [&[0, 100][..], &[b'x'; 100], &[100], &[b'y'; 100]].concat().repeat(50);
    let frames = start.chain((0..10_000).map(move |_| frame(CONTINUATION, 0, 1, &more)));
    let seen = during(&bench, flood(bench.program.port, frames)).await;
    assert!(!seen.open && seen.goaway.is_some(), "{:?}", seen.goaway);
}

#[tokio::test]
async fn a_small_head_that_unpacks_to_a_large_one_is_refused() {
    let bench = Bench::start().await;
    // One header of 3,000 bytes goes into the table, and then a byte stands for it.
    let value = [&[0x40, 1, b'x'][..], &[0x7f, 0xb9, 0x16], &[b'y'; 3000]].concat();
    let block = [head("/cxx-compiler-service/l"), value, vec![0xbe; 10_000]].concat();
    let frames =
        (0..100).map(move |at| frame(HEADERS, END_HEADERS | END_STREAM, stream(at), &block));
    let seen = during(&bench, flood(bench.program.port, frames)).await;
    assert!(seen.goaway.is_some() || seen.answered > 0, "431, or hung up on");
}

#[tokio::test]
async fn a_million_pings_and_settings_hold_nobody_up() {
    let bench = Bench::start().await;
    let port = bench.program.port;
    let pings = flood(port, (0..500_000).map(|_| frame(PING, 0, 0, &[0; 8])));
    let settings = flood(port, (0..500_000).map(|_| frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 1])));
    let empty = flood(port, {
        let start =
            std::iter::once(frame(HEADERS, END_HEADERS, 1, &head("/cxx-compiler-service/l")));
        start.chain((0..500_000).map(|_| frame(DATA, 0, 1, &[])))
    });
    during(&bench, async { tokio::join!(pings, settings, empty) }).await;
}
