//! A CAS and a store of facts that answer late: what they say may be older than what is known when it
//! comes.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use goma_common::reapi::{Backend, Cas, Upload};
use goma_common::testing::ScriptedBackend;
use goma_common::{Code, Deadline, Digest, Error, FileEntry, FileKey, Result, Tenant, View};

use shuttle::rand::{Rng, thread_rng};

use crate::facts::{Facts, Memory};
use crate::sync::others_run;

/// Somebody whose presence is kept apart.
pub(crate) const TENANT: Tenant = Tenant(7);

/// The CAS, and all that it ever said. A clone is the same. Its own lock is held across no step of others.
#[derive(Clone, Default)]
pub(crate) struct Truth(Arc<Mutex<State>>);

#[derive(Default)]
pub(crate) struct State {
    pub(crate) held: HashSet<Digest>,
    /// Of which it said that it has them.
    pub(crate) confirmed: HashSet<Digest>,
    pub(crate) uploads: HashMap<Digest, usize>,
    pub(crate) questions: usize,
}

impl Truth {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no panic")
    }

    pub(crate) fn lose(&self, digest: Digest) {
        self.state().held.remove(&digest);
    }

    pub(crate) fn holds(&self, digest: Digest) -> bool {
        self.state().held.contains(&digest)
    }

    pub(crate) fn backend(&self) -> Backend {
        Backend { cas: Arc::new(self.clone()), ..ScriptedBackend::default().backend(0) }
    }
}

fn not_here<T>() -> Result<T> {
    Err(Error::new(Code::Internal, "not asked for here"))
}

#[async_trait]
impl Cas for Truth {
    async fn find_missing(&self, digests: &[Digest], _: Deadline) -> Result<Vec<Digest>> {
        others_run().await;
        let missing: Vec<Digest> = {
            let mut state = self.state();
            state.questions += 1;
            let (held, missing): (Vec<_>, Vec<_>) =
                digests.iter().partition(|digest| state.held.contains(digest));
            state.confirmed.extend(held);
            missing
        };
        // An answer may be long on its way.
        for _ in 0..thread_rng().gen_range(0..10) {
            others_run().await;
        }
        Ok(missing)
    }

    async fn upload_batch(
        &self,
        blobs: &[(Digest, Bytes)],
        _: Deadline,
    ) -> Result<Vec<Result<()>>> {
        others_run().await;
        {
            let mut state = self.state();
            for (digest, _) in blobs {
                state.held.insert(*digest);
                state.confirmed.insert(*digest);
                *state.uploads.entry(*digest).or_default() += 1;
            }
        }
        others_run().await;
        Ok(vec![Ok(()); blobs.len()])
    }

    async fn upload_stream(&self, _: &Upload, _: Deadline) -> Result<()> {
        not_here()
    }

    async fn download_batch(&self, _: &[Digest], _: Deadline) -> Result<Vec<Result<Bytes>>> {
        not_here()
    }

    async fn download_stream(
        &self,
        _: View,
        _: Deadline,
    ) -> Result<BoxStream<'static, Result<Bytes>>> {
        not_here()
    }
}

/// A store whose every answer takes its time, and which takes no presence that the CAS never confirmed.
pub(crate) struct Slow {
    pub(crate) inner: Memory,
    truth: Truth,
}

impl Slow {
    pub(crate) fn new(truth: &Truth) -> Arc<Self> {
        Arc::new(Self { inner: Memory::default(), truth: truth.clone() })
    }
}

#[async_trait]
impl Facts for Slow {
    async fn mappings(&self, _: &[FileKey]) -> Result<Vec<Option<FileEntry>>> {
        not_here()
    }

    async fn put_mappings(&self, _: Vec<(FileKey, FileEntry)>) -> Result<()> {
        not_here()
    }

    async fn present(&self, digests: &[Digest]) -> Vec<Option<Duration>> {
        others_run().await;
        let ages = self.inner.present(digests).await;
        others_run().await;
        ages
    }

    async fn put_present(&self, digests: Vec<Digest>) {
        for digest in &digests {
            let confirmed = |said: &Digest| said == digest || TENANT.digest(*said) == *digest;
            assert!(self.truth.state().confirmed.iter().any(confirmed), "the CAS never said so");
        }
        others_run().await;
        self.inner.put_present(digests).await;
        others_run().await;
    }

    async fn drop_present(&self, digests: Vec<Digest>) {
        others_run().await;
        self.inner.drop_present(digests).await;
        others_run().await;
    }

    async fn epoch(&self) -> Result<u64> {
        self.inner.epoch().await
    }

    async fn bump_epoch(&self) -> Result<u64> {
        others_run().await;
        let epoch = self.inner.bump_epoch().await;
        others_run().await;
        epoch
    }

    async fn was_emptied(&self) -> bool {
        false
    }

    async fn flush(&self) {}
}
