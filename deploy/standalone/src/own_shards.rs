//! The shards in this process, one a backend, and where each keeps its facts.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use goma_common::Digest;
use goma_common::program::Failure;
use goma_common::reapi::Backend;
use goma_shard::facts::{Embedded, Facts, Redis};
use goma_shard::{LocalShard, ShardConfig};

use crate::args::ProxyArgs;

/// Contents on their way to a backend at once, in bytes.
const MAX_UPLOAD_BYTES: u64 = 512 << 20;

/// The shards so far.
pub(crate) struct OwnShards<'a> {
    args: &'a ProxyArgs,
    data_dir: PathBuf,
    /// What each keeps its facts in, by what its backend is told by.
    facts: BTreeMap<String, Arc<dyn Facts>>,
}

impl<'a> OwnShards<'a> {
    /// None yet.
    pub(crate) fn new(args: &'a ProxyArgs, data_dir: PathBuf) -> Self {
        Self { args, data_dir, facts: BTreeMap::new() }
    }

    /// A shard for a backend. What is known of it is kept under the name by which it is `told`.
    ///
    /// # Errors
    /// Naming the flag or the file.
    pub(crate) fn open(
        &mut self,
        told: &str,
        backend: Backend,
    ) -> Result<Arc<LocalShard>, Failure> {
        if self.facts.contains_key(told) {
            return Err(Failure::Configuration(format!(
                "two backends are {told}: have their platforms share one, or give each a backend-name"
            )));
        }
        let presence_life = self.args.redis.presence_life;
        let facts: Arc<dyn Facts> = match self.args.redis(told)? {
            Some(redis) => Arc::new(Redis::new(&redis).map_err(Failure::configuration)?),
            None => {
                let name = match told {
                    "embedded" => told.to_owned(),
                    other => Digest::of(other.as_bytes()).hex()[..16].to_owned(),
                };
                let file = self.data_dir.join(format!("facts-{name}.redb"));
                Arc::new(Embedded::open(&file, presence_life).map_err(Failure::start)?)
            }
        };
        let config = ShardConfig {
            memory_entries: self.args.max_digest_cache_entries.max(1),
            presence_life,
            max_upload_bytes: MAX_UPLOAD_BYTES,
            contents_memory: self.args.contents_memory_bytes,
            contents_disk: None,
        };
        self.facts.insert(told.to_owned(), facts.clone());
        LocalShard::start(config, facts, backend).map(Arc::new).map_err(Failure::start)
    }

    /// Writes what they know.
    pub(crate) async fn flush(&self) {
        for facts in self.facts.values() {
            facts.flush().await;
        }
    }
}
