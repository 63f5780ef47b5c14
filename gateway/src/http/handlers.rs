//! The routes, one function each.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use goma_common::reapi::with_account;
use goma_common::telemetry::trace_context;
use goma_common::{Deadline, Result};
use goma_proto::api::{
    ExecReq, LookupFileReq, LookupFileResp, SaveLogReq, SaveLogResp, StoreFileReq, StoreFileResp,
};
use http::{Method, Request, Response, StatusCode};
use http_body::Body as _;
use prost::Message;
use tracing::{Instrument, Span};

use super::body::{self, Received, receive};
use super::respond;
use super::weight::Weighed;
use crate::gateway::Gateway;
use crate::identity::Caller;
use crate::metrics::{self, UnderWay};
use crate::peer::Peer;
use crate::room::Taken;
use crate::source;
use crate::trail::{End, Ended, Kind, Trail, note, span, stage, timing};

/// From the head of a request to its answer, waiting for room and for its body included. The stock
/// client waits 610 s for the first byte of an answer and takes its absence worse than a 5xx, which
/// it may try again; the ten seconds are for the answer to be encoded and to travel.
const ANSWER: Duration = Duration::from_secs(600);
/// Readiness is told within this.
const PROBE: Duration = Duration::from_secs(3);
/// Storing or looking up the files of one request.
const FILES: Duration = Duration::from_secs(300);

/// In the counts, of a request whose client went first; nobody is sent it.
const CLIENT_LEFT: StatusCode = match StatusCode::from_u16(499) {
    Ok(status) => status,
    Err(_) => StatusCode::BAD_REQUEST,
};

type Shared = State<Arc<Gateway>>;

/// Is this user let in, and can we serve? Asked once when a client starts.
pub(super) async fn ping(State(gateway): Shared, request: Request<Body>) -> Response<Body> {
    let peer = peer(request.extensions());
    if let Err(denied) = gateway.identity.identify(request.headers(), &peer).await {
        return respond::denied(&denied, request.uri().path(), peer.client(request.headers()));
    }
    match gateway.readiness(Deadline::after(PROBE)).await {
        Ok(()) => respond::words("ok\n"),
        Err(error) => respond::error(&error),
    }
}

/// Exec: a compile.
pub(super) async fn exec(State(gateway): Shared, request: Request<Body>) -> Response<Body> {
    watched(&gateway, Kind::Exec, request, async |request| {
        serve(&gateway, request, |request: ExecReq, caller, deadline| {
            gateway.compile(request, caller, deadline)
        })
        .await
    })
    .await
}

/// StoreFile: contents in, their keys out.
pub(super) async fn store(State(gateway): Shared, request: Request<Body>) -> Response<Body> {
    let gateway = gateway.as_ref();
    let store = |request: StoreFileReq, caller: Caller, deadline: Deadline| async move {
        let source = source::of(&caller, request.requester_info.as_ref());
        note(|told| (told.inputs, told.embedded) = (request.blob.len(), request.blob.len()));
        let keys = gateway
            .store_files(request.blob, caller.tenant, source, deadline.at_most(FILES))
            .await?;
        Ok((StoreFileResp { hash_key: keys }, None))
    };
    watched(gateway, Kind::Store, request, async |request| serve(gateway, request, store).await)
        .await
}

/// LookupFile: keys in, contents out.
pub(super) async fn lookup(State(gateway): Shared, request: Request<Body>) -> Response<Body> {
    let gateway = gateway.as_ref();
    let lookup = |request: LookupFileReq, caller: Caller, deadline: Deadline| async move {
        let deadline = deadline.at_most(FILES);
        note(|told| told.inputs = request.hash_key.len());
        let (blob, room) = gateway.lookup_files(request.hash_key, &caller, deadline).await?;
        Ok((LookupFileResp { blob }, Some(room)))
    };
    watched(gateway, Kind::Lookup, request, async |request| serve(gateway, request, lookup).await)
        .await
}

/// SaveLog: the client's telemetry, counted.
pub(super) async fn save_log(State(gateway): Shared, request: Request<Body>) -> Response<Body> {
    let count = |request: SaveLogReq, _, _| async move {
        tracing::debug!(logs = request.exec_log.len(), "client logs");
        note(|told| told.inputs = request.exec_log.len());
        Ok((SaveLogResp {}, None))
    };
    watched(&gateway, Kind::Log, request, async |request| serve(&gateway, request, count).await)
        .await
}

/// Is the process alive?
pub(super) async fn healthz() -> Response<Body> {
    respond::words("ok\n")
}

