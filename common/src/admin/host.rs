//! Who is asked for: a page of the web, opened on an operator's machine, can have a name of its own lead
//! to this port and read what it says as if it were its own. Such a name is not one of ours.

use std::net::IpAddr;

use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::HOST;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// Refuses requests to names that only somebody else can have chosen.
pub(super) async fn is_ours(request: Request, next: Next) -> Response {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    let host = host.or_else(|| request.uri().host());
    match host {
        Some(host) if !is_internal(host) => {
            let why =
                format!("{host}: ask by address, by localhost or by a name of your network\n");
            (StatusCode::FORBIDDEN, why).into_response()
        }
        _ => next.run(request).await,
    }
}

/// Whether no web site can have this name: addresses, single words as `gateway-1`, and what is never
/// in the public DNS.
fn is_internal(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    let internal = [".local", ".internal", ".localhost", ".svc"];
    name.parse::<IpAddr>().is_ok()
        || !name.contains('.')
        || internal.iter().any(|suffix| name.ends_with(suffix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_a_web_site_can_have_are_refused() {
        for ours in [
            "127.0.0.1:9190",
            "[::1]:9190",
            "::1",
            "localhost:9190",
            "localhost",
            "gateway-1:9190",
            "shard-0.shards.goma.svc:9191",
            "gw.cluster.local",
        ] {
            assert!(is_internal(ours), "{ours}");
        }
        for theirs in ["evil.example:9190", "a.b", "127.0.0.1.evil.example"] {
            assert!(!is_internal(theirs), "{theirs}");
        }
    }
}
