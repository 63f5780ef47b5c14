//! The cluster of the simulation: real rings and shards, and what gateways ask them in the order in
//! which a gateway asks.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use goma_common::reapi::{Backend, Execution, Executor};
use goma_common::shards::{Blob, Shards, Source, Trust};
use goma_common::{Code, Deadline, Digest, Error, FileEntry, FileKey, Result};
use goma_gateway::ring::{Member as Place, Routed, Up, View};
use goma_gateway::{Files, GatewayConfig, Joined};
use goma_shard::facts::{Facts, Memory};
use goma_shard::{LocalShard, ShardConfig};
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::SimulateConfig;
use super::counts::Ledger;
use super::farm::Farm;
use super::member::Member;
use super::random::mix;
use super::store::Store;

/// A gateway notices a shard's loss within this.
const NOTICES: Duration = Duration::from_millis(1500);
/// What `goma-shard` has by default.
const MAX_UPLOAD: u64 = 512 << 20;
/// More than a shard of the simulation gets to know, and less memory than its default takes.
const MEMORY_ENTRIES: usize = 200_000;

pub(super) struct Cluster {
    members: Vec<Arc<Member>>,
    gateways: Vec<Gateway>,
    pub(super) ledger: Arc<Ledger>,
}

/// What a gateway keeps, over the seams behind which it meets the rest.
struct Gateway {
    files: Files,
    shards: Arc<dyn Shards>,
    executor: Joined,
    backend: Backend,
    view: watch::Sender<Arc<View>>,
    gone: Vec<CancellationToken>,
}

/// A compile as its gateway sees it.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) source: Source,
    pub(super) inputs: Vec<(FileKey, Digest)>,
    /// Directories, command and action, the last of which names it all.
    pub(super) made: Vec<Digest>,
    pub(super) action: Digest,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The object, from the action cache or from a worker.
    Object,
    /// These of the inputs are to be sent, half of all at most.
    Missing(Vec<usize>),
}

impl Cluster {
    pub(super) fn new(config: &SimulateConfig, ledger: &Arc<Ledger>, farm: &Farm) -> Result<Self> {
        let store: Arc<dyn Facts> = Arc::new(Store::new(ledger.clone()));
        let members = (0..config.shards).map(|number| {
            let facts = match config.redis {
                true => store.clone(),
                false => Arc::new(Memory::new(MEMORY_ENTRIES)),
            };
            let shard = LocalShard::start(shard_config(config), facts, farm.backend())?;
            let lost = CancellationToken::new();
            Ok(Arc::new(Member { number, shard, ledger: ledger.clone(), lost }))
        });
        let members = members.collect::<Result<Vec<_>>>()?;
        let gateways = (0..config.gateways).map(|_| Gateway::new(&members, farm)).collect();
        Ok(Self { members, gateways, ledger: ledger.clone() })
    }

    /// The share of all hashes that each shard owns, as a part of the mean.
    pub(super) fn shares(&self) -> Vec<f64> {
        const KEYS: u64 = 1_000_000;
        let view = self.gateways[0].view.borrow().clone();
        let mut owned = vec![0_u64; self.members.len()];
        for at in 0..KEYS {
            let mut key = [0; 32];
            key[..8].copy_from_slice(&(at * (u64::MAX / KEYS)).to_be_bytes());
            let number = view.owner(&key).and_then(|up| self.number(&up.member.name));
            number.into_iter().for_each(|number| owned[number] += 1);
        }
        let mean = KEYS as f64 / self.members.len() as f64;
        owned.into_iter().map(|owned| owned as f64 / mean).collect()
    }

    /// Serves a request at one of the gateways. Files named in `sent` come along with their contents.
    pub(super) async fn exec(
        &self,
        gateway: u64,
        request: &Request,
        sent: &[(FileKey, Digest)],
    ) -> Result<Answer> {
        let gateway = &self.gateways[gateway as usize % self.gateways.len()];
        gateway.exec(request, sent, &self.ledger).await
    }

    /// Loses shards, which all gateways notice, each in its own time.
    pub(super) async fn lose(&self, numbers: &[usize], seed: u64) {
        numbers.iter().for_each(|number| self.members[*number].lost.cancel());
        let noticed = self.gateways.iter().zip(0_u64..).map(|(gateway, number)| async move {
            let share = mix(seed ^ number << 32) as f64 / u64::MAX as f64;
            sleep(NOTICES.mul_f64(share)).await;
            gateway.see(&self.members);
        });
        join_all(noticed).await;
    }

