//! StoreFile and LookupFile: the files of clients outside of a compile.

use bytes::Bytes;
use goma_common::reapi::{fetch_all, fetch_view};
use goma_common::shards::Source;
use goma_common::{Code, Deadline, Digest, Error, FileEntry, FileKey, Result, Tenant, View};
use goma_proto::api::FileBlob;

use crate::file_blob::{self, VerifiedBlob, verify};
use crate::files::Files;
use crate::gateway::Gateway;
use crate::identity::Caller;
use crate::room::Taken;

/// Keys in one LookupFile; the stock client asks for five.
const MAX_KEYS: usize = 10_000;
/// Bytes in one answer; the stock client asks for 10 MiB. Beyond it keys are answered as unknown,
/// and asked for again one by one.
const MAX_ANSWER: u64 = 256 << 20;
/// Bytes that a key takes in a manifest: its digits, a tag and a length.
const KEY_BYTES: u64 = 66;

impl Gateway {
    /// Stores blobs and answers their keys in order, `""` for one that is no proper blob.
    ///
    /// # Errors
    /// When contents cannot be stored; nothing was mapped that is not stored.
    pub(crate) async fn store_files(
        &self,
        blobs: Vec<FileBlob>,
        tenant: Tenant,
        source: Source,
        deadline: Deadline,
    ) -> Result<Vec<String>> {
        let files = self.files(tenant);
        let hash = move || blobs.iter().map(verify).collect::<Vec<_>>();
        let verified = tokio::task::spawn_blocking(hash)
            .await
            .map_err(|error| Error::new(Code::Internal, error.to_string()))?;
        let mut keys = Vec::with_capacity(verified.len());
        let mut good: Vec<VerifiedBlob> = Vec::with_capacity(verified.len());
        for blob in verified {
            match blob {
                Ok(blob) => {
                    keys.push(blob.key.hex());
                    good.push(blob);
                }
                Err(why) => {
                    files.mismatch(&why);
                    keys.push(String::new());
                }
            }
        }
        files.store(good, source, deadline).await.map_err(Error::of_the_server)?;
        Ok(keys)
    }

    /// Answers one blob a key, in order, and room that they take until they are written. What is not
    /// known, or no longer there, is said so at its place: the client takes anything else for the
    /// contents.
    ///
    /// # Errors
    /// When it cannot be told now; the client asks again.
    pub(crate) async fn lookup_files(
        &self,
        keys: Vec<String>,
        caller: &Caller,
        deadline: Deadline,
    ) -> Result<(Vec<FileBlob>, Taken)> {
        if keys.len() > MAX_KEYS {
            let why = format!("LookupFileReq: {} keys; {MAX_KEYS} at most", keys.len());
            return Err(Error::new(Code::InvalidArgument, why));
        }
        let parsed: Vec<Option<FileKey>> =
            keys.iter().map(|key| FileKey::parse(key).ok()).collect();
        let asked: Vec<FileKey> = parsed.iter().flatten().copied().collect();
        let files = self.files(caller.tenant);
        let entries = files.resolve(&asked, deadline).await.map_err(Error::of_the_server)?;
        let told = entries.iter().flatten().map(told_size).fold(0, u64::saturating_add);
        let taken = self.admission.answers.room(caller.source(), told.min(MAX_ANSWER)).await?;
        let mut known = asked.iter().zip(entries);
        let mut blobs = Vec::with_capacity(keys.len());
        let mut room = MAX_ANSWER;
        for key in &parsed {
            let entry = key.and_then(|_| known.next()).and_then(|(_, entry)| entry);
            let blob = match (key, entry) {
                (Some(key), Some(entry)) => {
                    self.load(&files, *key, entry, &mut room, deadline).await?
                }
                _ => None,
            };
            blobs.push(blob.unwrap_or_else(file_blob::unknown));
        }
        Ok((blobs, taken))
    }

