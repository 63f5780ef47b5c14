//! One blob on its way to the CAS as a stream, over as many tries as that takes.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt, once};

use crate::digest::Digest;
use crate::error::Result;

type Contents = dyn Fn(u64) -> BoxStream<'static, Result<Bytes>> + Send + Sync;

/// The blob, and how far a try of it got.
pub struct Upload {
    /// Its name.
    pub digest: Digest,
    contents: Box<Contents>,
    /// The name under which the backend may hold a part of it.
    begun: Mutex<Option<String>>,
}

impl Upload {
    /// One of these contents.
    #[must_use]
    pub fn of(digest: Digest, contents: Bytes) -> Self {
        Self::new(digest, move |offset| {
            let from = usize::try_from(offset).unwrap_or(usize::MAX).min(contents.len());
            let rest = contents.slice(from..);
            once(async move { Ok(rest) }).boxed()
        })
    }

    /// One whose contents are made for each try, from an offset in bytes to their end.
    pub fn new(
        digest: Digest,
        contents: impl Fn(u64) -> BoxStream<'static, Result<Bytes>> + Send + Sync + 'static,
    ) -> Self {
        Self { digest, contents: Box::new(contents), begun: Mutex::default() }
    }

    /// The contents from this offset on.
    #[must_use]
    pub fn read(&self, offset: u64) -> BoxStream<'static, Result<Bytes>> {
        (self.contents)(offset)
    }

    /// The name of the try before, which may be gone on with.
    pub(super) fn begun(&self) -> Option<String> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Remembers the name of a try that can be gone on with; none where it cannot.
    pub(super) fn set_begun(&self, name: Option<String>) {
        *self.begun.lock().unwrap_or_else(PoisonError::into_inner) = name;
    }
}
