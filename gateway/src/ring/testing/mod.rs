//! A shard for tests: it keeps its facts in memory, and is away or silent when it is told to.

mod server;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use bytes::Bytes;
use goma_common::reapi::Executed;
use goma_common::shards::{Blob, Shards, Source, Trust};
use goma_common::turn::{Lease, Turn};
use goma_common::{Code, Deadline, Digest, Error, FileEntry, FileKey, Result, Tenant};
use tokio::sync::watch;

pub(super) use server::Server;

/// How it answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mood {
    #[default]
    Well,
    /// Fails with this code.
    Fails(Code),
    /// Does not answer.
    Silent,
}

#[derive(Default)]
pub(super) struct Scripted(Mutex<State>);

#[derive(Default)]
struct State {
    mood: Mood,
    calls: Vec<&'static str>,
    files: HashMap<FileKey, FileEntry>,
    present: HashMap<Digest, Option<Bytes>>,
    forgotten: HashSet<Digest>,
    turns: HashMap<Digest, watch::Receiver<Option<Result<Executed>>>>,
}

impl Scripted {
    pub(super) fn set(&self, mood: Mood) {
        self.state().mood = mood;
    }

    /// The calls so far, by name.
    pub(super) fn calls(&self) -> Vec<&'static str> {
        self.state().calls.clone()
    }

    pub(super) fn file(&self, key: FileKey) -> Option<FileEntry> {
        self.state().files.get(&key).cloned()
    }

    pub(super) fn has(&self, digest: Digest) -> bool {
        self.state().present.contains_key(&digest)
    }

    pub(super) fn has_forgotten(&self, digest: Digest) -> bool {
        self.state().forgotten.contains(&digest)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no panic")
    }

    async fn enter(&self, call: &'static str) -> Result<()> {
        let mood = {
            let mut state = self.state();
            state.calls.push(call);
            state.mood
        };
        match mood {
            Mood::Well => Ok(()),
            Mood::Fails(code) => Err(Error::new(code, "on purpose")),
            Mood::Silent => std::future::pending().await,
        }
    }
}

#[async_trait]
impl Shards for Scripted {
    async fn resolve(
        &self,
        keys: &[FileKey],
        _deadline: Deadline,
    ) -> Result<Vec<Option<FileEntry>>> {
        self.enter("resolve").await?;
        let state = self.state();
        let known = |key: &FileKey| match state.files.get(key)? {
            FileEntry::Manifest { size, chunks, whole: None } => {
                let all = chunks.iter().all(|chunk| state.files.contains_key(chunk));
                let whole = Some(Digest { hash: key.0, size: *size });
                all.then(|| FileEntry::Manifest { size: *size, chunks: chunks.clone(), whole })
            }
            entry => Some(entry.clone()),
        };
        Ok(keys.iter().map(known).collect())
    }

    async fn record(&self, files: Vec<(FileKey, FileEntry)>, _deadline: Deadline) -> Result<()> {
        self.enter("record").await?;
        self.state().files.extend(files);
        Ok(())
    }

    async fn ensure(
        &self,
        blobs: Vec<Blob>,
        _trust: Trust,
        _source: Source,
        _deadline: Deadline,
    ) -> Result<Vec<Digest>> {
        self.enter("ensure").await?;
        let mut state = self.state();
        let mut missing = Vec::new();
        for Blob { digest, contents } in blobs {
            if contents.is_some() {
                state.present.insert(digest, contents);
            } else if !state.present.contains_key(&digest) {
                missing.push(digest);
            }
        }
        Ok(missing)
    }

    async fn load(&self, digest: Digest, _deadline: Deadline) -> Result<Option<Bytes>> {
        self.enter("load").await?;
        Ok(self.state().present.get(&digest).cloned().flatten())
    }

    async fn join(&self, action: Digest, _skip_cache_lookup: bool, deadline: Deadline) -> Turn {
        if self.enter("join").await.is_err() {
            return Turn::Run(Lease::alone());
        }
        loop {
            let waiting = self.state().turns.get(&action).cloned();
            let Some(mut waiting) = waiting else {
                let (told, turn) = watch::channel(None);
                self.state().turns.insert(action, turn);
                let (lease, end) = Lease::new();
                tokio::spawn(async move {
                    if let Ok(end) = end.await {
                        told.send_replace(Some(end));
                    }
                });
                return Turn::Run(lease);
            };
            let ended = deadline.bound("the turn", async {
                let ended = waiting.wait_for(Option::is_some).await;
                Ok(ended.ok().and_then(|ended| ended.clone()))
            });
            match ended.await {
                Ok(Some(outcome)) => return Turn::Ran(Box::new(outcome)),
                // The lease was dropped: the next one's turn.
                Ok(None) => drop(self.state().turns.remove(&action)),
                Err(_) => return Turn::Run(Lease::alone()),
            }
        }
    }

    async fn forget(&self, digests: &[Digest], _deadline: Deadline) -> Result<()> {
        self.enter("forget").await?;
        self.state().forgotten.extend(digests);
        Ok(())
    }

    fn of_tenant(self: Arc<Self>, _: Tenant) -> Arc<dyn Shards> {
        self
    }
}
