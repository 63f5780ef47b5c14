//! The PROXY protocol, versions 1 and 2: how a balancer that does not speak HTTP tells who connected.
//!
//! The header is read to its last byte and no further, so that what follows is the client's.

use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::time::Duration;

use ppp::v1::Addresses as V1;
use ppp::v2::{Addresses as V2, Command};
use tokio::io::{AsyncRead, AsyncReadExt};

/// A balancer sends it together with its first bytes.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How version 2 begins, in bytes; no header of version 1 is shorter.
const SIGNATURE: usize = 12;
/// With the version, what it is about, and the length of the rest.
const FIXED: usize = 16;
/// The longest line of version 1.
const LINE: usize = 107;
/// Addresses take 216 bytes at most; what else may follow says nothing to us.
const REST: usize = 4096;

/// Reads a header: who connected to the balancer, or nothing where that speaks for itself.
///
/// # Errors
/// When there is none in time, or none that can be read.
pub(crate) async fn read_header(
    stream: &mut (impl AsyncRead + Unpin),
) -> io::Result<Option<IpAddr>> {
    match tokio::time::timeout(TIMEOUT, read(stream)).await {
        Ok(read) => read,
        Err(_) => {
            Err(io::Error::new(ErrorKind::TimedOut, "no header of the PROXY protocol in time"))
        }
    }
}

pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<IpAddr>> {
    let mut header = vec![0; SIGNATURE];
    stream.read_exact(&mut header).await?;
    if header != ppp::v2::PROTOCOL_PREFIX {
        return line(stream, header).await;
    }
    header.resize(FIXED, 0);
    stream.read_exact(&mut header[SIGNATURE..]).await?;
    let rest = usize::from(u16::from_be_bytes([header[FIXED - 2], header[FIXED - 1]]));
    if rest > REST {
        return Err(wrong("it is too long"));
    }
    header.resize(FIXED + rest, 0);
    stream.read_exact(&mut header[FIXED..]).await?;
    let header =
        ppp::v2::Header::try_from(&header[..]).map_err(|error| wrong(&error.to_string()))?;
    Ok(match (header.command, header.addresses) {
        // A balancer asks after our health.
        (Command::Local, _) => None,
        (Command::Proxy, V2::IPv4(addresses)) => Some(addresses.source_address.into()),
        (Command::Proxy, V2::IPv6(addresses)) => Some(addresses.source_address.into()),
        (Command::Proxy, V2::Unix(_) | V2::Unspecified) => None,
    })
}

/// Version 1: a line. Byte by byte, since what follows it is not ours to read here.
async fn line(
    stream: &mut (impl AsyncRead + Unpin),
    mut line: Vec<u8>,
) -> io::Result<Option<IpAddr>> {
    if !line.starts_with(b"PROXY ") {
        return Err(wrong("the connection does not begin with one; is the balancer to send it?"));
    }
    while !line.ends_with(b"\r\n") {
        if line.len() >= LINE {
            return Err(wrong("its line has no end"));
        }
        line.push(stream.read_u8().await?);
    }
    let header = ppp::v1::Header::try_from(&line[..]).map_err(|error| wrong(&error.to_string()))?;
    Ok(match header.addresses {
        V1::Tcp4(addresses) => Some(addresses.source_address.into()),
        V1::Tcp6(addresses) => Some(addresses.source_address.into()),
        V1::Unknown => None,
    })
}

fn wrong(why: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("header of the PROXY protocol: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is read, and what is left.
    async fn reads(bytes: &[u8]) -> (io::Result<Option<IpAddr>>, Vec<u8>) {
        let mut bytes = bytes;
        (read_header(&mut bytes).await, bytes.to_vec())
    }

    fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).expect("short").to_be_bytes();
        [b"\r\n\r\n\0\r\nQUIT\n", &[command, family][..], &length, rest, b"GET /"].concat()
    }

    #[tokio::test]
    async fn both_versions_are_read_to_their_last_byte() {
        let four = [9, 9, 9, 9, 1, 1, 1, 1, 0, 1, 0, 2];
        let more = [&four[..], &[0x04, 0, 1, 0]].concat();
        for (bytes, client) in [
            (b"PROXY TCP4 9.9.9.9 1.1.1.1 1 2\r\nGET /".to_vec(), Some("9.9.9.9")),
            (b"PROXY TCP6 2001:db8::9 ::1 1 2\r\nGET /".to_vec(), Some("2001:db8::9")),
            (b"PROXY UNKNOWN\r\nGET /".to_vec(), None),
            (v2(0x21, 0x11, &four), Some("9.9.9.9")),
            (v2(0x21, 0x11, &more), Some("9.9.9.9")),
            (v2(0x20, 0x00, &[]), None),
        ] {
            let (read, left) = reads(&bytes).await;
            let client = client.map(|client| client.parse().expect("an address"));
            assert_eq!(read.expect("a header"), client, "{}", String::from_utf8_lossy(&bytes));
            assert_eq!(left, b"GET /");
        }
    }

    #[tokio::test]
    async fn what_is_no_header_is_refused_within_its_bounds() {
        let long = [b"PROXY TCP4 ".to_vec(), vec![b'9'; 1000]].concat();
        for bytes in [
            b"GET / HTTP/1.1\r\n\r\n".to_vec(),
            b"PROXY TCP4 9.9.9.9\r\n".to_vec(),
            b"PROXY".to_vec(),
            v2(0x31, 0x11, &[0; 12]),
            v2(0x21, 0x11, &[0; 3]),
            v2(0x21, 0x11, &[0; 5000]),
            long,
        ] {
            let (read, _) = reads(&bytes).await;
            read.expect_err("no header");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_only_connects_is_not_waited_for() {
        let (mut ours, _theirs) = tokio::io::duplex(100);
        let error = read_header(&mut ours).await.expect_err("nothing comes");
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    }
}
