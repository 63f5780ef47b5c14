//! The port for operators: metrics, what is logged, and whatever pages a program adds.
//!
//! It tells names of users and files, and asks nobody who he is, so by default only this machine reaches
//! it.

mod args;
mod host;

use std::net::SocketAddr;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::header::{ACCEPT, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use crate::program::Failure;
use crate::telemetry::{self, metrics};

pub use args::{AdminArgs, AdminListen};

/// The format that Prometheus always read.
const METRICS: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
/// The one that it asks for.
const OPEN_METRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
/// Bytes of a filter of logs.
const MAX_BODY: usize = 4 << 10;

/// The port, bound but not yet answering.
#[derive(Debug)]
pub struct Admin(Option<TcpListener>);

/// The port while it answers: dropping this closes it.
#[derive(Debug)]
pub struct Serving {
    _task: Option<AbortOnDropHandle<()>>,
}

impl Admin {
    /// Binds what the flag says, or `default` as far as that is free.
    ///
    /// # Errors
    /// When an address that was asked for cannot be bound.
    pub async fn bind(args: &AdminArgs, default: SocketAddr) -> Result<Self, Failure> {
        let asked = match args.admin_listen {
            Some(AdminListen::Off) => return Ok(Self(None)),
            Some(AdminListen::At(address)) => Some(address),
            None => None,
        };
        let address = asked.unwrap_or(default);
        match TcpListener::bind(address).await {
            Ok(listener) => Ok(Self(Some(listener))),
            Err(error) if asked.is_some() => {
                Err(Failure::Start(format!("--admin-listen {address}: {error}")))
            }
            Err(error) => {
                tracing::warn!(%error, %address, "no admin port: choose one by --admin-listen");
                Ok(Self(None))
            }
        }
    }

    /// Answers there, with these pages beside its own.
    #[must_use]
    pub fn serve(self, pages: Router) -> Serving {
        let Some(listener) = self.0 else { return Serving { _task: None } };
        if let Ok(address) = listener.local_addr() {
            tracing::info!(%address, "admin port");
            if !address.ip().is_loopback() {
                tracing::warn!(
                    %address,
                    "the admin port asks nobody who he is: let operators alone reach it"
                );
            }
        }
        let app = app(pages);
        let task = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, app).await {
                tracing::error!(%error, "the admin port is broken");
            }
        });
        Serving { _task: Some(AbortOnDropHandle::new(task)) }
    }
}

fn app(pages: Router) -> Router {
    Router::new()
        .route("/metrics", get(prometheus))
        .route("/healthz", get(async || "ok\n"))
        .route("/log", get(async || telemetry::log_filter() + "\n").put(set_log))
        .merge(pages)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(from_fn(host::is_ours))
}

async fn prometheus(headers: HeaderMap) -> Response {
    let vary = (VARY, HeaderValue::from_name(ACCEPT));
    let accepted = headers.get(ACCEPT).and_then(|accepted| accepted.to_str().ok());
    if accepted.is_some_and(|accepted| accepted.contains("application/openmetrics-text")) {
        return ([(CONTENT_TYPE, OPEN_METRICS), vary], metrics::open_metrics()).into_response();
    }
    match metrics::text() {
        Ok(text) => ([(CONTENT_TYPE, METRICS), vary], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error).into_response(),
    }
}

async fn set_log(filter: String) -> Response {
    match telemetry::set_log_filter(filter.trim()) {
        Ok(()) => {
            tracing::info!(filter = filter.trim(), "logging by another filter");
            (telemetry::log_filter() + "\n").into_response()
        }
        Err(error) => (StatusCode::BAD_REQUEST, error + "\n").into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_that_was_asked_for_is_had_or_it_is_an_error_and_the_default_is_no_must() {
        let taken = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let taken = taken.local_addr().map(|address| (taken, address)).expect("an address");
        let asked = |admin_listen| AdminArgs { admin_listen };
        let bound = Admin::bind(&asked(Some(AdminListen::At(taken.1))), taken.1).await;
        let why = bound.expect_err("taken").to_string();
        assert!(why.contains("--admin-listen 127.0.0.1:"), "{why}");
        let unasked = Admin::bind(&asked(None), taken.1).await.expect("goes on");
        assert!(unasked.0.is_none());
        let free = "127.0.0.1:0".parse().expect("an address");
        let off = Admin::bind(&asked(Some(AdminListen::Off)), free).await.expect("goes on");
        assert!(off.0.is_none());
    }
}
