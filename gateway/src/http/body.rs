//! Request bodies: capped as sent and as inflated, and never waited for without an end.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use goma_common::shards::Source;
use goma_common::{Code, Error, Result};
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http_body_util::BodyExt;
use prost::Message;

use super::encoding::{Encoding, inflate};
use super::weight::{Weighed, weight};
use crate::admission::Permit;
use crate::gateway::Gateway;
use crate::metrics::UnderWay;
use crate::trail::{note, stage, step};

/// A body that brings nothing for so long is given up.
const SILENCE: Duration = Duration::from_secs(30);
/// A body as a whole; slow lines get through, trickling does not hold room for ever.
const WHOLE: Duration = Duration::from_secs(300);
/// Where a body and what it inflates to are more than this, a thread for blocking work inflates it.
const INFLATE_INLINE: usize = 384 << 10;

/// What the fields of a message with short names take, in times of its size; room for it is waited for, and what was
/// not needed given back. Too little would be worse: a message that turns out heavier is refused where there is none left.
const USUAL_WEIGHT: usize = 8;
/// Most of the room that is waited for on account of that: three thousand inputs take it.
const WEIGHT_AWAITED: usize = 2 << 20;

/// A decoded message, and the room that it takes up.
pub(super) struct Received<M> {
    pub(super) message: M,
    pub(super) permit: Permit,
}

/// How many bytes a body has, as its head says; one that does not tell may have `max`.
pub(super) fn announced(headers: &HeaderMap, max: usize) -> usize {
    let told = headers.get(CONTENT_LENGTH);
    told.and_then(|length| length.to_str().ok()?.parse().ok()).unwrap_or(max)
}

/// Waits for room, then reads, inflates and decodes a message; counts say what it waits for.
///
/// # Errors
/// `InvalidArgument` for what is malformed or over a cap, `ResourceExhausted` where there is no
/// room, `DeadlineExceeded` for a body that does not come.
pub(super) async fn receive<M: Message + Default + Weighed>(
    gateway: &Gateway,
    headers: &HeaderMap,
    body: Body,
    who: Source,
    under_way: &mut UnderWay,
) -> Result<Received<M>> {
    let config = &gateway.config;
    let encoding = Encoding::of_request(headers.get(CONTENT_ENCODING))?;
    let length = announced(headers, config.max_body);
    if length > config.max_body {
        return Err(too_large("as sent", config.max_body));
    }
    let permit = stage("admit", gateway.admission.admit(who, length)).await?;
    under_way.arrives();
    let sent = stage("body", read(body, length)).await?;
    under_way.waits();
    let received = sent.len();
    let unpacked = unpack(encoding, sent, config.max_inflated, permit);
    let (message, mut permit) = stage("unpack", unpacked).await?;
    let weight = weight(&message, M::shape(), config.max_inflated);
    if weight > config.max_inflated {
        let why = format!("body: its fields take more than {} bytes", config.max_inflated);
        return Err(Error::new(Code::InvalidArgument, why));
    }
    permit.settle(message.len() + weight)?;
    let message = step("decode", || M::decode(message))
        .map_err(|error| Error::new(Code::InvalidArgument, format!("body: {error}")))?;
    note(|told| told.received = received);
    Ok(Received { message, permit })
}

/// Reads at most `max` bytes, for which there is room.
async fn read(mut body: Body, max: usize) -> Result<Bytes> {
    let whole = async {
        let (mut first, mut whole) = (Bytes::new(), Vec::new());
        loop {
            let frame = tokio::time::timeout(SILENCE, body.frame()).await.map_err(|_| {
                Error::new(Code::DeadlineExceeded, "body: nothing came for too long")
            })?;
            let Some(frame) = frame else { break };
            let frame = frame
                .map_err(|error| Error::new(Code::InvalidArgument, format!("body: {error}")))?;
            let Ok(piece) = frame.into_data() else { continue };
            if first.len() + whole.len() + piece.len() > max {
                return Err(too_large("as sent", max));
            }
            // Most come in one piece, which is not copied. Many pieces are not kept: each takes room
            // beside its bytes, however few those are.
            if whole.is_empty() && first.is_empty() {
                first = piece;
                continue;
            }
            if whole.is_empty() {
                // At once, since to grow takes twice the room; what is not filled takes none.
                whole.reserve_exact(max);
                whole.extend_from_slice(&std::mem::take(&mut first));
            }
            whole.extend_from_slice(&piece);
        }
        Ok(if whole.is_empty() { first } else { whole.into() })
    };
    tokio::time::timeout(WHOLE, whole)
        .await
        .map_err(|_| Error::new(Code::DeadlineExceeded, "body: took too long"))?
}

/// What the fields of a message of this size may take, unless it is an unusual one.
fn usual_weight(size: usize) -> usize {
    size.saturating_mul(USUAL_WEIGHT).min(WEIGHT_AWAITED)
}

/// Waits for room to work on what was sent, and inflates it there.
async fn unpack(
    encoding: Encoding,
    sent: Bytes,
    max: usize,
    mut permit: Permit,
) -> Result<(Bytes, Permit)> {
    let expected = encoding.expected_size(&sent, max)?;
    let size = sent.len() + expected;
    permit.arrived(size + usual_weight(sent.len().max(expected))).await?;
    // The permit goes along: a thread goes on when its request has been given up.
    let inflate = move || {
        let sent_length = sent.len();
        let room = |bytes| permit.grow_to(sent_length + bytes);
        let message = inflate(encoding, sent, expected, max, room)?;
        Ok((message, permit))
    };
    if encoding == Encoding::Identity || size <= INFLATE_INLINE {
        return inflate();
    }
    tokio::task::spawn_blocking(inflate)
        .await
        .map_err(|error| Error::new(Code::Internal, error.to_string()))?
}

