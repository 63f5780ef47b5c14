//! The status page and its JSON, for the admin port. The page asks nobody but us.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderName, HeaderValue};

use super::topology::Topology;
use super::view::View;
use crate::gateway::Gateway;

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
/// Nothing from elsewhere, and nobody may frame it.
const HEADERS: [(HeaderName, HeaderValue); 3] = [
    (
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
             img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
    ),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (CACHE_CONTROL, HeaderValue::from_static("no-store")),
];

/// What the admin port of a gateway shows beside metrics.
pub fn pages(gateway: Arc<Gateway>) -> Router {
    Router::new()
        .route("/", get(async || (HEADERS, Html(PAGE))))
        .route("/status.css", get(async || (HEADERS, [(CONTENT_TYPE, "text/css")], STYLE)))
        .route("/status.js", get(async || (HEADERS, [(CONTENT_TYPE, "text/javascript")], SCRIPT)))
        .route("/status.json", get(json))
        .with_state(gateway)
}

async fn json(State(gateway): State<Arc<Gateway>>) -> Response {
    let topology = Topology::of(&gateway).await;
    let view = View::of(&gateway.status, topology, gateway.drain.has_begun());
    (HEADERS, Json(view)).into_response()
}
