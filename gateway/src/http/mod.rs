//! The Goma protocol over HTTP: routes, bodies, answers.
//!
//! [`body`] reads a body, [`encoding`] decompresses it, [`compress`] compresses answers, [`packed`] does it
//! once for all who get the same, [`weight`] tells what a message will
//! take, [`handlers`] are the routes, [`watched`] has what comes of each noted,
//! [`respond`] makes answers, [`answer_body`] hands them on, [`connection`] serves one accepted connection, whose [`activity`] says
//! when it may end and whose client is spared delays by [`quick_ack`].

mod activity;
mod answer_body;
mod body;
mod compress;
pub(crate) mod connection;
mod encoding;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod handlers;
pub(crate) mod packed;
pub(crate) mod quick_ack;
mod respond;
mod watched;
mod weight;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{any, get};

use crate::gateway::Gateway;

/// The prefix under which the stock client posts unless its user says otherwise.
const PREFIX: &str = "/cxx-compiler-service";

/// All routes of a gateway.
pub fn app(gateway: Arc<Gateway>) -> Router {
    let service = Router::new()
        .route("/ping", any(handlers::ping))
        .route("/e", any(handlers::exec))
        .route("/s", any(handlers::store))
        .route("/l", any(handlers::lookup))
        .route("/sl", any(handlers::save_log));
    Router::new()
        .nest(PREFIX, service)
        .route("/healthz", get(handlers::healthz))
        .route("/readyz", get(handlers::readyz))
        .fallback(handlers::unknown_path)
        // `body` has its own caps, which answer in words.
        .layer(DefaultBodyLimit::disable())
        .with_state(gateway)
}
