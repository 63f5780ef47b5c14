//! The bytes of a REAPI Directory, written by hand. Pure.
//!
//! They are as prost would write them, and are the key of the farm's cache. There is one for each
//! directory of each compile, with a line for each input: a message of strings would have to be
//! filled, measured, written and dropped for them.

use goma_common::Digest;
use prost::encoding::{encode_varint, encoded_len_varint};

/// A field with a length and bytes, in the spelling of protobuf.
const fn field(tag: u8) -> u8 {
    tag << 3 | 2
}

const FILES: u8 = field(1);
const DIRECTORIES: u8 = field(2);
const SYMLINKS: u8 = field(3);
/// Of all three kinds of nodes.
const NAME: u8 = field(1);
const DIGEST: u8 = field(2);
const TARGET: u8 = field(2);
const IS_EXECUTABLE: u8 = 4 << 3;
/// Of a digest.
const HASH: u8 = field(1);
const SIZE_BYTES: u8 = 2 << 3;

/// What a node takes beside its name: two digits of a SHA-256 a byte, the size of most files, and what frames them.
const BESIDE_NAME: usize = 64 + 4 + 12;

/// Directory under construction. Files come first, then directories, then symlinks, each kind
/// sorted by name.
#[derive(Default)]
pub(super) struct Directory {
    bytes: Vec<u8>,
}

impl Directory {
    /// Empty, with room for so many nodes whose names have so many bytes together, links aside.
    pub(super) fn with_room_for(nodes: usize, names: usize) -> Self {
        Self { bytes: Vec::with_capacity(nodes * BESIDE_NAME + names) }
    }

    pub(super) fn file(&mut self, name: &str, digest: Digest, executable: bool) {
        self.node(FILES, name, digest, if executable { &[IS_EXECUTABLE, 1] } else { &[] });
    }

    pub(super) fn directory(&mut self, name: &str, digest: Digest) {
        self.node(DIRECTORIES, name, digest, &[]);
    }

    pub(super) fn symlink(&mut self, name: &str, target: &str) {
        self.head(SYMLINKS, text_len(name) + text_len(target));
        self.text(NAME, name);
        self.text(TARGET, target);
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.bytes
    }

    fn node(&mut self, kind: u8, name: &str, digest: Digest, end: &[u8]) {
        let hash = digest.hex_digits();
        let size = digest.size.min(i64::MAX as u64);
        // What is 0 is left out.
        let size_len = if size == 0 { 0 } else { 1 + encoded_len_varint(size) };
        let digest_len = 2 + hash.len() + size_len;
        self.head(kind, text_len(name) + 2 + digest_len + end.len());
        self.text(NAME, name);
        self.head(DIGEST, digest_len);
        self.head(HASH, hash.len());
        self.bytes.extend_from_slice(&hash);
        if size != 0 {
            self.bytes.push(SIZE_BYTES);
            encode_varint(size, &mut self.bytes);
        }
        self.bytes.extend_from_slice(end);
    }

    fn text(&mut self, tag: u8, text: &str) {
        if text.is_empty() {
            return;
        }
        self.head(tag, text.len());
        self.bytes.extend_from_slice(text.as_bytes());
    }

    fn head(&mut self, tag: u8, len: usize) {
        self.bytes.push(tag);
        encode_varint(len as u64, &mut self.bytes);
    }
}

fn text_len(text: &str) -> usize {
    if text.is_empty() { 0 } else { 1 + encoded_len_varint(text.len() as u64) + text.len() }
}

#[cfg(test)]
mod tests {
    use goma_proto::reapi::{self, DirectoryNode, FileNode, SymlinkNode};
    use prost::Message;

    use super::*;

    #[test]
    fn the_bytes_are_those_of_the_message() {
        let long = "n".repeat(300);
        let sizes = [0, 1, 127, 128, 1 << 20, i64::MAX as u64, u64::MAX];
        let names = ["a", "b.h", &long, "\u{e4}"];
        let mut message = reapi::Directory::default();
        let mut directory = Directory::default();
        for (at, (name, size)) in names.iter().flat_map(|n| sizes.map(|s| (n, s))).enumerate() {
            let digest = Digest { size, ..Digest::of(name.as_bytes()) };
            directory.file(name, digest, at % 2 == 0);
            message.files.push(FileNode {
                name: (*name).to_owned(),
                digest: Some(digest.into()),
                is_executable: at % 2 == 0,
                ..Default::default()
            });
        }
        for name in names {
            let digest = Digest::of(name.as_bytes());
            directory.directory(name, digest);
            let node = DirectoryNode { name: name.to_owned(), digest: Some(digest.into()) };
            message.directories.push(node);
        }
        for (name, target) in [("l", "../x"), ("m", &long), ("n", "")] {
            directory.symlink(name, target);
            message.symlinks.push(SymlinkNode {
                name: name.to_owned(),
                target: target.to_owned(),
                ..Default::default()
            });
        }
        assert_eq!(directory.finish(), message.encode_to_vec());
        assert!(Directory::default().finish().is_empty());
    }
}
