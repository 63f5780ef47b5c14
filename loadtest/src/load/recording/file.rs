//! One request as it is kept: a line that says when and whereto, and the message.
//!
//! No header is kept, so no token and no cookie can be.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use goma_proto::api::ExecReq;
use prost::Message;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// How the names of such files end.
pub(crate) const SUFFIX: &str = "request";
/// A client's own dump of an Exec.
const DUMP: &str = "exec_req.data";

/// Whether the contents of files are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Contents {
    /// All of them: what was recorded can be sent to a server that knows nothing.
    Keep,
    /// Names and keys alone: it can be sent to a server that has the files.
    Drop,
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Recorded {
    /// Since the recording began; none of a client's dump.
    pub(crate) at: Option<Duration>,
    /// `/e`, `/s` or `/l`.
    pub(crate) path: &'static str,
    /// Inflated.
    pub(crate) message: Bytes,
}

#[derive(Debug, Serialize, Deserialize)]
struct Line {
    at_us: u64,
    path: String,
}

/// The route that a path ends in, if it is one that is kept.
pub(crate) fn route(path: &str) -> Option<&'static str> {
    ["/e", "/s", "/l"].into_iter().find(|route| path.ends_with(route))
}

impl Recorded {
    /// Without contents, where those are not kept; then nothing is left of a store.
    pub(crate) fn kept(self, contents: Contents) -> Option<Self> {
        match (contents, self.path) {
            (Contents::Keep, _) | (_, "/l") => Some(self),
            (Contents::Drop, "/e") => {
                let mut request = ExecReq::decode(self.message).ok()?;
                request.input.iter_mut().for_each(|input| input.content = None);
                let message = Bytes::from(request.encode_to_vec());
                Some(Self { message, ..self })
            }
            (Contents::Drop, _) => None,
        }
    }

    /// As bytes of a file.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let at_us = self.at.unwrap_or_default().as_micros().try_into().unwrap_or(u64::MAX);
        let line = serde_json::json!({ "at_us": at_us, "path": self.path });
        [line.to_string().as_bytes(), b"\n", &self.message].concat()
    }

    /// Reads a file of ours, or a client's dump; none where it is neither.
    ///
    /// # Errors
    /// A file that should be one and is not.
    pub(crate) fn read(path: &Path) -> Result<Option<Self>> {
        let is_ours = path.extension().is_some_and(|suffix| suffix == SUFFIX);
        let is_dump = path.file_name().is_some_and(|name| name == DUMP);
        if !is_ours && !is_dump {
            return Ok(None);
        }
        let failed = |error: std::io::Error| Error::file(path, error);
        let bytes = Bytes::from(std::fs::read(path).map_err(failed)?);
        if is_dump {
            return Ok(Some(Self { at: None, path: "/e", message: bytes }));
        }
        let none_such = || failed(std::io::Error::other("not a recorded request"));
        let end = bytes.iter().position(|byte| *byte == b'\n').ok_or_else(none_such)?;
        let line: Line = serde_json::from_slice(&bytes[..end]).map_err(|_| none_such())?;
        let path = route(&line.path).ok_or_else(none_such)?;
        let at = Some(Duration::from_micros(line.at_us));
        Ok(Some(Self { at, path, message: bytes.slice(end + 1..) }))
    }
}

#[cfg(test)]
mod tests {
    use goma_proto::api::FileBlob;
    use goma_proto::api::exec_req::Input;

    use super::*;

    fn exec() -> Recorded {
        let content = FileBlob { content: Some("secret".into()), ..Default::default() };
        let input = Input {
            filename: Some("a.c".into()),
            hash_key: Some("key".into()),
            content: Some(content),
        };
        let request = ExecReq { input: vec![input], ..Default::default() };
        let message = request.encode_to_vec().into();
        Recorded { at: Some(Duration::from_micros(1_500_000)), path: "/e", message }
    }

    #[test]
    fn what_is_written_is_read() {
        let dir = tempfile::tempdir().expect("a directory");
        let written = dir.path().join("1.request");
        std::fs::write(&written, exec().to_bytes()).expect("written");
        assert_eq!(Recorded::read(&written).expect("read"), Some(exec()));
        let dump = dir.path().join("exec_req.data");
        std::fs::write(&dump, exec().message).expect("written");
        let read = Recorded::read(&dump).expect("read");
        assert_eq!(read, Some(Recorded { at: None, ..exec() }));
        assert_eq!(Recorded::read(&dir.path().join("other.txt")).expect("skipped"), None);
        std::fs::write(&written, "nonsense\n").expect("written");
        assert!(Recorded::read(&written).is_err());
    }

    #[test]
    fn contents_that_are_not_kept_are_nowhere() {
        let kept = exec().kept(Contents::Drop).expect("an Exec").to_bytes();
        let holds = |what: &[u8]| kept.windows(what.len()).any(|window| window == what);
        assert!(holds(b"a.c") && holds(b"key") && !holds(b"secret"));
        assert_eq!(exec().kept(Contents::Keep), Some(exec()));
        let of = |path| Recorded { path, ..exec() };
        assert_eq!(of("/s").kept(Contents::Drop), None);
        assert!(of("/l").kept(Contents::Drop).is_some());
    }

    #[test]
    fn routes_are_told_by_their_ends() {
        assert_eq!(route("/cxx-compiler-service/e"), Some("/e"));
        assert_eq!(route("/l"), Some("/l"));
        assert_eq!(route("/cxx-compiler-service/sl"), None);
        assert_eq!(route("/cxx-compiler-service/ping"), None);
    }
}
