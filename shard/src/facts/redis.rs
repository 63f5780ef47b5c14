//! Facts in Redis or Valkey, shared by all shards of a cluster.
//!
//! | key | value | life |
//! |---|---|---|
//! | `goma:f:` file key (32 bytes) | a `FileEntry` of the shard contract | [`RedisConfig::mapping_life`] |
//! | `goma:p:` namespace (8) hash (32) size (8) | epoch (8), second of confirmation (8) | [`RedisConfig::presence_life`] |
//! | `goma:epoch:` namespace | epoch (8) | none |
//! | `goma:marker` | random; gone when the store was emptied | none |
//!
//! Numbers are big-endian. The namespace is that of one backend and instance: presence in one says
//! nothing of another, and what a file key stands for is the same everywhere.

mod link;
mod told;

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use goma_common::backoff::Backoff;
use goma_common::{Code, Digest, Error, FileEntry, FileKey, Result};
use tokio::time::Instant;

use super::{Facts, encoding};
use link::Link;

/// Presence gives up on the store after this, and does without it for [`PAUSE`].
const PATIENCE: Duration = Duration::from_millis(25);
const PAUSE: Duration = Duration::from_millis(500);
/// Presence that is to go and could not be told to a store that is away; told when it is back.
const MAX_PENDING: usize = 100_000;
/// A store that does not tell the epoch by then has trouble, which people are told of.
const TROUBLE: Duration = Duration::from_secs(2);
const MARKER: &[u8] = b"goma:marker";

/// Where the store is, and how long it keeps what.
#[derive(Clone, Debug)]
pub struct RedisConfig {
    /// `redis://` or `rediss://`; several are the nodes of a Redis Cluster.
    pub urls: Vec<String>,
    /// In place of what the URLs say.
    pub username: Option<String>,
    /// In place of what the URLs say. Never logged.
    pub password: Option<String>,
    /// PEM of the certificate authority of a `rediss://` server, in place of the system's.
    pub ca_certificate: Option<Vec<u8>>,
    /// Whether a single URL is that of a Redis Cluster.
    pub cluster: bool,
    /// Sets presence apart from that of other backends: the backend's address and instance.
    pub namespace: String,
    /// How long what a file key stands for is remembered after it was last told.
    pub mapping_life: Duration,
    /// How long the CAS is taken to hold a blob after it said so.
    pub presence_life: Duration,
}

/// A store. Connects with the first question, and again when a connection breaks.
pub struct Redis {
    link: Link,
    namespace: [u8; 8],
    mapping_life: Duration,
    presence_life: Duration,
    epoch: AtomicU64,
    /// The store is not asked about presence until then.
    away_until: Mutex<Option<Instant>>,
    pending_drops: Mutex<HashSet<Digest>>,
    marker: Mutex<Option<Vec<u8>>>,
    /// Why it could not tell the epoch the last time, which is asked for each second.
    trouble: Mutex<Option<String>>,
}

impl Redis {
    /// Makes no connection yet.
    ///
    /// # Errors
    /// Naming the flag, when a URL cannot be understood.
    pub fn new(config: &RedisConfig) -> Result<Self> {
        let mut namespace = [0; 8];
        namespace.copy_from_slice(&Digest::of(config.namespace.as_bytes()).hash[..8]);
        Ok(Self {
            link: Link::new(config)?,
            namespace,
            mapping_life: config.mapping_life,
            presence_life: config.presence_life,
            epoch: AtomicU64::new(0),
            away_until: Mutex::default(),
            pending_drops: Mutex::default(),
            marker: Mutex::default(),
            trouble: Mutex::default(),
        })
    }

    fn present_key(&self, digest: &Digest) -> Vec<u8> {
        let size = digest.size.to_be_bytes();
        [&b"goma:p:"[..], &self.namespace, &digest.hash, &size].concat()
    }

    fn epoch_key(&self) -> Vec<u8> {
        [&b"goma:epoch:"[..], &self.namespace].concat()
    }

