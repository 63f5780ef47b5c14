//! Blobs that the embedded backend loses: files of its store are deleted, some of them at random.
//!
//! An eviction tells the backend: each lost blob is read once through the API, which makes the
//! backend look at its disk, and from then on it says that the blob is missing. A loss does not: the
//! backend goes on to say that it has the blob, takes an upload of it without storing it, and finds
//! out when an action or a client needs the bytes.

use std::path::{Path, PathBuf};

use goma_proto::bytestream::ReadRequest;
use goma_proto::bytestream::byte_stream_client::ByteStreamClient;
use goma_proto::reapi::content_addressable_storage_client::ContentAddressableStorageClient;
use goma_proto::reapi::{BatchReadBlobsRequest, Digest};
use tonic::transport::Channel;
use tonic::{Code, Status};

use super::command::Percent;
use crate::error::{Error, Result};

/// Blobs in one call, and bytes that they would be, were they there: a backend looks at what is asked for.
const BATCH: usize = 500;
const BATCH_BYTES: i64 = 2 << 20;

/// Deletes so many percent of the blobs in a store's directory, one at least if there is any.
///
/// # Errors
/// When the directory cannot be read.
pub(super) fn lose(store: &Path, percent: Percent) -> Result<Vec<Digest>> {
    let mut files = blobs(&store.join("blobs"))?;
    files.sort();
    fastrand::shuffle(&mut files);
    files.truncate(share(files.len(), percent));
    // One that is gone by now was evicted by the backend itself.
    files.retain(|file| std::fs::remove_file(file).is_ok());
    Ok(files.iter().filter_map(|file| digest(file)).collect())
}

/// Lets the backend find out.
///
/// # Errors
/// When it cannot be asked.
pub(super) async fn tell(backend: Channel, instance: &str, lost: Vec<Digest>) -> Result<()> {
    let failed = |status: Status| Error::member("backend", status.message());
    let (large, small): (Vec<_>, Vec<_>) =
        lost.into_iter().partition(|digest| digest.size_bytes > BATCH_BYTES);
    let mut cas =
        ContentAddressableStorageClient::new(backend.clone()).max_decoding_message_size(64 << 20);
    for digests in batches(&small) {
        let request = BatchReadBlobsRequest {
            instance_name: instance.to_owned(),
            digests: digests.to_vec(),
            ..Default::default()
        };
        cas.batch_read_blobs(request).await.map_err(failed)?;
    }
    let mut bytes = ByteStreamClient::new(backend);
    for Digest { hash, size_bytes } in large {
        let resource_name = format!("{instance}/blobs/{hash}/{size_bytes}");
        match bytes.read(ReadRequest { resource_name, read_limit: 1, ..Default::default() }).await {
            // That it is gone is what it was to find out.
            Ok(_) => {}
            Err(status) if status.code() == Code::NotFound => {}
            Err(status) => return Err(failed(status)),
        }
    }
    Ok(())
}

/// As many in one call as it may have, in their order.
fn batches(digests: &[Digest]) -> Vec<&[Digest]> {
    let (mut batches, mut rest) = (Vec::new(), digests);
    while !rest.is_empty() {
        let mut bytes = 0;
        let fit = rest.iter().take(BATCH).take_while(|digest| {
            bytes += digest.size_bytes;
            bytes <= BATCH_BYTES
        });
        let (batch, others) = rest.split_at(fit.count().max(1));
        batches.push(batch);
        rest = others;
    }
    batches
}

fn share(count: usize, percent: Percent) -> usize {
    // Of at most some millions of files.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    let share = (count as f64 * percent.0 / 100.0).ceil() as usize;
    share.min(count)
}

/// The files two levels below, named `HASH-SIZE`.
fn blobs(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for shard in entries(dir)? {
        files.extend(entries(&shard)?.into_iter().filter(|file| digest(file).is_some()));
    }
    Ok(files)
}

fn entries(dir: &Path) -> Result<Vec<PathBuf>> {
    let read = std::fs::read_dir(dir).map_err(|error| Error::file(dir, error))?;
    let paths = read.map(|entry| entry.map(|entry| entry.path()));
    paths.collect::<std::io::Result<_>>().map_err(|error| Error::file(dir, error))
}

fn digest(file: &Path) -> Option<Digest> {
    let (hash, size) = file.file_name()?.to_str()?.split_once('-')?;
    Some(Digest { hash: hash.to_owned(), size_bytes: size.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_batch_is_beyond_what_a_call_may_have() {
        let of = |size_bytes| Digest { hash: String::new(), size_bytes };
        let sizes =
            |digests: &[Digest]| batches(digests).iter().map(|b| b.len()).collect::<Vec<_>>();
        assert_eq!(sizes(&[]), [0; 0]);
        assert_eq!(sizes(&[of(1 << 20), of(1 << 20), of(1), of(BATCH_BYTES), of(5)]), [2, 1, 1, 1]);
        assert_eq!(sizes(&vec![of(1); 2 * BATCH + 1]), [BATCH, BATCH, 1]);
    }

    #[test]
    fn as_many_files_go_as_are_told() {
        let dir = tempfile::tempdir().expect("a directory");
        let shard = dir.path().join("blobs/ab");
        std::fs::create_dir_all(&shard).expect("made");
        for n in 0..40 {
            std::fs::write(shard.join(format!("ab{n}-7")), "").expect("written");
        }
        let lost = lose(dir.path(), Percent(10.0)).expect("readable");
        assert_eq!(lost.len(), 4);
        assert!(lost.iter().all(|digest| digest.size_bytes == 7));
        assert_eq!(entries(&shard).expect("readable").len(), 36);
        assert_eq!(share(0, Percent(1.0)), 0);
        assert_eq!(share(3, Percent(1.0)), 1);
    }
}
