//! The body of an answer: handed to its connection piece by piece, as fast as that takes it, and given up
//! when it takes too long.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio_util::task::AbortOnDropHandle;

/// Bytes that a connection is handed at a time: what it has is no longer counted.
const PIECE: usize = 256 << 10;
/// However slowly somebody reads a large answer, by then it is over: the largest, of 256 MiB, at 7 Mbit/s.
const READ_WITHIN: Duration = Duration::from_secs(300);

/// A body, and whatever is kept until it has been handed on.
pub(super) struct AnswerBody<G> {
    rest: Arc<Mutex<Rest<G>>>,
    _end: Option<AbortOnDropHandle<()>>,
}

struct Rest<G> {
    bytes: Bytes,
    kept: Option<G>,
    is_late: bool,
}

impl<G: Send + 'static> AnswerBody<G> {
    pub(super) fn new(bytes: Bytes, kept: G) -> Self {
        let is_large = bytes.len() > PIECE;
        let rest = Arc::new(Mutex::new(Rest { bytes, kept: Some(kept), is_late: false }));
        // A body does nothing by itself while nobody takes from it.
        let end = is_large.then(|| AbortOnDropHandle::new(tokio::spawn(give_up(rest.clone()))));
        Self { rest, _end: end }
    }
}

async fn give_up<G>(rest: Arc<Mutex<Rest<G>>>) {
    tokio::time::sleep(READ_WITHIN).await;
    let given_up = {
        let mut rest = lock(&rest);
        rest.is_late = !rest.bytes.is_empty();
        (std::mem::take(&mut rest.bytes), rest.kept.take())
    };
    drop(given_up);
}

fn lock<G>(rest: &Mutex<Rest<G>>) -> MutexGuard<'_, Rest<G>> {
    // Each critical section is a few moves.
    rest.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<G: Unpin> Body for AnswerBody<G> {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let mut rest = lock(&self.rest);
        if rest.is_late {
            let why = "the client took too long to read its answer";
            return Poll::Ready(Some(Err(std::io::Error::new(std::io::ErrorKind::TimedOut, why))));
        }
        if rest.bytes.is_empty() {
            return Poll::Ready(None);
        }
        let length = rest.bytes.len().min(PIECE);
        let piece = rest.bytes.split_to(length);
        if rest.bytes.is_empty() {
            let kept = rest.kept.take();
            drop(rest);
            drop(kept);
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        let rest = lock(&self.rest);
        rest.bytes.is_empty() && !rest.is_late
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(lock(&self.rest).bytes.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    /// A body, and what tells whether it keeps it.
    fn body(size: usize) -> (AnswerBody<Arc<()>>, Arc<()>) {
        let told = Arc::new(());
        (AnswerBody::new(vec![7; size].into(), told.clone()), told)
    }

    fn is_kept(told: &Arc<()>) -> bool {
        Arc::strong_count(told) > 1
    }

    #[tokio::test]
    async fn it_is_handed_on_in_pieces_and_what_is_kept_goes_with_the_last() {
        let (mut body, told) = body(2 * PIECE + 1);
        assert_eq!(body.size_hint().exact(), Some(2 * PIECE as u64 + 1));
        for length in [PIECE, PIECE] {
            let piece = body.frame().await.expect("more").expect("in time");
            assert_eq!(piece.into_data().ok().map(|data| data.len()), Some(length));
            assert!(is_kept(&told));
        }
        body.frame().await.expect("more").expect("in time");
        assert!(!is_kept(&told) && body.is_end_stream());
        assert!(body.frame().await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_nobody_takes_is_given_up_and_so_is_what_is_kept() {
        let (mut large, told) = body(2 * PIECE);
        large.frame().await.expect("more").expect("in time");
        tokio::time::sleep(READ_WITHIN + Duration::from_secs(1)).await;
        assert!(!is_kept(&told) && !large.is_end_stream());
        large.frame().await.expect("an end").expect_err("no good one");
        let (small, told) = body(10);
        drop(small);
        assert!(!is_kept(&told));
    }
}