/// May traffic be sent here?
pub(super) async fn readyz(State(gateway): Shared) -> Response<Body> {
    if gateway.drain.has_begun() {
        return respond::refuse(StatusCode::SERVICE_UNAVAILABLE, "draining");
    }
    match gateway.readiness(Deadline::after(PROBE)).await {
        Ok(()) => respond::words("ok\n"),
        Err(error) => respond::refuse(StatusCode::SERVICE_UNAVAILABLE, error.message),
    }
}

/// Anything else.
pub(super) async fn unknown_path(request: Request<Body>) -> Response<Body> {
    let path: String = request.uri().path().chars().take(200).collect();
    respond::refuse(StatusCode::NOT_FOUND, format!("no such path: {path}"))
}

/// Serves a request in the eyes of whoever looks: its trace, its metrics, the status page, and the client
/// in a header of the answer.
async fn watched(
    gateway: &Gateway,
    kind: Kind,
    request: Request<Body>,
    serve: impl AsyncFnOnce(Request<Body>) -> Response<Body>,
) -> Response<Body> {
    let whole = span::of(kind, request.headers());
    let trace = trace_context::id(&whole);
    let logged = whole.in_scope(|| span::of_logs(kind, trace.as_deref()));
    let mut watch = Watch { gateway, trail: Trail::new(kind), is_over: false };
    let work = async {
        note(|told| told.trace = trace);
        serve(request).await
    };
    let work = watch.trail.clone().follow(work).instrument(logged);
    let mut response = work.instrument(whole.clone()).await;
    let mut ended = watch.trail.ended();
    ended.told.sent = response.body().size_hint().exact().map_or(0, |bytes| bytes as usize);
    span::end(&whole, &ended, &response);
    if let Some(timing) = timing::value(&ended) {
        response.headers_mut().insert(timing::SERVER_TIMING, timing);
    }
    watch.end(ended, response.status());
    response
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

/// Reads a message, has it worked on, and answers, all by one deadline. Room for the request is held
/// until the answer is made; room for that, and the user's share, until it is written.
async fn serve<Q, A, F>(
    gateway: &Gateway,
    request: Request<Body>,
    work: impl FnOnce(Q, Caller, Deadline) -> F,
) -> Response<Body>
where
    Q: Message + Default + Weighed,
    A: Message,
    F: Future<Output = Result<(A, Option<Taken>)>>,
{
    let deadline = Deadline::after(ANSWER);
    let (head, body) = request.into_parts();
    if head.method != Method::POST {
        let why = format!("{} is not served here: the Goma client posts", head.method);
        note(|told| told.end = End::Failed(why.clone()));
        // As the original server does; the client takes all of 4xx alike.
        return respond::refuse(StatusCode::BAD_REQUEST, why);
    }
    let peer = peer(&head.extensions);
    let caller = match gateway.identity.identify(&head.headers, &peer).await {
        Ok(caller) => caller,
        Err(denied) => {
            note(|told| told.end = End::Denied(denied.why().to_owned()));
            return respond::denied(&denied, head.uri.path(), peer.client(&head.headers));
        }
    };
    caller.record(&Span::current());
    note(|told| {
        told.user.clone_from(&caller.name);
        told.from = caller.address;
    });
    let mut under_way = UnderWay::waiting();
    let bytes = body::announced(&head.headers, gateway.config.max_body);
    let (who, shares) =
        (caller.source(), caller.request_shares(gateway.config.max_user_requests, bytes));
    let entered = match stage("share", gateway.shares.enter(shares, who)).await {
        Ok(entered) => entered,
        Err(error) => {
            gateway.refuse(&error, head.uri.path());
            return respond::error(&error);
        }
    };
    let account = caller.account.clone();
    let received = deadline.bound("request", receive(gateway, &head.headers, body, who)).await;
    let Received { message, permit } = match received {
        Ok(received) => received,
        Err(error) => {
            gateway.refuse(&error, head.uri.path());
            return respond::error(&error);
        }
    };
    under_way.is_served();
    let work = with_account(account.as_ref(), work(message, caller, deadline));
    let response = match deadline.bound("request", work).await {
        Ok((answer, room)) => {
            end(End::Done);
            let kept = (entered, room);
            stage("answer", respond::message(answer, &head.headers, kept)).await
        }
        Err(error) => {
            end(End::Failed(error.to_string()));
            respond::error(&error)
        }
    };
    drop(permit);
    response
}

/// How a request ended that said nothing of it itself.
fn end(end: End) {
    note(|told| {
        if told.end == End::Left {
            told.end = end;
        }
    });
}

/// Who speaks on the connection of a request.
fn peer(extensions: &http::Extensions) -> Arc<Peer> {
    extensions.get::<Arc<Peer>>().cloned().unwrap_or_default()
}
