//! Bodies that are small on the wire and large when they are read, in both encodings.

use std::io::Write;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder};

use crate::support::bench::Bench;
use crate::support::http::post;

pub(crate) type Header = (&'static str, &'static str);
pub(crate) const GZIP: Header = ("Content-Encoding", "gzip");
pub(crate) const DEFLATE: Header = ("Content-Encoding", "deflate");

/// `piece` so many times.
pub(crate) fn repeated(piece: &[u8], bytes: usize, encoding: Header) -> Vec<u8> {
    let block = piece.repeat((1 << 20) / piece.len());
    let times = bytes / block.len();
    if encoding == GZIP {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        (0..times).for_each(|_| encoder.write_all(&block).expect("compressed"));
        encoder.finish().expect("compressed")
    } else {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
        (0..times).for_each(|_| encoder.write_all(&block).expect("compressed"));
        encoder.finish().expect("compressed")
    }
}

/// Says of itself at its end that it is empty.
fn lying(mut gzip: Vec<u8>) -> Vec<u8> {
    let end = gzip.len() - 4;
    gzip[end..].fill(0);
    gzip
}

const MIB: usize = 1 << 20;

#[tokio::test]
async fn what_inflates_to_too_much_is_refused() {
    let bench = Bench::start().await;
    let before = bench.stored();
    let zeros = |bytes, encoding| repeated(&[0], bytes, encoding);
    let members = zeros(MIB, GZIP).repeat(300);
    let nested = {
        let mut outer = GzEncoder::new(Vec::new(), Compression::best());
        outer.write_all(&zeros(300 * MIB, GZIP)).expect("compressed");
        outer.finish().expect("compressed")
    };
    // A member whose name never ends.
    let named = [&[0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 3][..], &vec![b'n'; 8 * MIB]].concat();
    let too_much = "inflates to more than";
    for (what, encoding, body, words) in [
        ("gzip", GZIP, zeros(300 * MIB, GZIP), too_much),
        ("deflate", DEFLATE, zeros(300 * MIB, DEFLATE), too_much),
        ("gzip that says it is empty", GZIP, lying(zeros(300 * MIB, GZIP)), too_much),
        ("300 members of gzip", GZIP, members, "body"),
        ("gzip in gzip", GZIP, nested, "body"),
        ("gzip with a name of 8 MiB", GZIP, named, "gzip"),
    ] {
        for path in ["/e", "/s", "/l", "/sl"] {
            let reply = post(bench.program.port, path, &[encoding], &body).await;
            assert_eq!(reply.status, 400, "{what} at {path}: {}", reply.text());
            assert!(reply.text().contains(words), "{what} at {path}: {}", reply.text());
        }
    }
    assert_eq!(bench.stored(), before);
    bench.is_unharmed().await;
}

/// Two bytes that are an empty input become a struct of two hundred.
#[tokio::test]
async fn what_decodes_to_too_much_is_refused() {
    let bench = Bench::start().await;
    let before = bench.stored();
    for (what, path, piece) in [
        ("inputs", "/e", &[0x53, 0x54][..]),
        ("arguments", "/e", &[0x12, 0x00]),
        ("files of a compiler", "/e", &[0xb2, 0x02, 0x00, 0xb2, 0x02, 0x00]),
        ("blobs", "/s", &[0x0a, 0x00]),
        ("keys", "/l", &[0x0a, 0x00]),
        ("logs", "/sl", &[0x0a, 0x00]),
        ("fields that nobody knows", "/l", &[0xfa, 0x3f, 0x00]),
        ("numbers", "/e", &[0xf8, 0x01, 0x01]),
    ] {
        for encoding in [GZIP, DEFLATE] {
            let body = repeated(piece, 200 * MIB, encoding);
            let reply = post(bench.program.port, path, &[encoding], &body).await;
            assert_eq!(reply.status, 400, "{what}: {}", reply.text());
            assert!(reply.text().contains("its fields take"), "{what}: {}", reply.text());
        }
    }
    // One within the other is no way around it.
    let deep = vec![0x0b; 10 * MIB];
    let reply = post(bench.program.port, "/e", &[], &deep).await;
    assert_eq!(reply.status, 400, "{}", reply.text());
    assert_eq!(bench.stored(), before);
    bench.is_unharmed().await;
}
