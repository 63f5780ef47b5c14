//! The cluster of a schedule with its farm, its store and its users' files.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use goma_common::drain::Drain;
use goma_common::{Deadline, Digest, FileKey, Result};
use goma_gateway::ring::Routed;
use goma_gateway::worker::{Properties, Sha256, WorkerFiles};
use goma_gateway::{Gateway, GatewayConfig, app};
use goma_shard::ShardConfig;
use http::Request;
use http_body_util::BodyExt;
use prost::Message;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::chance::Chance;
use crate::checker::{ATTEMPT, Checker};
use crate::cluster::Views;
use crate::farm::Farm;
use crate::member::Member;
use crate::script::{Episode, GATEWAYS, SHARDS, Script};
use crate::store::Store;

/// Where the workers have their compiler.
pub const COMPILER: &str = "/usr/bin/gcc";

/// A file that users have.
pub struct File {
    pub name: String,
    pub contents: Bytes,
    pub key: FileKey,
    pub digest: Digest,
}

/// Everything.
pub struct World {
    pub script: Script,
    pub files: Vec<File>,
    pub chance: Arc<Chance>,
    pub checker: Arc<Checker>,
    pub farm: Farm,
    pub store: Arc<Store>,
    members: Vec<Arc<Member>>,
    views: Views,
    gateways: Vec<Mutex<Option<(Router, CancellationToken)>>>,
    losses: Mutex<Losses>,
}

/// What was lost so far.
#[derive(Clone, Copy, Debug)]
pub struct Losses {
    /// Times that one blob was.
    pub single: u32,
    /// Times that much was.
    pub great: u32,
    /// Until when the farm was last away.
    pub farm_back: Instant,
}

impl World {
    pub fn new(script: Script) -> Arc<Self> {
        let files: Vec<File> =
            (0..script.kinds + script.headers).map(|n| file(&script, n)).collect();
        let truth = files.iter().map(|file| (file.key, file.digest));
        let chance = Arc::new(Chance::new(script.seed));
        let checker = Arc::new(Checker::new(truth.collect()));
        let farm = Farm::new(chance.clone(), checker.clone(), script.inlines_outputs);
        let store = Arc::new(Store::new(chance.clone(), checker.clone()));
        let config = ShardConfig {
            memory_entries: 1000,
            presence_life: script.presence_life,
            max_upload_bytes: 1 << 20,
            contents_memory: script.contents_memory,
            contents_disk: None,
        };
        let members = (0..SHARDS).map(|n| {
            let cas = script.sabotage.cas();
            Arc::new(Member::new(n, config.clone(), store.clone(), farm.clone(), cas))
        });
        let members: Vec<Arc<Member>> = members.collect();
        let views = Views::new(members.clone(), GATEWAYS, chance.clone());
        let losses = Losses { single: 0, great: 0, farm_back: Instant::now() };
        let world = Arc::new(Self {
            files,
            chance,
            checker,
            farm,
            store,
            members,
            views,
            gateways: (0..GATEWAYS).map(|_| Mutex::default()).collect(),
            losses: Mutex::new(losses),
            script,
        });
        (0..GATEWAYS).for_each(|gateway| world.start_gateway(gateway));
        world
    }

    /// The inputs of a kind of compile: its source, and all headers.
    pub fn inputs(&self, kind: usize) -> impl Iterator<Item = &File> {
        std::iter::once(&self.files[kind]).chain(&self.files[self.script.kinds..])
    }

    pub fn losses(&self) -> Losses {
        *self.losses_mut()
    }

    /// Posts a request through the balancer, which sends it to another gateway when one dies.
    /// `attempt` is the first of as many numbers as that takes.
    pub async fn post(&self, message: &impl Message, first: usize, attempt: u64) -> (u16, Bytes) {
        let body = Bytes::from(message.encode_to_vec());
        let mut at = first;
        for attempt in attempt.. {
            let running = self.gateway(at).clone();
            at = (at + 1) % GATEWAYS;
            let Some((app, life)) = running else {
                sleep(Duration::from_millis(50)).await;
                continue;
            };
            let answer = ATTEMPT.scope(attempt, post(app, body.clone()));
            match life.run_until_cancelled(answer).await {
                Some(answer) => return answer,
                None => self.checker.count("replayed requests"),
            }
        }
        unreachable!("a gateway is back in seconds")
    }

