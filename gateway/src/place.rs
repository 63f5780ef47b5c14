//! A backend with its shards: where compiles of a platform are run.

use std::collections::HashSet;
use std::sync::Arc;

use futures::stream::{StreamExt, TryStreamExt, once};
use goma_common::reapi::limits::pack;
use goma_common::reapi::{Backend, Upload, fetch_all};
use goma_common::shards::{Blob, Shards, Source, Trust};
use goma_common::{Deadline, Digest, Result, Tenant, View};

use crate::worker::WorkerFiles;

/// Bytes of small blobs that are on their way between two places at once, for one request.
const CARRIED: u64 = 8 << 20;

/// A backend, the shards that know what it holds, and what its workers have. A clone is the same place.
#[derive(Clone)]
pub struct Place {
    /// The backend.
    pub backend: Backend,
    /// Its shards.
    pub shards: Arc<dyn Shards>,
    /// Its workers.
    pub worker: Arc<dyn WorkerFiles>,
}

impl Place {
    /// The same place, with what its shards know for a tenant.
    pub(crate) fn of_tenant(&self, tenant: Tenant) -> Self {
        match tenant.is_common() {
            true => self.clone(),
            false => Self { shards: self.shards.clone().of_tenant(tenant), ..self.clone() },
        }
    }

    /// Brings blobs here that another place has. Answers those that it has lost.
    ///
    /// # Errors
    /// When either of the two cannot be asked, or refuses.
    pub(crate) async fn bring(
        &self,
        digests: &[Digest],
        from: &Self,
        source: Source,
        deadline: Deadline,
    ) -> Result<Vec<Digest>> {
        if digests.is_empty() {
            return Ok(Vec::new());
        }
        let lost = from.backend.cas.find_missing(digests, deadline).await?;
        let lost: HashSet<Digest> = lost.into_iter().collect();
        let there = digests.iter().copied().filter(|digest| !lost.contains(digest));
        let (small, large): (Vec<_>, Vec<_>) =
            there.partition(|digest| from.backend.limits.fits_batch(digest.size));
        for group in pack(small, |digest| digest.size, CARRIED) {
            let contents = fetch_all(&from.backend, &group, deadline).await?;
            let blobs = group
                .into_iter()
                .map(|digest| Blob { digest, contents: contents.get(&digest).cloned() });
            // What is brought was found to be missing, whatever is believed.
            self.shards.ensure(blobs.collect(), Trust::Nothing, source, deadline).await?;
        }
        for digest in large {
            let cas = from.backend.cas.clone();
            let upload = Upload::new(digest, move |offset| {
                let view = View { digest, offset, length: digest.size - offset };
                let cas = cas.clone();
                once(async move { cas.download_stream(view, deadline).await }).try_flatten().boxed()
            });
            self.backend.cas.upload_stream(&upload, deadline).await?;
        }
        let mut nowhere = Vec::new();
        for digest in lost {
            match from.shards.load(digest, deadline).await? {
                None => nowhere.push(digest),
                held => {
                    let blob = Blob { digest, contents: held };
                    self.shards.ensure(vec![blob], Trust::Nothing, source, deadline).await?;
                }
            }
        }
        Ok(nowhere)
    }
}
