//! Names of blobs in ByteStream: `{instance}/blobs/{hash}/{size}` and
//! `{instance}/uploads/{uuid}/blobs/{hash}/{size}`, the instance being any path or none.

use goma_common::{Code, Digest, Error, Result};

/// The blob that a read names.
pub(super) fn parse_read(name: &str) -> Result<Digest> {
    let parts: Vec<_> = name.split('/').collect();
    let found = parts.iter().position(|&part| part == "blobs");
    match found.map(|at| &parts[at + 1..]) {
        Some([hash, size]) => parse_digest(name, hash, size),
        _ => Err(unknown(name)),
    }
}

/// The blob that a write names; what follows the size is for the client's own use.
pub(super) fn parse_write(name: &str) -> Result<Digest> {
    let parts: Vec<_> = name.split('/').collect();
    let found = parts.iter().position(|&part| part == "uploads");
    match found.map(|at| &parts[at + 1..]) {
        Some([_uuid, "blobs", hash, size, ..]) => parse_digest(name, hash, size),
        _ => Err(unknown(name)),
    }
}

fn parse_digest(name: &str, hash: &str, size: &str) -> Result<Digest> {
    let size = size.parse().map_err(|_| unknown(name))?;
    Digest::parse(hash, size).map_err(|_| unknown(name))
}

fn unknown(name: &str) -> Error {
    // A client may send anything as a name; what it sent is enough to recognise it by.
    let shown: String = name.chars().take(200).collect();
    Error::new(Code::InvalidArgument, format!("not the name of a blob: {shown:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instance_names_may_be_empty_or_paths() {
        let digest = Digest::of(b"x");
        for instance in ["", "main/", "a/b/c/"] {
            let read = parse_read(&format!("{instance}blobs/{digest}"));
            assert_eq!(read.expect("a read"), digest);
            let write = parse_write(&format!("{instance}uploads/u-1/blobs/{digest}"));
            assert_eq!(write.expect("a write"), digest);
        }
        assert!(parse_write(&format!("uploads/u/blobs/{digest}/file.o")).is_ok());
    }

    #[test]
    fn other_names_are_refused() {
        let digest = Digest::of(b"x");
        for name in ["", "blobs", "blobs/", "blobs/00/1", "a/compressed-blobs/zstd/00/1"] {
            assert!(parse_read(name).is_err(), "{name}");
            assert!(parse_write(name).is_err(), "{name}");
        }
        assert!(parse_write(&format!("blobs/{digest}")).is_err());
        assert!(parse_read(&format!("blobs/{digest}/more")).is_err());
    }
}
