//! One accepted connection, from its first byte to its end.
//!
//! The stock client reuses an idle connection for up to 5 s without looking whether it is still
//! open, so none is closed under it before that, not even when the process ends.
//!
//! A peer that speaks HTTP/2 can be told to go elsewhere while its requests are served, and may
//! never be idle otherwise: a balancer sends the requests of many clients over one connection.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::BoxError;
use axum::Router;
use axum::body::Body;
use goma_common::drain::Drain;
use http::header::CONNECTION;
use http::{HeaderValue, Request, Response, Version};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::activity::{Activity, Busy, body_of};
use crate::peer::Peer;

/// The client's own limit is just below 5 s.
const REUSED_WITHIN: Duration = Duration::from_millis(5500);
/// A connection on which no request begins for so long is closed; balancers in front keep theirs
/// for a minute.
const IDLE: Duration = Duration::from_secs(120);
/// What is read ahead on an HTTP/1 connection, and so the longest head of a request.
const READ_AHEAD: usize = 64 << 10;
/// Requests under way on one HTTP/2 connection: a balancer sends those of many clients over one. The
/// peer that begins and takes back hundreds that nobody has looked at yet is hung up on by `h2` itself.
const STREAMS: u32 = 200;
/// A peer that takes not one byte of what is written to it for so long is hung up on.
const STALLED: Duration = Duration::from_secs(60);
/// How long a connection outlives the listener. A request that begins while the client may still
/// reuse its connection is answered 603 s later at most; the rest is for the answer to travel. Only a
/// peer that does not read its answers is still there then.
const LAST: Duration = Duration::from_secs(610);

/// What a connection is told about the end of the process.
#[derive(Clone, Default)]
pub(crate) struct Ending {
    /// Answers say that they are the last on their connection.
    pub(crate) drain: Drain,
    /// The listener is closed: a balancer has had time to see that this process is not ready.
    pub(crate) closed: CancellationToken,
}

/// Serves a connection until its peer or the end of the process ends it.
///
/// # Errors
/// What its peer did wrong, or that it took longer than the process waits for.
pub(crate) async fn serve<S>(
    stream: S,
    peer: Peer,
    app: Router,
    ending: Ending,
) -> Result<(), BoxError>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let (peer, activity) = (Arc::new(peer), Arc::new(Activity::default()));
    let h2 = CancellationToken::new();
    let service = {
        let (activity, drain, h2) = (activity.clone(), ending.drain.clone(), h2.clone());
        service_fn(move |mut request: Request<hyper::body::Incoming>| {
            request.extensions_mut().insert(peer.clone());
            let (app, drain, busy) = (app.clone(), drain.clone(), Busy::begin(activity.clone()));
            let version = request.version();
            if version == Version::HTTP_2 {
                h2.cancel();
            }
            async move {
                let response = app.oneshot(request.map(Body::new)).await;
                let mut response = response.unwrap_or_else(|never| match never {});
                if drain.has_begun() && version < Version::HTTP_2 {
                    say_close(&mut response);
                }
                Ok::<_, Infallible>(response.map(|body| body_of(body, busy)))
            }
        })
    };
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().timer(TokioTimer::new()).header_read_timeout(IDLE).title_case_headers(true);
    server.http1().max_buf_size(READ_AHEAD);
    server.http2().timer(TokioTimer::new()).keep_alive_interval(Duration::from_secs(30));
    server.http2().max_concurrent_streams(STREAMS);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(STALLED));
    let stream = TokioIo::new(Box::pin(stream));
    let mut connection = pin!(server.serve_connection(stream, service));
    // Before the first request the version may be unknown, and a graceful end would hang up.
    let told_to_go = async { tokio::join!(h2.cancelled(), ending.closed.cancelled()) };
    let idle = async {
        ending.drain.begun().await;
        activity.idle_for(REUSED_WITHIN).await;
    };
    // One that says nothing, or never begins a request, costs a file descriptor.
    let silent = activity.idle_for(IDLE);
    let served = async {
        tokio::select! {
            ended = connection.as_mut() => return ended,
            _ = told_to_go => {}
            () = idle => {}
            () = silent => {}
        }
        connection.as_mut().graceful_shutdown();
        connection.await
    };
    let last = async {
        ending.closed.cancelled().await;
        tokio::time::sleep(LAST).await;
    };
    tokio::select! {
        ended = served => ended,
        () = last => Err(format!("not over {} s after the listener", LAST.as_secs()).into()),
    }
}

