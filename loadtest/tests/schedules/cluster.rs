//! The members as one gateway sees them: each key has an owner, and another one while that is away.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::join_all;
use goma_common::shards::{Blob, Shards, Source, Trust};
use goma_common::turn::Turn;
use goma_common::{Code, Deadline, Digest, FileEntry, FileKey, Result};
use tokio::time::{Instant, sleep};

use crate::chance::Chance;
use crate::member::Member;

/// A member that did not answer is passed over for so long.
const PASSED_OVER: Duration = Duration::from_millis(700);

/// One gateway's view.
pub struct Cluster {
    members: Vec<Arc<Member>>,
    away_until: Mutex<Vec<Instant>>,
    chance: Arc<Chance>,
}

impl Cluster {
    pub fn new(members: Vec<Arc<Member>>, chance: Arc<Chance>) -> Self {
        let away_until = Mutex::new(vec![Instant::now(); members.len()]);
        Self { members, away_until, chance }
    }

    fn owner(&self, key: &[u8; 32]) -> usize {
        let away = self.away_until.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let rank = |at: &usize| (away[*at] > now, self.chance.rank(("owner", at, key)));
        (0..self.members.len()).min_by_key(rank).unwrap_or(0)
    }

    fn pass_over(&self, member: usize) {
        let mut away = self.away_until.lock().unwrap_or_else(PoisonError::into_inner);
        away[member] = Instant::now() + PASSED_OVER;
    }

    /// Asks the owners of all items, and others where one is away, until each has an answer.
    async fn ask<I, A, F>(
        &self,
        items: Vec<I>,
        key: impl Fn(&I) -> [u8; 32],
        deadline: Deadline,
        call: impl Fn(Arc<Member>, Vec<I>) -> F,
    ) -> Result<Vec<(Vec<I>, A)>>
    where
        I: Clone,
        F: Future<Output = Result<A>>,
    {
        let (mut left, mut answers) = (items, Vec::new());
        while !left.is_empty() {
            let mut groups: HashMap<usize, Vec<I>> = HashMap::new();
            for item in left.drain(..) {
                groups.entry(self.owner(&key(&item))).or_default().push(item);
            }
            let mut groups: Vec<_> = groups.into_iter().collect();
            groups.sort_by_key(|(member, _)| *member);
            let calls = groups.into_iter().map(|(member, group)| {
                let call = call(self.members[member].clone(), group.clone());
                async move { (member, group, call.await) }
            });
            let mut refused = None;
            for (member, group, answer) in join_all(calls).await {
                match answer {
                    Ok(answer) => answers.push((group, answer)),
                    Err(error) if error.code == Code::Unavailable => {
                        self.pass_over(member);
                        left.extend(group);
                        refused = Some(error);
                    }
                    Err(error) => return Err(error),
                }
            }
            if let Some(error) = refused {
                if deadline.remaining() < PASSED_OVER {
                    return Err(error);
                }
                sleep(Duration::from_millis(100)).await;
            }
        }
        Ok(answers)
    }
}

#[async_trait]
impl Shards for Cluster {
    async fn resolve(
        &self,
        keys: &[FileKey],
        deadline: Deadline,
    ) -> Result<Vec<Option<FileEntry>>> {
        let ask = self.ask(keys.to_vec(), |key| key.0, deadline, |member, keys| async move {
            member.resolve(&keys, deadline).await
        });
        let told: HashMap<FileKey, Option<FileEntry>> =
            ask.await?.into_iter().flat_map(|(keys, entries)| keys.into_iter().zip(entries)).collect();
        Ok(keys.iter().map(|key| told.get(key).cloned().flatten()).collect())
    }

    async fn record(&self, files: Vec<(FileKey, FileEntry)>, deadline: Deadline) -> Result<()> {
        let ask = self.ask(files, |(key, _)| key.0, deadline, |member, files| async move {
            member.record(files, deadline).await
        });
        ask.await.map(drop)
    }

    async fn ensure(
        &self,
        blobs: Vec<Blob>,
        trust: Trust,
        source: Source,
        deadline: Deadline,
    ) -> Result<Vec<Digest>> {
        let ask = self.ask(blobs, |blob| blob.digest.hash, deadline, |member, blobs| async move {
            member.ensure(blobs, trust, source, deadline).await
        });
        Ok(ask.await?.into_iter().flat_map(|(_, missing)| missing).collect())
    }

    async fn load(&self, digest: Digest, deadline: Deadline) -> Result<Option<Bytes>> {
        self.members[self.owner(&digest.hash)].load(digest, deadline).await
    }

    async fn join(&self, action: Digest, skip_cache_lookup: bool, deadline: Deadline) -> Turn {
        let owner = &self.members[self.owner(&action.hash)];
        owner.join(action, skip_cache_lookup, deadline).await
    }

    async fn forget(&self, digests: &[Digest], deadline: Deadline) -> Result<()> {
        let ask = self.ask(digests.to_vec(), |d| d.hash, deadline, |member, digests| async move {
            member.forget(&digests, deadline).await
        });
        ask.await.map(drop)
    }
}
