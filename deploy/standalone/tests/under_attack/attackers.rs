//! Those who want the server's memory, each in its own way, until they are told to end.

use std::io::Write;
use std::sync::LazyLock;
use std::time::Duration;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder};
use goma_proto::api::{LookupFileReq, RequesterInfo, StoreFileReq};
use prost::Message;
use tokio::task::JoinSet;

use crate::support::goma::{CHUNK, chunks, file, key};
use crate::support::http::{Connection, post, render};
use crate::support::requests::{compiler_script, with};

/// An attack under way.
pub(crate) struct Attack(JoinSet<()>);

impl Attack {
    pub(crate) async fn end(mut self) {
        self.0.shutdown().await;
    }
}

/// So many connections that each send a body of 20 MB: a first piece at once, then little by little.
pub(crate) fn trickle(port: u16, connections: usize) -> Attack {
    static PIECE: [u8; 64 << 10] = [7; 64 << 10];
    const LENGTH: usize = 20_000_000;
    let mut attack = JoinSet::new();
    for _ in 0..connections {
        attack.spawn(async move {
            let Some(mut connection) = Connection::open(port).await else { return };
            connection.try_send(&render("POST /cxx-compiler-service/s", &[], LENGTH)).await;
            let mut sent = 0;
            // A quarter of it as fast as it is taken.
            while sent < LENGTH
                && connection.try_send(&PIECE[..PIECE.len().min(LENGTH - sent)]).await
            {
                sent += PIECE.len();
                if sent > LENGTH / 4 {
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
            }
        });
    }
    Attack(attack)
}

/// So many connections, each of which sends one bomb after the other.
pub(crate) fn bombs(port: u16, connections: usize) -> Attack {
    /// The path, the encoding and the body.
    type Bomb = (&'static str, &'static str, Vec<u8>);
    static BOMBS: LazyLock<Vec<Bomb>> = LazyLock::new(|| {
        const LARGEST: usize = 255 << 20;
        let (zeros, inputs) = (&[0, 0][..], &[0x53, 0x54][..]);
        vec![
            ("/s", "gzip", gzip(zeros, LARGEST)),
            ("/e", "deflate", deflate(zeros, LARGEST)),
            ("/e", "gzip", gzip(inputs, LARGEST)),
            ("/e", "deflate", deflate(inputs, LARGEST)),
            ("/e", "gzip", gzip(inputs, 1 << 20)),
            ("/e", "deflate", deflate(inputs, 1 << 20)),
            ("/s", "gzip", gzip(zeros, 2 * LARGEST)),
            ("/l", "deflate", deflate(zeros, 2 * LARGEST)),
        ]
    });
    LazyLock::force(&BOMBS);
    let mut attack = JoinSet::new();
    for at in 0..connections {
        attack.spawn(async move {
            for (path, encoding, body) in BOMBS.iter().cycle().skip(at) {
                let Some(mut connection) = Connection::open(port).await else { return };
                let line = format!("POST /cxx-compiler-service{path}");
                let head = render(&line, &[("Content-Encoding", encoding)], body.len());
                connection.try_send(&head).await;
                connection.try_send(body).await;
                let _ = tokio::time::timeout(Duration::from_secs(30), connection.next_byte()).await;
            }
        });
    }
    Attack(attack)
}

/// So many connections that each ask for 20 MB of files, and read nothing of them.
pub(crate) async fn deaf(port: u16, connections: usize) -> Attack {
    let chunks = chunks(&vec![7; 10 * CHUNK]);
    let stored = StoreFileReq { blob: chunks.clone(), ..Default::default() };
    let reply = post(port, "/s", &[], &stored.encode_to_vec()).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let asked = LookupFileReq { hash_key: chunks.iter().map(key).collect(), ..Default::default() };
    let body = asked.encode_to_vec();
    let head = render("POST /cxx-compiler-service/l", &[], body.len());
    let request = [head, body].concat();
    let mut attack = JoinSet::new();
    for _ in 0..connections {
        let request = request.clone();
        attack.spawn(async move {
            let Some(mut connection) = Connection::open(port).await else { return };
            connection.try_send(&request).await;
            std::future::pending::<()>().await;
            drop(connection);
        });
    }
    Attack(attack)
}

/// So many compiles of 100 KB each for a backend that never answers.
pub(crate) fn endless_compiles(port: u16, connections: usize) -> Attack {
    let mut attack = JoinSet::new();
    for at in 0..connections {
        attack.spawn(async move {
            let source = format!("int endless{at};\n");
            let mut request = compiler_script("/home/e", source.as_bytes(), "#!/bin/sh\nfalse\n");
            request = with(request, "e.h", &file(format!("{at:0100}").repeat(1000).as_bytes()));
            let dimensions = vec!["pool:silent".to_owned()];
            request.requester_info = Some(RequesterInfo { dimensions, ..Default::default() });
            let body = request.encode_to_vec();
            let Some(mut connection) = Connection::open(port).await else { return };
            connection.try_send(&render("POST /cxx-compiler-service/e", &[], body.len())).await;
            connection.try_send(&body).await;
            connection.next_byte().await;
        });
    }
    Attack(attack)
}

fn gzip(piece: &[u8], bytes: usize) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    blocks(piece, bytes, &mut encoder);
    encoder.finish().expect("compressed")
}

fn deflate(piece: &[u8], bytes: usize) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    blocks(piece, bytes, &mut encoder);
    encoder.finish().expect("compressed")
}

fn blocks(piece: &[u8], bytes: usize, into: &mut impl Write) {
    let block = piece.repeat((1 << 20) / piece.len());
    (0..bytes / block.len()).for_each(|_| into.write_all(&block).expect("compressed"));
}
