//! Makes one CAS blob of the pieces of a large file, as a stream: it is never held whole.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use goma_common::digest::Hasher;
use goma_common::reapi::{Backend, Cas, Upload, fetch_view};
use goma_common::{Code, Deadline, Digest, FileEntry, FileKey, Result, Tenant, View};

use crate::presence::Presence;

/// Reading a file twice and writing it once ends by then, whoever still waits.
const TIMEOUT: Duration = Duration::from_secs(300);

/// A file of `size` bytes in pieces.
pub(super) struct Manifest {
    pub(super) size: u64,
    pub(super) chunks: Arc<[FileKey]>,
}

impl Manifest {
    /// Where the pieces are, if all are known and together they are the file: one after the other
    /// without a gap. Pure.
    pub(super) fn views(&self, entries: &[Option<FileEntry>]) -> Option<Vec<View>> {
        let mut end = 0_u64;
        let mut views = Vec::with_capacity(entries.len());
        for entry in entries {
            let Some(FileEntry::Chunk { view, offset }) = entry else { return None };
            if *offset != end {
                return None;
            }
            end = end.checked_add(view.length)?;
            views.push(*view);
        }
        (end == self.size).then_some(views)
    }
}

/// Hashes the pieces, then uploads them as one blob. `None` when one of them is gone.
pub(super) async fn assemble(
    backend: Backend,
    presence: Arc<Presence>,
    tenant: Tenant,
    views: Vec<View>,
) -> Result<Option<Digest>> {
    let deadline = Deadline::after(TIMEOUT);
    let mut hasher = Hasher::default();
    for view in &views {
        match fetch_view(backend.cas.as_ref(), *view, deadline).await {
            Ok(piece) => hasher.update(&piece),
            Err(error) if error.code == Code::NotFound => {
                // Else the client's next upload of this piece would be taken to be there already.
                presence.forget(tenant, &[view.digest]).await;
                return Ok(None);
            }
            Err(error) => return Err(error),
        }
    }
    let whole = hasher.finish();
    let asked = presence.asked();
    if backend.cas.find_missing(&[whole], deadline).await?.is_empty() {
        presence.confirm(tenant, &[whole], asked).await;
        return Ok(Some(whole));
    }
    let cas = backend.cas.clone();
    let upload =
        Upload::new(whole, move |offset| pieces(cas.clone(), rest(&views, offset), deadline));
    backend.cas.upload_stream(&upload, deadline).await?;
    presence.confirm(tenant, &[whole], asked).await;
    Ok(Some(whole))
}

/// What of these views, one after the other, lies beyond an offset. Pure.
fn rest(views: &[View], offset: u64) -> Vec<View> {
    let mut skipped = offset;
    let mut rest = Vec::with_capacity(views.len());
    for view in views {
        let skip = skipped.min(view.length);
        skipped -= skip;
        if skip < view.length {
            let (offset, length) = (view.offset + skip, view.length - skip);
            rest.push(View { offset, length, ..*view });
        }
    }
    rest
}

/// The pieces once more, one in memory at a time.
fn pieces(
    cas: Arc<dyn Cas>,
    views: Vec<View>,
    deadline: Deadline,
) -> BoxStream<'static, Result<Bytes>> {
    stream::iter(views)
        .map(Ok)
        .and_then(move |view| {
            let cas = cas.clone();
            async move { fetch_view(cas.as_ref(), view, deadline).await }
        })
        .boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(offset: u64, length: u64) -> Option<FileEntry> {
        let digest = Digest { hash: [1; 32], size: length };
        Some(FileEntry::Chunk { view: View::whole(digest), offset })
    }

    #[test]
    fn the_rest_of_some_views_begins_within_one() {
        let view = |digest: u8, offset, length| View {
            digest: Digest { hash: [digest; 32], size: 100 },
            offset,
            length,
        };
        let views = [view(1, 0, 10), view(2, 5, 20), view(3, 0, 30)];
        assert_eq!(rest(&views, 0), views);
        assert_eq!(rest(&views, 10), views[1..]);
        assert_eq!(rest(&views, 17), [view(2, 12, 13), view(3, 0, 30)]);
        assert_eq!(rest(&views, 60), []);
    }

    #[test]
    fn only_pieces_without_gap_or_overlap_are_a_file() {
        let manifest = Manifest { size: 30, chunks: Arc::new([]) };
        let views = |entries: &[_]| manifest.views(entries).map(|views| views.len());
        assert_eq!(views(&[chunk(0, 20), chunk(20, 10)]), Some(2));
        assert_eq!(views(&[chunk(0, 20), None]), None);
        assert_eq!(views(&[chunk(0, 20), chunk(21, 9)]), None);
        assert_eq!(views(&[chunk(20, 10), chunk(0, 20)]), None);
        assert_eq!(views(&[chunk(0, 20), chunk(20, 11)]), None);
        assert_eq!(views(&[chunk(0, 20), chunk(20, u64::MAX - 9), chunk(10, 20)]), None);
        assert_eq!(views(&[Some(FileEntry::File(Digest::of(b"x")))]), None);
    }
}