    async fn load(
        &self,
        files: &Files,
        key: FileKey,
        entry: FileEntry,
        room: &mut u64,
        deadline: Deadline,
    ) -> Result<Option<FileBlob>> {
        let (view, offset) = match entry {
            FileEntry::Manifest { size, chunks, .. } => {
                let fits = take(room, chunks.len() as u64 * KEY_BYTES);
                return Ok(fits.then(|| file_blob::manifest(size, &chunks)));
            }
            FileEntry::File(digest) => (View::whole(digest), None),
            FileEntry::Chunk { view, offset } => (view, Some(offset)),
        };
        if !take(room, view.length) {
            return Ok(None);
        }
        let contents = match self.read(view, deadline).await {
            Ok(contents) => contents,
            Err(error) if error.code == Code::NotFound => match files.load(view, deadline).await? {
                Some(contents) => contents,
                None => {
                    tracing::warn!(%error, "a file that is asked for is gone");
                    return Ok(None);
                }
            },
            Err(error) => return Err(error.of_the_server()),
        };
        let blob = match offset {
            None => file_blob::file(contents),
            // A client's chunk is a blob of its own, an output's a part of the whole: either way the
            // size that is told is that of the blob.
            Some(offset) if FileKey::of_chunk(offset, &contents, view.digest.size) == key => {
                file_blob::chunk(offset, contents, view.digest.size)
            }
            Some(_) => {
                let why = format!("the backend answered other bytes for a part of {}", view.digest);
                return Err(Error::new(Code::DataLoss, why));
            }
        };
        Ok(Some(blob))
    }

    /// A blob or a part of one.
    async fn read(&self, view: View, deadline: Deadline) -> Result<Bytes> {
        if view.is_whole() {
            let digest: Digest = view.digest;
            let mut found = fetch_all(&self.backend, &[digest], deadline).await?;
            return Ok(found.remove(&digest).unwrap_or_default());
        }
        fetch_view(self.backend.cas.as_ref(), view, deadline).await
    }
}

/// Bytes that an answer takes for a file. Pure.
fn told_size(entry: &FileEntry) -> u64 {
    match entry {
        FileEntry::Manifest { chunks, .. } => chunks.len() as u64 * KEY_BYTES,
        FileEntry::File(digest) => digest.size,
        FileEntry::Chunk { view, .. } => view.length,
    }
}

/// Takes so many bytes of the room that is left, if there are as many. Pure.
fn take(room: &mut u64, bytes: u64) -> bool {
    let left = room.checked_sub(bytes);
    *room = left.unwrap_or(*room);
    left.is_some()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use goma_common::drain::Drain;
    use goma_common::testing::ScriptedBackend;

    use super::*;
    use crate::config::GatewayConfig;
    use crate::worker::Probed;

    #[tokio::test]
    async fn manifests_count_towards_the_size_of_an_answer() {
        let cas = ScriptedBackend::default();
        let (shards, backend) = (Arc::new(cas.clone()), cas.backend(0));
        let worker = Arc::new(Probed::new(backend.clone(), shards.clone()));
        let config = GatewayConfig::default();
        let gateway = Gateway::new(config, shards, backend, worker, Drain::new());
        let deadline = Deadline::after(Duration::from_secs(10));
        let (key, files) = (FileKey([1; 32]), gateway.files(Tenant::default()));
        let chunks: Arc<[FileKey]> = vec![key; 1000].into();
        let manifest = FileEntry::Manifest { size: 1, chunks, whole: None };
        let mut room = 100_000;
        let first = gateway.load(&files, key, manifest.clone(), &mut room, deadline).await;
        let first = first.expect("no error").expect("there is room");
        assert!(u64::try_from(prost::Message::encoded_len(&first)).expect("small") >= 66_000);
        let second =
            gateway.load(&files, key, manifest, &mut room, deadline).await.expect("no error");
        assert!(second.is_none(), "{room} bytes of room");
    }
}