    /// Has an episode happen; `number` tells it from others.
    pub async fn happen(self: &Arc<Self>, number: u64, episode: Episode) {
        match episode {
            Episode::EvictOne => {
                self.losses_mut().single += 1;
                self.farm.evict_one(number, self.script.lies);
            }
            Episode::Evict(share) => {
                self.losses_mut().great += 1;
                self.farm.evict(share, number);
            }
            Episode::FarmAway(length) => {
                self.losses_mut().farm_back = Instant::now() + length;
                self.farm.go_away(length);
            }
            Episode::Flush => {
                self.losses_mut().great += 1;
                self.store.flush();
            }
            Episode::StoreAway(length) => self.store.go_away(length),
            Episode::StoreSlow(length) => self.store.be_slow(length),
            Episode::KillShard(shard, length) => {
                self.checker.count("killed shards");
                self.members[shard].kill();
                tokio::join!(self.views.notice(shard), sleep(length));
                self.members[shard].start();
                self.views.notice(shard).await;
            }
            Episode::KillGateway(gateway, length) => {
                if let Some((_, life)) = self.gateway(gateway).take() {
                    life.cancel();
                }
                sleep(length).await;
                self.start_gateway(gateway);
            }
            Episode::BumpEpoch(shard) => self.members[shard].bump_epoch().await,
            Episode::Forge => crate::client::forge(self, number).await,
        }
    }

    fn start_gateway(&self, number: usize) {
        let routed = Routed::new(self.views.of(number));
        let shards = self.script.sabotage.shards(Arc::new(routed));
        let config = GatewayConfig { key_cache_entries: 1000, ..GatewayConfig::default() };
        let backend = self.farm.backend(Arc::new(self.farm.clone()));
        let gateway = Gateway::new(config, shards, backend, Arc::new(Worker), Drain::default());
        *self.gateway(number) = Some((app(Arc::new(gateway)), CancellationToken::new()));
    }

    fn gateway(&self, at: usize) -> MutexGuard<'_, Option<(Router, CancellationToken)>> {
        self.gateways[at].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn losses_mut(&self) -> MutexGuard<'_, Losses> {
        self.losses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The first files are sources; one header is empty, as some are.
fn file(script: &Script, number: usize) -> File {
    let is_source = number < script.kinds;
    let name = if is_source { format!("a{number}.c") } else { format!("h{number}.h") };
    let contents = match number == script.kinds {
        true => Bytes::new(),
        false => Bytes::from(format!("/* {name} of {} */\n", script.seed)),
    };
    let (key, digest) = (FileKey::of_file(&contents), Digest::of(&contents));
    File { name, contents, key, digest }
}

async fn post(app: Router, body: Bytes) -> (u16, Bytes) {
    let request = Request::post("/cxx-compiler-service/e")
        .header("content-type", "binary/x-protocol-buffer")
        .header("content-length", body.len())
        .body(Body::from(body))
        .expect("a request");
    let Ok(response) = app.oneshot(request).await;
    let status = response.status().as_u16();
    (status, response.into_body().collect().await.expect("a body").to_bytes())
}

/// The hash of the compiler.
#[must_use]
pub fn compiler() -> Digest {
    Digest::of(b"the compiler")
}

/// Workers that have the registered compiler.
struct Worker;

#[async_trait]
impl WorkerFiles for Worker {
    async fn hashes(
        &self,
        _: &Properties,
        paths: &[String],
        _: Deadline,
    ) -> Result<Vec<Option<Sha256>>> {
        let hash = |path: &String| (path == COMPILER).then(|| compiler().hash);
        Ok(paths.iter().map(hash).collect())
    }

    fn registered_compiler(&self, _: &str, hash: &Sha256) -> Option<String> {
        (*hash == compiler().hash).then(|| COMPILER.to_owned())
    }
}
