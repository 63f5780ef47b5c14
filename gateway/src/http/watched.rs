//! A request in the eyes of whoever looks: noted from its head to its answer, and answered whatever
//! happens.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::body::Body;
use futures::FutureExt;
use goma_common::telemetry::trace_context;
use goma_common::{Code, Error};
use http::{Request, Response, StatusCode};
use http_body::Body as _;
use tracing::Instrument;

use super::respond;
use crate::gateway::Gateway;
use crate::metrics;
use crate::peer::Peer;
use crate::trail::{End, Ended, Kind, Trail, note, span, timing};

/// In the counts, of a request whose client went first; nobody is sent it.
const CLIENT_LEFT: StatusCode = match StatusCode::from_u16(499) {
    Ok(status) => status,
    Err(_) => StatusCode::BAD_REQUEST,
};

/// Serves a request in the eyes of whoever looks: its trace, its metrics, the status page, and the client
/// in a header of the answer.
pub(super) async fn watched(
    gateway: &Gateway,
    kind: Kind,
    request: Request<Body>,
    serve: impl AsyncFnOnce(Request<Body>) -> Response<Body>,
) -> Response<Body> {
    let scheme = request.extensions().get::<Arc<Peer>>().map_or("http", |peer| peer.scheme());
    let whole = span::of(kind, scheme, request.headers());
    let trace = trace_context::id(&whole);
    let logged = whole.in_scope(|| span::of_logs(kind, trace.as_deref()));
    let mut watch = Watch { gateway, trail: Trail::new(kind), is_over: false };
    // On the heap, as the layers around it would move it.
    let work = Box::pin(async {
        note(|told| told.trace = trace);
        serve(request).await
    });
    let work = watch.trail.clone().follow(unbroken(work)).instrument(logged.clone());
    let mut response = work.instrument(whole.clone()).await;
    let mut ended = watch.trail.ended();
    ended.told.sent = response.body().size_hint().exact().map_or(0, |bytes| bytes as usize);
    logged.in_scope(|| log(&ended));
    let has_failed = span::end(&whole, &ended, &response);
    if trace_context::is_sent(&whole, ended.took, has_failed) {
        metrics::is_traced(&ended);
    }
    if let Some(timing) = timing::value(&ended) {
        response.headers_mut().insert(timing::SERVER_TIMING, timing);
    }
    watch.end(ended, response.status());
    response
}

/// A line for what stores and looks up files, of which there are many a compile; a compile has its own.
fn log(ended: &Ended) {
    if matches!(ended.kind, Kind::Store | Kind::Lookup) {
        let (told, ms) = (&ended.told, ended.took.as_millis());
        let (files, received, sent) = (told.inputs, told.received, told.sent);
        let end = told.end.name();
        tracing::debug!(ms, files, received, sent, "{} of files: {end}", ended.kind.name());
    }
}

/// The response, also where making it panics: the stock client never tries again when a connection ends
/// before a header, and it does after a 500.
async fn unbroken(serve: impl Future<Output = Response<Body>>) -> Response<Body> {
    match AssertUnwindSafe(serve).catch_unwind().await {
        Ok(response) => response,
        Err(_) => {
            let error = Error::new(Code::Internal, "a defect of the server: its log has a panic");
            tracing::error!(%error, "a request ended in a panic");
            end(End::Failed(error.to_string()));
            respond::error(&error)
        }
    }
}

/// A request that is told of however it ends: its client may go at any time.
struct Watch<'a> {
    gateway: &'a Gateway,
    trail: Arc<Trail>,
    is_over: bool,
}

impl Watch<'_> {
    fn end(&mut self, ended: Ended, status: StatusCode) {
        self.is_over = true;
        metrics::ended(&ended);
        self.gateway.status.ended(ended, status.as_u16());
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            let ended = self.trail.ended();
            self.end(ended, CLIENT_LEFT);
        }
    }
}

/// How a request ended that said nothing of it itself.
pub(super) fn end(end: End) {
    note(|told| {
        if told.end == End::Left {
            told.end = end;
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_answered_as_something_that_may_pass() {
        let broken = unbroken(async { panic!("for the test") }).await;
        assert_eq!(broken.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(unbroken(async { respond::words("ok") }).await.status(), StatusCode::OK);
    }
}