/// Spelled as the client compares it.
fn say_close(response: &mut Response<Body>) {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use http::StatusCode;
    use hyper::client::conn::{http1, http2};
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
    use tokio::task::JoinHandle;
    use tokio::time::{Instant, sleep};

    use super::*;

    type Served = JoinHandle<Result<(), BoxError>>;

    /// A connection to routes that answer at once, in 20 s and never.
    fn open(ending: &Ending) -> (DuplexStream, Served) {
        let app = Router::new()
            .route("/quick", get(async || "quick"))
            .route("/slow", get(async || sleep(seconds(20)).await))
            .route("/large", get(async || vec![7; 1 << 20]))
            .route("/endless", get(std::future::pending::<()>));
        let (ours, theirs) = tokio::io::duplex(4096);
        (ours, tokio::spawn(serve(theirs, Peer::default(), app, ending.clone())))
    }

    async fn h1(stream: DuplexStream) -> http1::SendRequest<String> {
        let (sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.expect("a connection");
        tokio::spawn(connection);
        sender
    }

    async fn h2(stream: DuplexStream) -> http2::SendRequest<String> {
        let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .expect("a connection");
        tokio::spawn(connection);
        sender
    }

    fn request(path: &str) -> Request<String> {
        let url = format!("http://goma{path}");
        Request::get(url).body(String::new()).expect("a request")
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// As [`crate::server::serve`] does it, once the balancer has had its time.
    async fn end(ending: &Ending) {
        ending.drain.begin();
        sleep(seconds(3)).await;
        ending.closed.cancel();
    }

    #[tokio::test(start_paused = true)]
    async fn an_h2_connection_that_is_never_idle_ends_with_what_is_under_way() {
        let ending = Ending::default();
        let (stream, served) = open(&ending);
        let mut client = h2(stream).await;
        let ended = tokio::spawn({
            let ending = ending.clone();
            async move {
                sleep(Duration::from_millis(10_500)).await;
                end(&ending).await;
                served.await.expect("no panic").expect("a good end");
                Instant::now()
            }
        });
        let begun = Instant::now();
        // One begins in each second, and each takes 20 of them.
        let mut requests = Vec::new();
        for _ in 0..60 {
            requests.push(tokio::spawn(client.send_request(request("/slow"))));
            sleep(seconds(1)).await;
        }
        // The listener is closed at 13.5 s.
        for (second, request) in requests.into_iter().enumerate() {
            let answer = request.await.expect("no panic");
            let status = answer.map(|answer| answer.status()).ok();
            assert_eq!(status, (second < 14).then_some(StatusCode::OK), "at {second} s");
        }
        let took = ended.await.expect("a good end") - begun;
        assert!((seconds(33)..seconds(34)).contains(&took), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_http1_connection_stays_as_long_as_its_client_may_reuse_it() {
        let ending = Ending::default();
        let (stream, served) = open(&ending);
        let mut client = h1(stream).await;
        client.send_request(request("/quick")).await.expect("an answer");
        end(&ending).await;
        sleep(seconds(2)).await;
        client.ready().await.expect("still open");
        let answer = client.send_request(request("/quick")).await.expect("an answer");
        assert_eq!(answer.headers()[CONNECTION], "close");
        served.await.expect("no panic").expect("a good end");
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_whose_first_request_comes_at_the_end_is_served() {
        let ending = Ending::default();
        let (first, first_served) = open(&ending);
        let (second, second_served) = open(&ending);
        end(&ending).await;
        sleep(seconds(2)).await;
        let (mut first, mut second) = (h1(first).await, h2(second).await);
        let answer = first.send_request(request("/quick")).await.expect("an answer");
        assert_eq!(answer.headers()[CONNECTION], "close");
        let answer = second.send_request(request("/slow")).await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK);
        first_served.await.expect("no panic").expect("a good end");
        second_served.await.expect("no panic").expect("a good end");
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_never_sends_a_request_is_closed() {
        for start in ["", "G", "GET /quick HTTP/1.1\r\nHost: goma\r\n", "PRI * HTTP/2.0\r\n"] {
            let (mut stream, served) = open(&Ending::default());
            stream.write_all(start.as_bytes()).await.expect("it listens");
            let closed = tokio::time::timeout(2 * IDLE, served).await;
            drop(closed.unwrap_or_else(|_| panic!("{start:?}: still open")).expect("no panic"));
        }
        let (stream, served) = open(&Ending::default());
        let mut client = h2(stream).await;
        let quick = client.send_request(request("/quick")).await.expect("an answer");
        assert_eq!(quick.status(), StatusCode::OK);
        // A slow request is none of this.
        sleep(IDLE - seconds(10)).await;
        client.send_request(request("/slow")).await.expect("an answer");
        sleep(IDLE / 2).await;
        assert!(!served.is_finished());
        // Its client hangs up as well.
        drop(tokio::time::timeout(IDLE, served).await.expect("closed").expect("no panic"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_is_as_long_as_what_is_read_ahead() {
        let (mut stream, served) = open(&Ending::default());
        let head =
            format!("GET /quick HTTP/1.1\r\nHost: goma\r\nx: {}\r\n", "x".repeat(READ_AHEAD));
        let mut sent = head.as_bytes().chunks(1000);
        while let Some(piece) = sent.next()
            && stream.write_all(piece).await.is_ok()
        {}
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.expect("an answer");
        assert_eq!(&answer, b"HTTP/1.1 431");
        drop(served.await.expect("no panic"));
    }

    #[tokio::test(start_paused = true)]
    async fn one_who_does_not_read_is_hung_up_on_and_one_who_reads_slowly_is_not() {
        for reads in [false, true] {
            let (mut stream, served) = open(&Ending::default());
            stream.write_all(b"GET /large HTTP/1.1\r\nHost: g\r\n\r\n").await.expect("it listens");
            let began = Instant::now();
            let mut piece = [0; 4096];
            while reads && began.elapsed() < 4 * STALLED {
                sleep(STALLED / 2).await;
                stream.read_exact(&mut piece).await.expect("more of it");
            }
            let error = served.await.expect("no panic").expect_err("it was cut");
            assert!(format!("{error:?}").contains("TimedOut"), "{error:?}");
            let took = began.elapsed();
            assert_eq!(took >= 4 * STALLED, reads, "{took:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_connection_outlives_the_listener_for_long() {
        let ending = Ending::default();
        let (first, first_served) = open(&ending);
        let (second, second_served) = open(&ending);
        let (mut first, mut second) = (h1(first).await, h2(second).await);
        let first = tokio::spawn(first.send_request(request("/endless")));
        let second = tokio::spawn(second.send_request(request("/endless")));
        sleep(seconds(1)).await;
        end(&ending).await;
        let closed = Instant::now();
        for served in [first_served, second_served] {
            let error = served.await.expect("no panic").expect_err("given up");
            assert!(error.to_string().contains("610 s"), "{error}");
            assert!((seconds(609)..seconds(612)).contains(&closed.elapsed()));
        }
        first.await.expect("no panic").expect_err("cut");
        second.await.expect("no panic").expect_err("cut");
    }
}
