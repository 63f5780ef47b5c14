//! Exchanges on disk: `manifest.json` and the bodies as they were on the wire.

use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::{DeflateDecoder, GzDecoder};
use serde_json::Value;

use crate::support::http::Reply;

/// A directory of exchanges, in the order of the wire.
pub(crate) struct Recording {
    pub(crate) dir: PathBuf,
    pub(crate) exchanges: Vec<Exchange>,
}

/// One request and its answer.
pub(crate) struct Exchange {
    /// Exchanges of one compile share it.
    pub(crate) case: String,
    /// Method and path.
    pub(crate) line: String,
    pub(crate) headers: Vec<(String, String)>,
    /// As on the wire.
    pub(crate) request: Vec<u8>,
    pub(crate) status: u16,
    /// Decoded.
    pub(crate) answer: Vec<u8>,
    /// Whether the output was that of a local compile; it may not have been the right one.
    pub(crate) output_is_right: bool,
}

impl Recording {
    pub(crate) fn read(dir: &Path) -> Self {
        let read = |name: &Value| {
            let path = dir.join(name.as_str().expect("a name"));
            std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        };
        let manifest: Value = serde_json::from_slice(&read(&"manifest.json".into())).expect("JSON");
        let exchanges = manifest["exchanges"].as_array().expect("exchanges");
        let exchanges = exchanges.iter().map(|exchange| {
            let line = exchange["request_line"].as_str().expect("a line");
            let headers = headers(&exchange["request_headers"]);
            let answered = headers_of(exchange, "response_headers");
            let differs = |text: &Value| text.as_str().is_some_and(|t| t.starts_with("DIFFERENT"));
            let outputs = exchange["output_vs_local"].as_array();
            Exchange {
                case: exchange["case"].as_str().expect("a case").to_owned(),
                line: line.rsplit_once(' ').expect("a version").0.to_owned(),
                request: read(&exchange["file_request"]),
                status: exchange["status"].as_u64().expect("a status") as u16,
                answer: decode(coding(&answered), read(&exchange["file_response"])),
                output_is_right: !outputs.is_some_and(|outputs| outputs.iter().any(differs)),
                headers,
            }
        });
        Self { dir: dir.to_owned(), exchanges: exchanges.collect() }
    }
}

impl Exchange {
    /// `/e`, `/s`, ...
    pub(crate) fn route(&self) -> &str {
        let path = self.line.split(' ').nth(1).unwrap_or_default();
        path.strip_prefix("/cxx-compiler-service").unwrap_or(path)
    }

    /// The request's message, decompressed.
    pub(crate) fn message(&self) -> Vec<u8> {
        decode(coding(&self.headers), self.request.clone())
    }
}

/// The body of an answer, decompressed as the client would.
pub(crate) fn body(reply: &Reply) -> Vec<u8> {
    decode(coding(&reply.headers), reply.body.clone())
}

/// By the client's rules: deflate is raw, and four bytes may follow.
pub(crate) fn decode(coding: &str, body: Vec<u8>) -> Vec<u8> {
    let mut decoded = Vec::new();
    let read = match coding {
        "gzip" => GzDecoder::new(&body[..]).read_to_end(&mut decoded),
        "deflate" => DeflateDecoder::new(&body[..]).read_to_end(&mut decoded),
        _ => return body,
    };
    // Some recorded requests are damaged on purpose.
    read.map_or_else(|_| Vec::new(), |_| decoded)
}

fn coding(headers: &[(String, String)]) -> &str {
    let coding = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-encoding"));
    coding.map_or("", |(_, value)| value)
}

fn headers_of(exchange: &Value, which: &str) -> Vec<(String, String)> {
    headers(&exchange[which])
}

fn headers(pairs: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().expect("a header").to_owned();
    let pairs = pairs.as_array().expect("headers").iter();
    pairs.map(|pair| (text(&pair[0]), text(&pair[1]))).collect()
}
