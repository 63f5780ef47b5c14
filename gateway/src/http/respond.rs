//! Answers in the form that the stock client expects.

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Body;
use goma_common::Error;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use prost::Message;

use super::answer_body::AnswerBody;
use super::encoding::Encoding;
use super::packed::PackedAnswers;
use crate::answer::Answer;
use crate::identity::Denied;

/// The client takes how it may compress its next requests from each 200; without this it stops.
const WE_ACCEPT: HeaderValue = HeaderValue::from_static("gzip, deflate");
const PROTOBUF: HeaderValue = HeaderValue::from_static("binary/x-protocol-buffer");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// An answer, compressed as the request's headers allow; `kept` is, like the answer's room, until it has been written.
pub(super) async fn message(
    packed: &Arc<PackedAnswers>,
    answer: Answer<impl Message>,
    request: &HeaderMap,
    kept: impl Send + Unpin + 'static,
) -> Response<Body> {
    let encoding = Encoding::for_answer(request.get(ACCEPT_ENCODING));
    let Answer { message, own, room, parts } = answer;
    let (encoding, answer) = packed.pack(encoding, own, message, parts).await;
    let mut response = ok(Body::new(AnswerBody::new(answer, (kept, room))), PROTOBUF);
    if let Some(name) = encoding.name() {
        response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static(name));
    }
    response
}

/// 200 with words.
pub(super) fn words(words: &'static str) -> Response<Body> {
    ok(words.into(), TEXT)
}

fn ok(body: Body, content_type: HeaderValue) -> Response<Body> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(ACCEPT_ENCODING, WE_ACCEPT);
    response
}

/// Any other status, with words for the person who looks.
pub(super) fn refuse(status: StatusCode, words: impl Into<String>) -> Response<Body> {
    let mut words = words.into();
    words.push('\n');
    let mut response = Response::new(Body::from(words));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, TEXT);
    response
}

/// The status that makes the client do the right thing about this error.
pub(super) fn error(error: &Error) -> Response<Body> {
    refuse(error.code.http(), error.message.clone())
}

/// What a client is told that is not served for who it is, or is not known to be.
pub(super) fn denied(denied: &Denied, path: &str, from: IpAddr) -> Response<Body> {
    let (status, why) = match denied {
        Denied::Unknown(why) => (StatusCode::UNAUTHORIZED, why),
        Denied::Forbidden(why) => (StatusCode::FORBIDDEN, why),
        Denied::Later(error) => (StatusCode::SERVICE_UNAVAILABLE, &error.message),
    };
    tracing::warn!(path, %from, %status, why, "denied a request");
    refuse(status, why.clone())
}
