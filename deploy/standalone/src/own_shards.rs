//! The shards in this process, one a backend, and where each keeps its facts.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use goma_common::Digest;
use goma_common::program::Failure;
use goma_common::reapi::Backend;
use goma_shard::facts::{Embedded, Facts, Redis};
use goma_shard::{LocalShard, ShardConfig};

use crate::args::ProxyArgs;

/// Contents on their way to a backend at once, in bytes.
const MAX_UPLOAD_BYTES: u64 = 512 << 20;

/// The shards so far.
#[derive(Clone)]
pub(crate) struct OwnShards {
    args: Arc<ProxyArgs>,
    data_dir: PathBuf,
    kept: Arc<Mutex<BTreeMap<String, Kept>>>,
}

/// What a shard keeps its facts in, by what its backend is told by.
struct Kept {
    /// The backend's name in the file of platforms.
    name: String,
    facts: Arc<dyn Facts>,
}

impl OwnShards {
    /// None yet.
    pub(crate) fn new(args: Arc<ProxyArgs>, data_dir: PathBuf) -> Self {
        Self { args, data_dir, kept: Arc::default() }
    }

    /// A shard for the backend of this name. What is known of it is kept under the words by which it is
    /// `told`, and is there again when the backend of that name is told otherwise than before.
    ///
    /// # Errors
    /// Naming the flag or the file.
    pub(crate) fn open(
        &self,
        name: &str,
        told: &str,
        backend: Backend,
    ) -> Result<Arc<LocalShard>, Failure> {
        let mut kept = self.lock();
        let presence_life = self.args.redis.presence_life;
        let facts = match kept.get(told) {
            Some(kept) if kept.name == name => kept.facts.clone(),
            Some(_) => {
                return Err(Failure::Configuration(format!(
                    "two backends are {told}: have their platforms share one, or give each a \
                     backend-name"
                )));
            }
            None => self.facts(told, presence_life)?,
        };
        let config = ShardConfig {
            memory_entries: self.args.max_digest_cache_entries.max(1),
            presence_life,
            max_upload_bytes: MAX_UPLOAD_BYTES,
            contents_memory: self.args.contents_memory_bytes,
            contents_disk: None,
        };
        kept.insert(told.to_owned(), Kept { name: name.to_owned(), facts: facts.clone() });
        LocalShard::start(config, facts, backend).map(Arc::new).map_err(Failure::start)
    }

    fn facts(&self, told: &str, presence_life: Duration) -> Result<Arc<dyn Facts>, Failure> {
        if let Some(redis) = self.args.redis(told)? {
            return Ok(Arc::new(Redis::new(&redis).map_err(Failure::configuration)?));
        }
        let name = match told {
            "embedded" => told.to_owned(),
            other => Digest::of(other.as_bytes()).hex()[..16].to_owned(),
        };
        let file = self.data_dir.join(format!("facts-{name}.redb"));
        Ok(Arc::new(Embedded::open(&file, presence_life).map_err(Failure::start)?))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what they know.
    pub(crate) async fn flush(&self) {
        let all: Vec<_> = self.lock().values().map(|kept| kept.facts.clone()).collect();
        for facts in all {
            facts.flush().await;
        }
    }
}
