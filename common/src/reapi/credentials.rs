//! Who we are to a backend: headers of every call, and a bearer token that may change.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use zeroize::Zeroizing;

use crate::error::{Code, Error, Result};

/// Where a bearer token comes from.
#[async_trait]
pub trait TokenSource: Send + Sync {
    /// A token that is good now, which is wiped from memory when it is dropped.
    ///
    /// # Errors
    /// When there is none to be had; naming the file or the service.
    async fn token(&self) -> Result<Zeroizing<String>>;

    /// The last token was refused: what is known of it is not to be used again.
    fn renew(&self) {}
}

/// What calls carry. Debug and errors never show it.
#[derive(Clone, Default)]
pub struct Credentials {
    headers: HeaderMap,
    token: Option<Arc<dyn TokenSource>>,
}

impl Credentials {
    /// Adds a header to every call.
    ///
    /// # Errors
    /// When that is no header, or one that gRPC keeps for itself; without its value.
    pub fn add_header(&mut self, name: &str, value: &str) -> Result<()> {
        let invalid =
            |why: &str| Error::new(Code::InvalidArgument, format!("header {name:?}: {why}"));
        let name: HeaderName = name.parse().map_err(|_| invalid("not a name"))?;
        let reserved = ["te", "content-type", "content-length", "host", "user-agent"];
        if reserved.contains(&name.as_str()) || name.as_str().starts_with("grpc-") {
            return Err(invalid("gRPC sets it by itself"));
        }
        let mut value = HeaderValue::from_str(value)
            .map_err(|_| invalid("its value has bytes that no header has"))?;
        value.set_sensitive(true);
        self.headers.append(name, value);
        Ok(())
    }

    /// Has every call carry a bearer token of this source.
    pub fn set_token(&mut self, source: Arc<dyn TokenSource>) {
        self.token = Some(source);
    }

    /// Whether there is anything to keep from others.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.headers.is_empty() && self.token.is_none()
    }

    /// Whether another try may have other credentials.
    pub(super) fn can_renew(&self) -> bool {
        self.token.is_some()
    }

    /// They were refused: the next call is to have newer ones.
    pub(super) fn renew(&self) {
        if let Some(source) = &self.token {
            source.renew();
        }
    }

    /// The headers of a call that is made with another token in place of ours.
    pub(super) fn plain_headers(&self) -> HeaderMap {
        self.headers.clone()
    }

    /// The headers of a call that is made now.
    ///
    /// # Errors
    /// `Unavailable` when there is no token: there may be one the next time.
    pub(super) async fn headers(&self) -> Result<HeaderMap> {
        let mut headers = self.headers.clone();
        if let Some(source) = &self.token {
            headers.insert(AUTHORIZATION, bearer(&source.token().await?)?);
        }
        Ok(headers)
    }
}

/// How a call carries a token. What HTTP keeps of it while the call lasts it does not wipe.
///
/// # Errors
/// `Unavailable` when that cannot be: there may be another token the next time.
pub(super) fn bearer(token: &str) -> Result<HeaderValue> {
    let told = Zeroizing::new(format!("Bearer {token}"));
    let mut value = HeaderValue::from_str(&told)
        .map_err(|_| Error::new(Code::Unavailable, "the token has bytes that no header has"))?;
    value.set_sensitive(true);
    Ok(value)
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.headers.keys().map(HeaderName::as_str).collect();
        f.debug_struct("Credentials")
            .field("headers", &names)
            .field("token", &self.token.is_some())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Secret;

    #[async_trait]
    impl TokenSource for Secret {
        async fn token(&self) -> Result<Zeroizing<String>> {
            Ok("hunter2".to_owned().into())
        }
    }

    #[tokio::test]
    async fn calls_carry_them_and_nobody_else_sees_them() {
        let mut credentials = Credentials::default();
        assert!(credentials.is_empty());
        credentials.add_header("x-api-key", "swordfish").expect("a header");
        credentials.set_token(Arc::new(Secret));
        let headers = credentials.headers().await.expect("a token");
        assert_eq!(headers["x-api-key"], "swordfish");
        assert_eq!(headers["authorization"], "Bearer hunter2");
        let shown = format!("{credentials:?} {headers:?}");
        assert!(!shown.contains("swordfish") && !shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn what_is_no_header_is_refused_without_its_value() {
        let mut credentials = Credentials::default();
        for (name, value) in
            [("x y", "v"), ("x", "swordfish\n"), ("grpc-timeout", "1S"), ("te", "")]
        {
            let error = credentials.add_header(name, value).expect_err("no header");
            assert!(
                error.message.contains(name) && !error.message.contains("swordfish"),
                "{error}"
            );
        }
    }
}