    fn number(&self, name: &str) -> Option<usize> {
        self.members.iter().position(|member| member.name() == name)
    }
}

impl Gateway {
    fn new(members: &[Arc<Member>], farm: &Farm) -> Self {
        let gone: Vec<_> = members.iter().map(|_| CancellationToken::new()).collect();
        let view = watch::Sender::new(view(members, &gone));
        let shards: Arc<dyn Shards> = Arc::new(Routed::new(view.subscribe()));
        Self {
            files: Files::new(shards.clone(), GatewayConfig::default().key_cache_entries),
            executor: Joined::new(Arc::new(farm.clone()), shards.clone()),
            backend: farm.backend(),
            shards,
            view,
            gone,
        }
    }

    /// Looks who is up.
    fn see(&self, members: &[Arc<Member>]) {
        self.view.send_replace(view(members, &self.gone));
        for (member, gone) in members.iter().zip(&self.gone) {
            if member.lost.is_cancelled() {
                gone.cancel();
            }
        }
    }

    async fn exec(
        &self,
        request: &Request,
        sent: &[(FileKey, Digest)],
        ledger: &Ledger,
    ) -> Result<Answer> {
        ledger.count(|counts| counts.execs += 1);
        let timeouts = GatewayConfig::default().timeouts;
        let inputs = Deadline::after(timeouts.inputs);
        let source = request.source;
        if !sent.is_empty() {
            let blobs = sent.iter().map(|(_, digest)| with_contents(*digest)).collect();
            self.shards.ensure(blobs, Trust::Presence, source, inputs).await?;
            let files = sent.iter().map(|(key, digest)| (*key, FileEntry::File(*digest)));
            self.files.record(files.collect(), inputs).await?;
        }
        let keys: Vec<FileKey> = request.inputs.iter().map(|(key, _)| *key).collect();
        let entries = self.files.resolve(&keys, inputs).await?;
        let mut unknown: Vec<usize> =
            (0..keys.len()).filter(|&input| entries[input].is_none()).collect();
        if !unknown.is_empty() {
            unknown.truncate((keys.len() / 2).max(1));
            return Ok(Answer::Missing(unknown));
        }
        let cached = Deadline::after(timeouts.cached);
        if self.backend.action_cache.get(request.action, &[], cached).await?.is_some() {
            ledger.count(|counts| counts.hits += 1);
            return Ok(Answer::Object);
        }
        let made = request.made.iter().map(|digest| with_contents(*digest));
        let stored = request.inputs.iter().map(|(_, digest)| *digest);
        let blobs = made.chain(stored.map(|digest| Blob { digest, contents: None })).collect();
        let deadline = Deadline::after(timeouts.execute);
        let lost = self.shards.ensure(blobs, Trust::Presence, source, deadline).await?;
        if !lost.is_empty() {
            let why = format!("the CAS lacks {} blobs, and never loses any", lost.len());
            return Err(Error::new(Code::Internal, why));
        }
        self.executor.execute(&Execution::new(request.action, false), deadline).await?;
        Ok(Answer::Object)
    }
}

fn shard_config(config: &SimulateConfig) -> ShardConfig {
    ShardConfig {
        memory_entries: MEMORY_ENTRIES,
        presence_life: Duration::from_secs(config.presence_life),
        max_upload_bytes: MAX_UPLOAD,
        contents_memory: 0,
        contents_disk: None,
    }
}

/// Nobody looks at the contents of what is simulated.
fn with_contents(digest: Digest) -> Blob {
    Blob { digest, contents: Some(Bytes::from_static(b"contents")) }
}

fn view(members: &[Arc<Member>], gone: &[CancellationToken]) -> Arc<View> {
    let up = members.iter().zip(gone).filter(|(member, _)| !member.lost.is_cancelled());
    let up = up.map(|(member, gone)| Up {
        member: Place { name: member.name(), weight: 1 },
        shard: member.clone(),
        gone: gone.clone(),
    });
    Arc::new(View::new(up.collect(), Vec::new()))
}
