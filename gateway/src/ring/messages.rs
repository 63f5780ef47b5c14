//! How questions of any size become messages that a shard takes. Pure.

use bytes::Bytes;
use goma_common::reapi::limits::pack;
use goma_common::shard_wire::LARGE;
use goma_common::shards::Blob;
use goma_common::{Digest, FileEntry, FileKey};
use goma_proto::shard as proto;
use prost::Message;

/// Most bytes in one message, contents or others: gRPC's default bound is 4 MiB.
pub(super) const MAX_BYTES: u64 = 3 << 20;
/// Bytes of contents in one message of a stream.
const PIECE: usize = 256 << 10;
/// Most keys in one question. Answers are longer than keys: the manifest of a file of 2 GB takes 36 kB.
const KEYS: usize = 20_000;

/// Blobs on their way to a shard.
pub(super) struct Packed {
    /// All of them, in messages; those that are large without their contents.
    pub(super) messages: Vec<Vec<proto::Blob>>,
    /// Contents that go by `Upload`, once they were found missing.
    pub(super) large: Vec<(Digest, Bytes)>,
}

/// Splits blobs into messages, in their order.
pub(super) fn ensure(blobs: Vec<Blob>) -> Packed {
    let mut large = Vec::new();
    let blobs = blobs.into_iter().map(|Blob { digest, contents }| {
        let small = |contents: &Bytes| (contents.len() as u64) < LARGE;
        let (inside, beside) = match contents {
            Some(contents) if small(&contents) => (Some(contents), None),
            beside => (None, beside),
        };
        large.extend(beside.map(|contents| (digest, contents)));
        proto::Blob { digest: Some(digest.into()), contents: inside }
    });
    let blobs = blobs.collect();
    let size = |blob: &proto::Blob| blob.contents.as_ref().map_or(0, |bytes| bytes.len() as u64);
    Packed { messages: pack(blobs, size, MAX_BYTES), large }
}

/// One large blob as a stream: a head, then pieces.
pub(super) fn upload(
    head: proto::UploadRequest,
    contents: Bytes,
) -> impl Iterator<Item = proto::UploadRequest> + Send {
    let pieces = pieces(contents);
    let pieces = pieces.map(|data| proto::UploadRequest { data, ..Default::default() });
    std::iter::once(head).chain(pieces)
}

fn pieces(mut rest: Bytes) -> impl Iterator<Item = Bytes> + Send {
    std::iter::from_fn(move || (!rest.is_empty()).then(|| rest.split_to(rest.len().min(PIECE))))
}

/// Files to remember, in messages.
pub(super) fn record(files: &[(FileKey, FileEntry)]) -> Vec<Vec<proto::NewFile>> {
    let files = files.iter().map(|(key, entry)| proto::NewFile {
        key: key.0.to_vec().into(),
        entry: Some(entry.into()),
    });
    pack(files.collect(), |file| file.encoded_len() as u64, MAX_BYTES)
}

/// Keys to ask about, in messages.
pub(super) fn resolve(keys: &[FileKey]) -> Vec<proto::ResolveRequest> {
    let message = |keys: &[FileKey]| proto::ResolveRequest {
        key: keys.iter().map(|key| key.0.to_vec().into()).collect(),
    };
    keys.chunks(KEYS).map(message).collect()
}

/// Blobs that are gone, in messages.
pub(super) fn forget(digests: &[Digest]) -> Vec<proto::ForgetRequest> {
    let message = |digests: &[Digest]| proto::ForgetRequest {
        digest: digests.iter().map(|digest| (*digest).into()).collect(),
    };
    digests.chunks(KEYS).map(message).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(size: usize, fill: u8) -> Blob {
        let contents = Bytes::from(vec![fill; size]);
        Blob { digest: Digest::of(&contents), contents: Some(contents) }
    }

    #[test]
    fn large_contents_go_beside_and_small_ones_within_the_bound() {
        let large = usize::try_from(LARGE).expect("fits");
        let mut blobs: Vec<Blob> = (0..9).map(|fill| blob(large - 1, fill)).collect();
        blobs.push(blob(large, 9));
        blobs.push(Blob { contents: None, ..blob(large, 10) });
        let packed = ensure(blobs.clone());
        assert_eq!(packed.large, [(blobs[9].digest, blobs[9].contents.clone().expect("given"))]);
        for message in &packed.messages {
            let message = proto::EnsureRequest { blob: message.clone(), ..Default::default() };
            assert!(message.encoded_len() as u64 <= MAX_BYTES + 1024, "{}", message.encoded_len());
        }
        let all: Vec<_> = packed.messages.concat().into_iter().map(|blob| blob.digest).collect();
        let expected: Vec<_> = blobs.iter().map(|blob| Some(blob.digest.into())).collect();
        assert_eq!(all, expected, "all of them, in order");
    }

    #[test]
    fn an_upload_is_a_head_and_pieces() {
        let contents = Bytes::from(vec![7; 2 * PIECE + 1]);
        let head = proto::UploadRequest { source: 5, ..Default::default() };
        let messages: Vec<_> = upload(head, contents.clone()).collect();
        assert_eq!(messages.len(), 4);
        assert_eq!(messages[0].source, 5);
        let sent: Vec<Bytes> = messages.into_iter().map(|message| message.data).collect();
        assert_eq!(sent.concat(), contents);
    }

    #[test]
    fn many_files_are_several_messages() {
        let chunks: Vec<FileKey> = vec![FileKey([1; 32]); 40_000];
        let manifest = FileEntry::Manifest { size: 1, chunks: chunks.into(), whole: None };
        let files = vec![(FileKey([2; 32]), manifest); 5];
        let messages = record(&files);
        assert_eq!(messages.concat().len(), 5);
        for file in messages {
            assert!(proto::RecordRequest { file }.encoded_len() <= 4 << 20);
        }
        assert_eq!(resolve(&vec![FileKey([1; 32]); KEYS + 1]).len(), 2);
        assert_eq!(forget(&vec![Digest::EMPTY; KEYS + 1]).len(), 2);
    }
}
