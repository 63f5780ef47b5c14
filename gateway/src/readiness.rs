//! Whether a gateway can serve: its backend, and a shard at least.

use std::sync::Arc;

use async_trait::async_trait;
use goma_common::reapi::Health;
use goma_common::{Deadline, Result};
use tokio::sync::watch;

use crate::ring::View;

/// A backend's health, asked only when a shard is up: without one nothing is served.
pub(crate) struct Readiness {
    pub(crate) backend: Arc<dyn Health>,
    pub(crate) view: watch::Receiver<Arc<View>>,
}

#[async_trait]
impl Health for Readiness {
    async fn check(&self, deadline: Deadline) -> Result<()> {
        {
            let view = self.view.borrow();
            if view.is_empty() {
                return Err(view.nobody());
            }
        }
        self.backend.check(deadline).await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use goma_common::{Code, Error};

    use super::*;
    use crate::ring::up_for_tests;

    struct Away;

    #[async_trait]
    impl Health for Away {
        async fn check(&self, _deadline: Deadline) -> Result<()> {
            Err(Error::new(Code::Unavailable, "backend b: away"))
        }
    }

    #[tokio::test]
    async fn a_shard_is_needed_and_then_the_backend() {
        let out = vec![("a".to_owned(), "refused".to_owned())];
        let (published, view) = watch::channel(Arc::new(View::new(Vec::new(), out)));
        let readiness = Readiness { backend: Arc::new(Away), view };
        let check = || readiness.check(Deadline::after(Duration::from_secs(1)));
        let error = check().await.expect_err("no shard");
        assert_eq!(error.message, "no shard is up: a: refused");
        published.send_replace(Arc::new(View::new(vec![up_for_tests("a")], Vec::new())));
        let error = check().await.expect_err("no backend");
        assert_eq!(error.message, "backend b: away");
    }
}