    /// Tries until the caller stops waiting: mappings are worth it.
    async fn persistent<T, F>(&self, what: &str, call: impl Fn() -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let mut backoff = Backoff::new(Duration::from_millis(20), Duration::from_millis(500));
        let mut told = false;
        loop {
            match call().await {
                Err(error) if error.code.is_transient() => {
                    if !std::mem::replace(&mut told, true) {
                        tracing::warn!(%error, "{what}: Redis does not answer; waiting for it");
                    }
                    tokio::time::sleep(backoff.delay()).await;
                }
                ended => return ended,
            }
        }
    }

    /// One try that takes milliseconds; none while the store is known to be away.
    async fn impatient<T>(&self, call: impl Future<Output = Result<T>>) -> Option<T> {
        if self.lock(&self.away_until).is_some_and(|until| Instant::now() < until) {
            return None;
        }
        let error = match tokio::time::timeout(PATIENCE, call).await {
            Ok(Ok(answer)) => {
                if self.lock(&self.away_until).take().is_some() {
                    tracing::info!("Redis answers again");
                }
                return Some(answer);
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {} ms", PATIENCE.as_millis()),
        };
        let until = Instant::now() + PAUSE;
        if self.lock(&self.away_until).replace(until).is_none() {
            tracing::warn!(error, "presence reads as unknown while Redis is away");
        }
        None
    }

    fn lock<'a, T>(&self, mutex: &'a Mutex<T>) -> std::sync::MutexGuard<'a, T> {
        // Each critical section is one operation, so a panic cannot leave it half done.
        mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Drops what a store that was away still holds. Whether it is told by now.
    async fn drop_pending(&self) {
        let pending = self.lock(&self.pending_drops).clone();
        if pending.is_empty() {
            return;
        }
        let keys = pending.iter().map(|digest| self.present_key(digest)).collect();
        if self.link.remove(keys).await.is_ok() {
            let mut waiting = self.lock(&self.pending_drops);
            waiting.retain(|digest| !pending.contains(digest));
        }
    }
}

#[async_trait]
impl Facts for Redis {
    async fn mappings(&self, keys: &[FileKey]) -> Result<Vec<Option<FileEntry>>> {
        let names: Vec<_> = keys.iter().map(mapping_key).collect();
        let values = self.persistent("mappings", || self.link.get(names.clone())).await?;
        let entries = values.into_iter().map(|value| encoding::decode(&value?).ok());
        Ok(entries.collect())
    }

    async fn put_mappings(&self, mappings: Vec<(FileKey, FileEntry)>) -> Result<()> {
        let pairs: Vec<_> = mappings
            .iter()
            .map(|(key, entry)| (mapping_key(key), encoding::encode(entry)))
            .collect();
        let life = self.mapping_life;
        self.persistent("mappings", || self.link.set(pairs.clone(), life)).await
    }

    async fn present(&self, digests: &[Digest]) -> Vec<Option<Duration>> {
        let keys = digests.iter().map(|digest| self.present_key(digest)).collect();
        let Some(values) = self.impatient(self.link.get(keys)).await else {
            return vec![None; digests.len()];
        };
        let (epoch, now) = (self.epoch.load(Ordering::Relaxed), seconds_now());
        let pending = self.lock(&self.pending_drops);
        let ages = digests.iter().zip(values).map(|(digest, value)| {
            let (written, confirmed) = parse_present(&value?)?;
            let believed = written == epoch && !pending.contains(digest);
            believed.then(|| Duration::from_secs(now.saturating_sub(confirmed)))
        });
        ages.collect()
    }

    async fn put_present(&self, digests: Vec<Digest>) {
        {
            let mut pending = self.lock(&self.pending_drops);
            digests.iter().for_each(|digest| {
                pending.remove(digest);
            });
        }
        let epoch = self.epoch.load(Ordering::Relaxed).to_be_bytes();
        let value = [epoch, seconds_now().to_be_bytes()].concat();
        let pairs = digests.iter().map(|d| (self.present_key(d), value.clone())).collect();
        self.impatient(self.link.set(pairs, self.presence_life)).await;
    }

