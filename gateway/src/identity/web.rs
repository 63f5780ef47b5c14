//! Questions to an issuer of tokens, over HTTPS: small, bounded in time and size.

use std::time::Duration;

use bytes::Bytes;
use goma_common::error::deepest_cause;
use goma_common::{Code, Error, Result};
use http::header::CONTENT_TYPE;
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

/// An issuer answers within this.
const ANSWER: Duration = Duration::from_secs(5);
/// Bytes of an answer.
const MOST: usize = 256 << 10;

/// A client with connections of its own.
pub(crate) struct Web(Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

impl Web {
    /// One that trusts the authorities of this machine.
    ///
    /// # Errors
    /// When it has none.
    pub(crate) fn new() -> Result<Self> {
        let connector = HttpsConnectorBuilder::new().with_native_roots().map_err(|error| {
            Error::new(Code::InvalidArgument, format!("certificates of this machine: {error}"))
        })?;
        let connector = connector.https_or_http().enable_http1().build();
        Ok(Self(Client::builder(TokioExecutor::new()).build(connector)))
    }

    /// Asks for a page.
    ///
    /// # Errors
    /// `Unavailable` in the words of whatever failed.
    pub(crate) async fn get(&self, uri: &Uri) -> Result<(StatusCode, Bytes)> {
        self.ask(uri, Request::get(uri.clone()).body(Full::default())).await
    }

    /// Posts a form, already encoded.
    ///
    /// # Errors
    /// `Unavailable` in the words of whatever failed, without the form.
    pub(crate) async fn post(&self, uri: &Uri, form: String) -> Result<(StatusCode, Bytes)> {
        let request = Request::post(uri.clone())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Full::from(form));
        self.ask(uri, request).await
    }

    async fn ask(
        &self,
        uri: &Uri,
        request: http::Result<Request<Full<Bytes>>>,
    ) -> Result<(StatusCode, Bytes)> {
        let failed = |why: String| Error::new(Code::Unavailable, format!("{uri}: {why}"));
        let request = request.map_err(|error| failed(error.to_string()))?;
        let answer = async {
            let response = self.0.request(request).await.map_err(|error| {
                failed(deepest_cause(&error).unwrap_or_else(|| error.to_string()))
            })?;
            let status = response.status();
            let body = Limited::new(response.into_body(), MOST).collect().await;
            let body = body.map_err(|error| failed(error.to_string()))?;
            Ok((status, body.to_bytes()))
        };
        let late = |_| failed(format!("no answer within {} s", ANSWER.as_secs()));
        tokio::time::timeout(ANSWER, answer).await.map_err(late)?
    }
}
