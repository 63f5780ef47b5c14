//! Request bodies: capped as sent and as inflated, and never waited for without an end.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use goma_common::{Code, Error, Result};
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http_body_util::BodyExt;
use prost::Message;

use super::encoding::{Encoding, inflate};
use crate::admission::Permit;
use crate::gateway::Gateway;

/// A body that brings nothing for so long is given up.
const SILENCE: Duration = Duration::from_secs(30);
/// A body as a whole; slow lines get through, trickling does not hold room for ever.
const WHOLE: Duration = Duration::from_secs(300);
/// How much larger than it was sent a compressed request is taken to be until it is inflated; the
/// stock client's are 2.5 to 5 times.
const USUAL_RATIO: usize = 5;
/// More than this is inflated on a thread for blocking work.
const INFLATE_INLINE: usize = 64 << 10;

/// A decoded message, and the room that it takes up.
pub(super) struct Received<M> {
    pub(super) message: M,
    pub(super) permit: Permit,
}

/// Waits for room, then reads, inflates and decodes a message.
///
/// # Errors
/// `InvalidArgument` for what is malformed or over a cap, `ResourceExhausted` where there is no
/// room, `DeadlineExceeded` for a body that does not come.
pub(super) async fn receive<M: Message + Default>(
    gateway: &Gateway,
    headers: &HeaderMap,
    body: Body,
) -> Result<Received<M>> {
    let config = &gateway.config;
    let encoding = Encoding::of_request(headers.get(CONTENT_ENCODING))?;
    let length =
        headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > config.max_body) {
        return Err(too_large("as sent", config.max_body));
    }
    // One that does not tell its length may be anything.
    let length = length.unwrap_or(config.max_body);
    let guess = match encoding {
        Encoding::Identity => length,
        _ => length + (length.saturating_mul(USUAL_RATIO)).min(config.max_inflated),
    };
    let mut permit = gateway.admission.admit(guess).await?;
    let sent = read(body, config.max_body).await?;
    let sent_length = sent.len();
    let message = match encoding {
        Encoding::Identity => sent,
        encoding if sent_length <= INFLATE_INLINE => inflate(encoding, sent, config.max_inflated)?,
        encoding => {
            let max = config.max_inflated;
            tokio::task::spawn_blocking(move || inflate(encoding, sent, max))
                .await
                .map_err(|error| Error::new(Code::Internal, error.to_string()))??
        }
    };
    if encoding != Encoding::Identity && sent_length + message.len() > guess {
        permit.grow_to(sent_length + message.len())?;
    }
    let message = M::decode(message)
        .map_err(|error| Error::new(Code::InvalidArgument, format!("body: {error}")))?;
    Ok(Received { message, permit })
}

async fn read(mut body: Body, max: usize) -> Result<Bytes> {
    let whole = async {
        let (mut pieces, mut length) = (Vec::new(), 0);
        loop {
            let frame = tokio::time::timeout(SILENCE, body.frame()).await.map_err(|_| {
                Error::new(Code::DeadlineExceeded, "body: nothing came for too long")
            })?;
            let Some(frame) = frame else { break };
            let frame = frame
                .map_err(|error| Error::new(Code::InvalidArgument, format!("body: {error}")))?;
            let Ok(piece) = frame.into_data() else { continue };
            length += piece.len();
            if length > max {
                return Err(too_large("as sent", max));
            }
            pieces.push(piece);
        }
        Ok(match pieces.len() {
            0 => Bytes::new(),
            1 => pieces.swap_remove(0),
            _ => pieces.concat().into(),
        })
    };
    tokio::time::timeout(WHOLE, whole)
        .await
        .map_err(|_| Error::new(Code::DeadlineExceeded, "body: took too long"))?
}

fn too_large(how: &str, max: usize) -> Error {
    Error::new(Code::InvalidArgument, format!("body: larger than {max} bytes {how}"))
}
