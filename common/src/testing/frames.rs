//! HTTP/2 frames by hand (RFC 9113), for clients that no library would be.

/// What a client begins with, before its settings.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Kind of a frame.
pub const DATA: u8 = 0;
/// Kind of a frame.
pub const HEADERS: u8 = 1;
/// Kind of a frame.
pub const RST_STREAM: u8 = 3;
/// Kind of a frame.
pub const SETTINGS: u8 = 4;
/// Kind of a frame.
pub const PING: u8 = 6;
/// Kind of a frame.
pub const GOAWAY: u8 = 7;
/// Kind of a frame.
pub const CONTINUATION: u8 = 9;

/// Flag of SETTINGS and PING.
pub const ACK: u8 = 1;
/// Flag of DATA and HEADERS.
pub const END_STREAM: u8 = 1;
/// Flag of HEADERS and CONTINUATION.
pub const END_HEADERS: u8 = 4;

/// Why a stream is reset.
pub const CANCEL: [u8; 4] = [0, 0, 0, 8];
/// Why a stream is reset.
pub const REFUSED_STREAM: [u8; 4] = [0, 0, 0, 7];

/// A frame of this kind, with a payload of less than 16 MiB.
#[must_use]
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}