    async fn drop_present(&self, digests: Vec<Digest>) {
        let keys = digests.iter().map(|digest| self.present_key(digest)).collect();
        if self.impatient(self.link.remove(keys)).await.is_none() {
            let mut pending = self.lock(&self.pending_drops);
            if pending.len() + digests.len() <= MAX_PENDING {
                pending.extend(digests);
            }
        }
    }

    async fn epoch(&self) -> Result<u64> {
        self.drop_pending().await;
        let key = self.epoch_key();
        let asked = tokio::time::timeout(TROUBLE, self.link.get(vec![key.clone()])).await;
        let asked = asked.unwrap_or_else(|_| {
            let why = format!("Redis: no answer within {} s", TROUBLE.as_secs());
            Err(Error::new(Code::Unavailable, why))
        });
        *self.lock(&self.trouble) = asked.as_ref().err().map(|error| error.message.clone());
        let mut told = asked?;
        let epoch = match told.pop().flatten().and_then(|value| value.try_into().ok()) {
            Some(epoch) => u64::from_be_bytes(epoch),
            None => {
                // A store that is new, or was emptied: as it was, so that nothing wrong comes back.
                let known = match self.epoch.load(Ordering::Relaxed) {
                    0 => millis_now(),
                    known => known,
                };
                self.link.set_if_absent(key, known.to_be_bytes().to_vec()).await?;
                known
            }
        };
        self.epoch.store(epoch, Ordering::Relaxed);
        Ok(epoch)
    }

    async fn bump_epoch(&self) -> Result<u64> {
        // The time is larger than any before, whoever else bumps it.
        let epoch = millis_now().max(self.epoch.load(Ordering::Relaxed) + 1);
        self.link.set_for_ever(self.epoch_key(), epoch.to_be_bytes().to_vec()).await?;
        self.epoch.store(epoch, Ordering::Relaxed);
        Ok(epoch)
    }

    async fn was_emptied(&self) -> bool {
        let Ok(mut told) = self.link.get(vec![MARKER.to_vec()]).await else { return false };
        let told = match told.pop().flatten() {
            Some(marker) => marker,
            None => {
                let marker = fastrand::u128(..).to_be_bytes().to_vec();
                if self.link.set_if_absent(MARKER.to_vec(), marker.clone()).await.is_err() {
                    return false;
                }
                marker
            }
        };
        let mut known = self.lock(&self.marker);
        let emptied = known.as_ref().is_some_and(|known| *known != told);
        *known = Some(told);
        emptied
    }

    fn kind(&self) -> &'static str {
        "redis"
    }

    fn trouble(&self) -> Option<String> {
        self.lock(&self.trouble).clone()
    }

    async fn flush(&self) {}
}

fn mapping_key(key: &FileKey) -> Vec<u8> {
    [&b"goma:f:"[..], &key.0].concat()
}

/// The epoch and the second of confirmation.
fn parse_present(value: &[u8]) -> Option<(u64, u64)> {
    let (epoch, confirmed) = value.split_at_checked(8)?;
    Some((
        u64::from_be_bytes(epoch.try_into().ok()?),
        u64::from_be_bytes(confirmed.try_into().ok()?),
    ))
}

fn seconds_now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn millis_now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// What went wrong, without what the connection's URL holds.
fn failed(error: &deadpool_redis::redis::RedisError) -> Error {
    use deadpool_redis::redis::ErrorKind;
    let code = match error.kind() {
        ErrorKind::AuthenticationFailed | ErrorKind::InvalidClientConfig => Code::Internal,
        _ => Code::Unavailable,
    };
    Error::new(code, format!("Redis: {error}{}", advice(error)))
}

/// What to do about a Redis that does not let us in, or not to where we have to go.
fn advice(error: &deadpool_redis::redis::RedisError) -> &'static str {
    use deadpool_redis::redis::ErrorKind;
    let code = error.code().unwrap_or_default();
    match (error.kind(), code) {
        (ErrorKind::AuthenticationFailed, _) | (_, "NOAUTH" | "WRONGPASS") => {
            ": give it the password that it has now, by --redis-password-file (for a user \
             --redis-username too), and restart this shard"
        }
        (_, "NOPERM") => ": its user may not do that: see the access list of Redis",
        _ => "",
    }
}
