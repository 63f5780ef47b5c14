//! LookupFile: files that clients ask for by their keys, such as outputs too large for the answer of their compile.

use std::collections::HashMap;

use bytes::Bytes;
use futures::stream::{self, StreamExt};
use goma_common::reapi::{fetch_each, fetch_view};
use goma_common::{Code, Deadline, Digest, Error, FileEntry, FileKey, Result, View};
use goma_proto::api::FileBlob;

use crate::file_blob;
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
/// Parts of blobs read at once for one request.
const PARTS: usize = 4;

impl Gateway {
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
        let bytes = entries.iter().flatten().map(told_size).fold(0, u64::saturating_add);
        let taken = self.admission.answers.room(caller.source(), bytes.min(MAX_ANSWER)).await?;
        let entries = within(MAX_ANSWER, entries);
        let contents = self.contents(&files, &entries, deadline).await?;
        let mut known = asked.into_iter().zip(entries);
        let mut blobs = Vec::with_capacity(keys.len());
        for key in &parsed {
            let found = match key.and_then(|_| known.next()) {
                Some((key, Some(entry))) => told(key, entry, &contents)?,
                _ => None,
            };
            blobs.push(found.unwrap_or_else(file_blob::unknown));
        }
        Ok((blobs, taken))
    }

    /// What these files and pieces of files hold, without what is gone. Whole ones are asked for together: each by
    /// itself, a call for each would be most of what a request costs.
    async fn contents(
        &self,
        files: &Files,
        entries: &[Option<FileEntry>],
        deadline: Deadline,
    ) -> Result<HashMap<View, Bytes>> {
        let views = entries.iter().flatten().filter_map(view);
        let (whole, parts): (Vec<View>, Vec<View>) = views.partition(View::is_whole);
        let digests: Vec<Digest> = whole.iter().map(|view| view.digest).collect();
        let mut read: Vec<(View, Result<Bytes>)> = fetch_each(&self.backend, &digests, deadline)
            .await
            .map_err(Error::of_the_server)?
            .into_iter()
            .map(|(digest, contents)| (View::whole(digest), contents))
            .collect();
        let cas = self.backend.cas.as_ref();
        let parts =
            parts.into_iter().map(async |part| (part, fetch_view(cas, part, deadline).await));
        read.extend(stream::iter(parts).buffer_unordered(PARTS).collect::<Vec<_>>().await);
        let mut contents = HashMap::with_capacity(read.len());
        for (view, found) in read {
            let found = match found {
                Err(error) if error.code == Code::NotFound => {
                    let held = files.load(view, deadline).await?;
                    if held.is_none() {
                        tracing::warn!(%error, "a file that is asked for is gone");
                    }
                    held
                }
                found => Some(found.map_err(Error::of_the_server)?),
            };
            contents.extend(found.map(|found| (view, found)));
        }
        Ok(contents)
    }
}

/// The blob for a key, if its contents are here.
fn told(
    key: FileKey,
    entry: FileEntry,
    contents: &HashMap<View, Bytes>,
) -> Result<Option<FileBlob>> {
    let found = |view: &View| contents.get(view).cloned();
    match entry {
        FileEntry::Manifest { size, chunks, .. } => Ok(Some(file_blob::manifest(size, &chunks))),
        FileEntry::File(digest) => Ok(found(&View::whole(digest)).map(file_blob::file)),
        FileEntry::Chunk { view, offset } => {
            let Some(contents) = found(&view) else { return Ok(None) };
            // A client's chunk is a blob of its own, an output's a part of the whole: either way the
            // size that is told is that of the blob.
            let size = view.digest.size;
            if FileKey::of_chunk(offset, &contents, size) == key {
                return Ok(Some(file_blob::chunk(offset, contents, size)));
            }
            let why = format!("the backend answered other bytes for a part of {}", view.digest);
            Err(Error::new(Code::DataLoss, why))
        }
    }
}

/// Where the contents of a file or a piece are. Pure.
fn view(entry: &FileEntry) -> Option<View> {
    match entry {
        FileEntry::Manifest { .. } => None,
        FileEntry::File(digest) => Some(View::whole(*digest)),
        FileEntry::Chunk { view, .. } => Some(*view),
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

/// Leaves out those that an answer of so many bytes has no room for behind those before them. Pure.
fn within(mut room: u64, mut entries: Vec<Option<FileEntry>>) -> Vec<Option<FileEntry>> {
    for entry in &mut entries {
        match room.checked_sub(entry.as_ref().map_or(0, told_size)) {
            Some(left) => room = left,
            None => *entry = None,
        }
    }
    entries
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use goma_common::Tenant;
    use goma_common::drain::Drain;
    use goma_common::testing::ScriptedBackend;

    use super::*;
    use crate::config::GatewayConfig;
    use crate::worker::Probed;

    #[test]
    fn manifests_count_towards_the_size_of_an_answer() {
        let chunks: Arc<[FileKey]> = vec![FileKey([1; 32]); 1000].into();
        let manifest = FileEntry::Manifest { size: 1, chunks, whole: None };
        let blob = told(FileKey([1; 32]), manifest.clone(), &HashMap::new());
        let blob = blob.expect("no error").expect("it needs no contents");
        assert!(u64::try_from(prost::Message::encoded_len(&blob)).expect("small") >= 66_000);
        let small = FileEntry::File(Digest { size: 30_000, ..Digest::EMPTY });
        let entries = vec![Some(manifest.clone()), None, Some(manifest), Some(small)];
        let fit: Vec<bool> = within(100_000, entries).iter().map(Option::is_some).collect();
        assert_eq!(fit, [true, false, false, true]);
    }

    #[tokio::test]
    async fn many_files_are_read_in_one_call_and_each_is_told_at_its_place() {
        let cas = ScriptedBackend::default();
        let (shards, backend) = (Arc::new(cas.clone()), cas.backend(0));
        let worker = Arc::new(Probed::new(backend.clone(), shards.clone()));
        let gateway =
            Gateway::new(GatewayConfig::default(), shards.clone(), backend, worker, Drain::new());
        let deadline = Deadline::after(Duration::from_secs(10));
        let names: Vec<Bytes> = (0..50).map(|n| format!("file {n}").into()).collect();
        let key = |contents: &Bytes| FileKey::of_file(contents);
        let files = names.iter().map(|name| (key(name), FileEntry::File(Digest::of(name))));
        let known = gateway.files(Tenant::default());
        known.record(files.collect(), deadline).await.expect("recorded");
        for name in names.iter().filter(|name| **name != "file 7") {
            cas.put(name.clone());
        }
        let mut keys: Vec<String> = names.iter().map(|name| key(name).hex()).collect();
        keys.insert(3, "no key".to_owned());
        keys.push(keys[0].clone());
        let before = cas.calls().download_batches;
        let (blobs, _) =
            gateway.lookup_files(keys, &Caller::default(), deadline).await.expect("no error");
        assert_eq!(cas.calls().download_batches, before + 1);
        let mut expected: Vec<Option<Bytes>> = names.iter().cloned().map(Some).collect();
        expected[7] = None;
        expected.insert(3, None);
        expected.push(expected[0].clone());
        let contents: Vec<Option<Bytes>> = blobs.into_iter().map(|blob| blob.content).collect();
        assert_eq!(contents, expected);
    }
}