fn too_large(how: &str, max: usize) -> Error {
    Error::new(Code::InvalidArgument, format!("body: larger than {max} bytes {how}"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc;

    use futures::{FutureExt, stream};
    use goma_proto::api::{ExecReq, exec_req};

    use super::super::compress::deflate;
    use super::*;
    use crate::admission::Admission;
    use crate::posted::Posted;

    const ROOM: usize = 2 << 20;

    fn admission() -> Admission {
        Admission::new(10, 2 * ROOM, 1, Duration::from_secs(30))
    }

    /// Compressed to far less than is usual.
    fn zeros(size: usize) -> Bytes {
        let (encoding, zeros) = deflate(Encoding::Gzip, Bytes::from(vec![0; size]));
        assert!(encoding == Encoding::Gzip && zeros.len() < size / 50);
        zeros
    }

    #[tokio::test]
    async fn a_body_comes_together_whatever_its_pieces() {
        for pieces in [&[][..], &["one"], &["one", "", "two"], &["", "one", "two", "three"]] {
            let whole = pieces.concat();
            let stream = stream::iter(pieces.iter().copied().map(Ok::<_, Error>));
            let read = read(Body::from_stream(stream), whole.len()).await.expect("a body");
            assert_eq!(read, whole);
            let stream = stream::iter(pieces.iter().copied().map(Ok::<_, Error>));
            let cap = whole.len().saturating_sub(1);
            assert_eq!(
                super::read(Body::from_stream(stream), cap).await.is_err(),
                cap < whole.len()
            );
        }
    }

    #[tokio::test]
    async fn pieces_are_not_kept() {
        struct Piece {
            byte: [u8; 1],
            _alive: Arc<()>,
        }
        impl AsRef<[u8]> for Piece {
            fn as_ref(&self) -> &[u8] {
                &self.byte
            }
        }
        let alive = Arc::new(());
        let pieces = (0..100).map(move |_| {
            assert!(Arc::strong_count(&alive) <= 2, "one and the first at most");
            Ok::<_, Error>(Bytes::from_owner(Piece { byte: [0], _alive: alive.clone() }))
        });
        let pieces = stream::iter(pieces);
        let read = read(Body::from_stream(pieces), 100).await.expect("a body");
        assert_eq!(read.len(), 100);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_inflates_to_much_waits_for_room() {
        let admission = admission();
        let permit = admission.admit(Source::default(), 1).await.expect("room");
        let first = unpack(Encoding::Gzip, zeros(ROOM / 2), ROOM, permit).await.expect("room");
        let permit = admission.admit(Source::default(), 1).await.expect("room");
        let second = unpack(Encoding::Gzip, zeros(ROOM / 2), ROOM, permit);
        let (second, ()) = tokio::join!(second, async {
            tokio::time::sleep(Duration::from_secs(20)).await;
            drop(first);
        });
        assert_eq!(second.expect("it waited").0.len(), ROOM / 2);
    }

    #[tokio::test]
    async fn a_body_that_lies_about_its_size_gets_no_more_than_there_is() {
        let admission = admission();
        let mut lie = zeros(ROOM).to_vec();
        let end = lie.len() - 4;
        lie[end..].fill(0);
        let permit = admission.admit(Source::default(), 1).await.expect("room");
        let error = unpack(Encoding::Gzip, lie.into(), ROOM, permit).await.err().expect("no room");
        assert_eq!(error.code, Code::ResourceExhausted, "{error}");
    }

    #[test]
    fn what_compiles_weigh_is_waited_for() {
        for (inputs, name) in
            [(100, "a.h"), (500, "include/header-1.h"), (3000, "include/header.h")]
        {
            let input = exec_req::Input {
                filename: Some(name.to_owned()),
                hash_key: Some("ab".repeat(32)),
                content: None,
            };
            let request = ExecReq { input: vec![input; inputs], ..Default::default() };
            let message = request.encode_to_vec();
            let weight = weight(&message, Posted::shape(), usize::MAX);
            assert!(weight <= usual_weight(message.len()), "{inputs} inputs: {weight} bytes");
        }
    }

    #[test]
    fn what_a_thread_works_on_takes_room_until_it_is_done() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .max_blocking_threads(1)
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let admission = admission();
            let (finish, finished) = mpsc::channel::<()>();
            let busy = tokio::task::spawn_blocking(move || finished.recv().is_err());
            let permit = admission.admit(Source::default(), 1).await.expect("room");
            let given_up = unpack(Encoding::Gzip, zeros(ROOM / 2), ROOM, permit).now_or_never();
            assert!(given_up.is_none(), "there was no thread for it");
            let mut next = admission.admit(Source::default(), 1).await.expect("room");
            assert!(next.arrived(ROOM).now_or_never().is_none(), "its room is taken");
            drop(finish);
            assert!(busy.await.expect("no panic"));
            next.arrived(ROOM).await.expect("its room is free again");
        });
    }
}
