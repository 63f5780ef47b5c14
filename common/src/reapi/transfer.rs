//! Downloads that choose their way by size: small blobs share a batch, large ones are streams.

use std::collections::HashMap;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use futures::stream::{self, StreamExt};

use super::limits::pack;
use super::{Backend, Cas};
use crate::backoff::Backoff;
use crate::deadline::Deadline;
use crate::digest::Digest;
use crate::entry::View;
use crate::error::{Code, Error, Result};

/// Streams read at once for one caller.
const STREAMS: usize = 4;
/// Streams that may break before a blob is given up.
const TRIES: u32 = 3;
const FIRST_DELAY: Duration = Duration::from_millis(50);
const MAX_DELAY: Duration = Duration::from_secs(1);

/// Downloads whole blobs into memory, each verified. The caller bounds their sum.
///
/// # Errors
/// `NotFound` naming a blob that is gone, or as the backend said.
pub async fn fetch_all(
    backend: &Backend,
    digests: &[Digest],
    deadline: Deadline,
) -> Result<HashMap<Digest, Bytes>> {
    let each = fetch_each(backend, digests, deadline).await?;
    each.into_iter().map(|(digest, contents)| Ok((digest, contents?))).collect()
}

/// As [`fetch_all`], telling of each blob whether it could be had.
///
/// # Errors
/// When a call failed that was for many of them.
pub async fn fetch_each(
    backend: &Backend,
    digests: &[Digest],
    deadline: Deadline,
) -> Result<HashMap<Digest, Result<Bytes>>> {
    let mut found = HashMap::from([(Digest::EMPTY, Ok(Bytes::new()))]);
    let mut wanted: Vec<Digest> = digests.iter().copied().filter(|d| !d.is_empty()).collect();
    wanted.sort_unstable();
    wanted.dedup();
    if wanted.is_empty() {
        return Ok(found);
    }
    backend.limits.settle(backend.health.as_ref(), deadline).await;
    let (small, mut large): (Vec<_>, Vec<_>) =
        wanted.into_iter().partition(|digest| backend.limits.fits_batch(digest.size));
    // A single blob costs one call either way, and a stream has no limit.
    let batches = pack(small, |digest| digest.size, backend.limits.batch_bytes());
    for batch in batches {
        let answers = backend.cas.download_batch(&batch, deadline).await?;
        for (digest, answer) in batch.into_iter().zip(answers) {
            match answer {
                // By itself, and again if need be.
                Err(error) if error.code.is_transient() => large.push(digest),
                answer => {
                    let named = |error: Error| error.context(format_args!("blob {digest}"));
                    found.insert(digest, answer.map_err(named));
                }
            }
        }
    }
    let streams = large.into_iter().map(|digest| async move {
        (digest, fetch_view(backend.cas.as_ref(), View::whole(digest), deadline).await)
    });
    let streamed: Vec<_> = stream::iter(streams).buffer_unordered(STREAMS).collect().await;
    found.extend(streamed);
    Ok(found)
}

/// Downloads part of a blob into memory, starting anew when a stream breaks; a whole blob is
/// verified. Where the backend cannot read a part, it is read from the beginning.
///
/// # Errors
/// `NotFound` when the blob is gone, `DataLoss` when other bytes came.
pub async fn fetch_view(cas: &dyn Cas, view: View, deadline: Deadline) -> Result<Bytes> {
    if view.length == 0 {
        return Ok(Bytes::new());
    }
    let read = || read_view(cas, view, deadline);
    match restarting("ByteStream.Read", view.digest, deadline, read).await {
        Err(error)
            if !view.is_whole() && matches!(error.code, Code::DataLoss | Code::Unimplemented) =>
        {
            tracing::debug!(%error, "no part can be read: it is read from the beginning");
            read_from_start(cas, view, deadline).await
        }
        read => read,
    }
}

/// Carries a blob by a stream, beginning anew when one breaks: a few times, within the deadline.
///
/// # Errors
/// As the last stream did, naming the blob; at once for what will not pass by itself.
pub async fn restarting<T, F>(
    what: &str,
    digest: Digest,
    deadline: Deadline,
    stream: impl Fn() -> F,
) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let mut backoff = Backoff::new(FIRST_DELAY, MAX_DELAY);
    let mut tried = 0;
    loop {
        tried += 1;
        let error = match deadline.bound(what, stream()).await {
            Ok(carried) => return Ok(carried),
            Err(error) => error,
        };
        let delay = backoff.delay();
        if !error.code.is_transient() || tried >= TRIES || deadline.remaining() <= delay {
            return Err(error.context(format_args!("blob {digest}")));
        }
        tracing::debug!(%error, %digest, what, "a stream broke, beginning anew");
        tokio::time::sleep(delay).await;
    }
}

async fn read_view(cas: &dyn Cas, view: View, deadline: Deadline) -> Result<Bytes> {
    let length = usize::try_from(view.length)
        .map_err(|_| Error::new(Code::ResourceExhausted, "larger than memory"))?;
    let mut pieces = cas.download_stream(view, deadline).await?;
    let mut contents = BytesMut::new();
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        if contents.len() + piece.len() > length {
            return Err(Error::new(Code::DataLoss, "more bytes than asked for"));
        }
        if contents.is_empty() && piece.len() == length {
            // One message held it all: no copy.
            contents = piece.try_into_mut().unwrap_or_else(|piece| BytesMut::from(&piece[..]));
            continue;
        }
        contents.reserve(length - contents.len());
        contents.extend_from_slice(&piece);
    }
    if contents.len() < length {
        return Err(Error::new(Code::Unavailable, "stream ended early"));
    }
    if view.is_whole() && Digest::of(&contents) != view.digest {
        tracing::error!(digest = %view.digest, "the backend answered other bytes than asked for");
        return Err(Error::new(Code::DataLoss, "other bytes than its digest"));
    }
    Ok(contents.freeze())
}

/// Downloads the first `length` bytes of a blob that has as many, unverified, and hangs up.
///
/// # Errors
/// `NotFound` when the blob is gone, or as the backend said.
pub async fn fetch_start(
    cas: &dyn Cas,
    digest: Digest,
    length: u64,
    deadline: Deadline,
) -> Result<Bytes> {
    read_from_start(cas, View { digest, offset: 0, length }, deadline).await
}

/// Reads a part without asking for one: some backends refuse to, and all bear a reader that leaves.
async fn read_from_start(cas: &dyn Cas, view: View, deadline: Deadline) -> Result<Bytes> {
    let length = usize::try_from(view.length)
        .map_err(|_| Error::new(Code::ResourceExhausted, "larger than memory"))?;
    restarting("ByteStream.Read", view.digest, deadline, || async move {
        let mut pieces = cas.download_stream(View::whole(view.digest), deadline).await?;
        let (mut skipped, mut part) = (0, BytesMut::new());
        while part.len() < length {
            let ended = || Error::new(Code::Unavailable, "stream ended early");
            let mut piece = pieces.next().await.ok_or_else(ended)??;
            let before = (view.offset - skipped).min(piece.len() as u64);
            skipped += before;
            // No more than the piece's own length, which is a usize.
            piece.advance(usize::try_from(before).unwrap_or(piece.len()));
            part.extend_from_slice(&piece[..piece.len().min(length - part.len())]);
        }
        Ok(part.freeze())
    })
    .await
}
