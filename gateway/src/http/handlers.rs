//! The routes, one function each.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use goma_common::reapi::with_account;
use goma_common::{Deadline, Result};
use goma_proto::api::{
    LookupFileReq, LookupFileResp, SaveLogReq, SaveLogResp, StoreFileReq, StoreFileResp,
};
use http::{Method, Request, Response, StatusCode};
use prost::Message;
use tracing::Span;

use super::body::{self, Received, receive};
use super::respond;
use super::watched::{end, watched};
use super::weight::Weighed;
use crate::answer::Answer;
use crate::gateway::Gateway;
use crate::identity::Caller;
use crate::metrics::UnderWay;
use crate::peer::Peer;
use crate::posted::Posted;
use crate::source;
use crate::trail::{End, Kind, note, stage};

/// From the head of a request to its answer, waiting for room and for its body included. The stock
/// client waits 610 s for the first byte of an answer and takes its absence worse than a 5xx, which
/// it may try again; the ten seconds are for the answer to be encoded and to travel.
const ANSWER: Duration = Duration::from_secs(600);
/// Readiness is told within this.
const PROBE: Duration = Duration::from_secs(3);
/// Storing or looking up the files of one request.
const FILES: Duration = Duration::from_secs(300);

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
        serve(&gateway, request, |request: Posted, caller, deadline| {
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
        Ok(StoreFileResp { hash_key: keys }.into())
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
        Ok(Answer { room: Some(room), ..LookupFileResp { blob }.into() })
    };
    watched(gateway, Kind::Lookup, request, async |request| serve(gateway, request, lookup).await)
        .await
}

/// SaveLog: the client's telemetry, counted.
pub(super) async fn save_log(State(gateway): Shared, request: Request<Body>) -> Response<Body> {
    let count = |request: SaveLogReq, _, _| async move {
        tracing::debug!(logs = request.exec_log.len(), "client logs");
        note(|told| told.inputs = request.exec_log.len());
        Ok(SaveLogResp {}.into())
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
    F: Future<Output = Result<Answer<A>>>,
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
    let received = receive(gateway, &head.headers, body, who, &mut under_way);
    let received = deadline.bound("request", received).await;
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
        Ok(answer) => {
            end(End::Done);
            stage("answer", respond::message(&gateway.packed, answer, &head.headers, entered)).await
        }
        Err(error) => {
            end(End::Failed(error.to_string()));
            respond::error(&error)
        }
    };
    drop(permit);
    response
}

/// Who speaks on the connection of a request.
fn peer(extensions: &http::Extensions) -> Arc<Peer> {
    extensions.get::<Arc<Peer>>().cloned().unwrap_or_default()
}
