//! Facts in a file of this machine, in place of Redis.
//!
//! Writes are gathered by one thread into one transaction each time the disk is free. A crash may
//! forget the last of them, and then a client sends a file again; a clean end forgets nothing.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use goma_common::{Code, Digest, Error, FileEntry, FileKey, Result};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use tokio::sync::{mpsc, oneshot};

use super::{Facts, encoding};

/// File key -> day of writing (4 bytes), entry.
const MAPPINGS: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("mappings-v1");
/// Hash and size of a blob -> second until which it is taken to be present.
const PRESENT: TableDefinition<'_, &[u8; 40], u64> = TableDefinition::new("present-v1");

/// Mappings are always true; the bound is only there to keep the file from growing for ever.
const MAPPING_LIFE_DAYS: u32 = 60;
const DAY: u64 = 24 * 60 * 60;
/// Puts that may wait for the disk before whoever puts waits too.
const QUEUE: usize = 256;

/// An embedded store; dropping it writes what is queued in the background, [`Facts::flush`] waits.
pub struct Embedded {
    database: Arc<Database>,
    writer: mpsc::Sender<Write>,
    presence_life: Duration,
    /// Of this process: nobody shares the store.
    epoch: AtomicU64,
}

enum Write {
    Mappings(Vec<(FileKey, FileEntry)>),
    Present(Vec<Digest>, u64),
    Absent(Vec<Digest>),
    NothingPresent,
    Flush(oneshot::Sender<()>),
}

impl Embedded {
    /// Opens or makes the store in `file`, and drops what has expired. Presence is believed for
    /// `presence_life` after the CAS said so.
    ///
    /// # Errors
    /// Naming the file, when another process has it open or it cannot be read.
    pub fn open(file: &Path, presence_life: Duration) -> Result<Self> {
        let failed = |error: redb::Error| {
            Error::new(Code::Internal, format!("facts in {}: {error}", file.display()))
        };
        let database = Database::create(file).map_err(|e| failed(e.into()))?;
        sweep(&database).map_err(failed)?;
        let database = Arc::new(database);
        let (writer, queue) = mpsc::channel(QUEUE);
        let written = database.clone();
        std::thread::Builder::new()
            .name("facts".to_owned())
            .spawn(move || write_all(&written, queue))
            .map_err(|error| Error::new(Code::Internal, format!("facts: {error}")))?;
        Ok(Self { database, writer, presence_life, epoch: AtomicU64::new(0) })
    }

    async fn put(&self, write: Write) -> Result<()> {
        let sent = self.writer.send(write).await;
        sent.map_err(|_| Error::new(Code::Internal, "facts: the writer has ended"))
    }

    fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, redb::Error> + Send + 'static,
    ) -> impl Future<Output = Result<T>> {
        let database = self.database.clone();
        async move {
            tokio::task::spawn_blocking(move || work(&database))
                .await
                .map_err(|error| Error::new(Code::Internal, format!("facts: {error}")))?
                .map_err(|error| Error::new(Code::Unavailable, format!("facts: {error}")))
        }
    }
}

#[async_trait]
impl Facts for Embedded {
    async fn mappings(&self, keys: &[FileKey]) -> Result<Vec<Option<FileEntry>>> {
        let keys = keys.to_vec();
        self.read(move |database| {
            let table = database.begin_read()?.open_table(MAPPINGS)?;
            keys.iter()
                .map(|key| {
                    let value = table.get(&key.0)?;
                    Ok(value.and_then(|value| encoding::decode(value.value().get(4..)?).ok()))
                })
                .collect()
        })
        .await
    }

    async fn put_mappings(&self, mappings: Vec<(FileKey, FileEntry)>) -> Result<()> {
        self.put(Write::Mappings(mappings)).await
    }

    async fn present(&self, digests: &[Digest]) -> Vec<Option<Duration>> {
        let asked = digests.to_vec();
        let now = seconds_now();
        let life = self.presence_life.as_secs();
        let answer = self.read(move |database| {
            let table = database.begin_read()?.open_table(PRESENT)?;
            asked
                .iter()
                .map(|digest| {
                    let until = table.get(&present_key(digest))?.map(|until| until.value());
                    let left = until.filter(|until| *until > now).map(|until| until - now);
                    Ok(left.map(|left| Duration::from_secs(life.saturating_sub(left))))
                })
                .collect::<Result<Vec<_>, redb::Error>>()
        });
        answer.await.unwrap_or_else(|error| {
            tracing::warn!(%error, "presence reads as unknown");
            vec![None; digests.len()]
        })
    }

    async fn put_present(&self, digests: Vec<Digest>) {
        let until = seconds_now() + self.presence_life.as_secs();
        if let Err(error) = self.put(Write::Present(digests, until)).await {
            tracing::warn!(%error, "presence was not written");
        }
    }

    async fn drop_present(&self, digests: Vec<Digest>) {
        if let Err(error) = self.put(Write::Absent(digests)).await {
            tracing::warn!(%error, "presence was not dropped");
        }
        // Before it is written a question would find the old row.
        self.flush().await;
    }

    async fn epoch(&self) -> Result<u64> {
        Ok(self.epoch.load(Ordering::Relaxed))
    }

    /// Rows of the old epoch are dropped, so none carries its number.
    async fn bump_epoch(&self) -> Result<u64> {
        self.put(Write::NothingPresent).await?;
        self.flush().await;
        Ok(self.epoch.fetch_add(1, Ordering::Relaxed) + 1)
    }

    async fn was_emptied(&self) -> bool {
        false
    }

    fn kind(&self) -> &'static str {
        "disk"
    }

    async fn flush(&self) {
        let (done, written) = oneshot::channel();
        if self.put(Write::Flush(done)).await.is_ok() {
            // An error means that the writer ended, which it does only after its queue is empty.
            let _ = written.await;
        }
    }
}

/// Takes whatever is queued into one transaction, until all senders are gone.
fn write_all(database: &Database, mut queue: mpsc::Receiver<Write>) {
    while let Some(first) = queue.blocking_recv() {
        let mut batch = vec![first];
        while let Ok(next) = queue.try_recv() {
            batch.push(next);
        }
        if let Err(error) = write(database, &batch) {
            tracing::error!(%error, "facts were not written; clients will send files again");
        }
        for write in batch {
            if let Write::Flush(done) = write {
                // Whoever asked may have stopped waiting.
                let _ = done.send(());
            }
        }
    }
}

fn write(database: &Database, batch: &[Write]) -> Result<(), redb::Error> {
    let today = u32::try_from(seconds_now() / DAY).unwrap_or(u32::MAX).to_be_bytes();
    let transaction = database.begin_write()?;
    {
        let mut mappings = transaction.open_table(MAPPINGS)?;
        let mut present = transaction.open_table(PRESENT)?;
        for write in batch {
            match write {
                Write::Mappings(all) => {
                    for (key, entry) in all {
                        let value = [&today[..], &encoding::encode(entry)].concat();
                        mappings.insert(&key.0, value.as_slice())?;
                    }
                }
                Write::Present(digests, until) => {
                    for digest in digests {
                        present.insert(&present_key(digest), until)?;
                    }
                }
                Write::Absent(digests) => {
                    for digest in digests {
                        present.remove(&present_key(digest))?;
                    }
                }
                Write::NothingPresent => present.retain(|_, _| false)?,
                Write::Flush(_) => {}
            }
        }
    }
    transaction.commit()?;
    Ok(())
}

/// Drops what has expired. Once at the start: a day's facts are small beside what a store bears.
fn sweep(database: &Database) -> Result<(), redb::Error> {
    let now = seconds_now();
    let oldest = u32::try_from(now / DAY).unwrap_or(u32::MAX).saturating_sub(MAPPING_LIFE_DAYS);
    let transaction = database.begin_write()?;
    {
        let mut present = transaction.open_table(PRESENT)?;
        present.retain(|_, until| until > now)?;
        let mut mappings = transaction.open_table(MAPPINGS)?;
        mappings.retain(|_, value| {
            let day = value.get(..4).and_then(|day| day.try_into().ok()).map(u32::from_be_bytes);
            day.is_some_and(|day| day >= oldest)
        })?;
        tracing::debug!(mappings = mappings.iter()?.count(), "facts opened");
    }
    transaction.commit()?;
    Ok(())
}

fn present_key(digest: &Digest) -> [u8; 40] {
    let mut key = [0; 40];
    key[..32].copy_from_slice(&digest.hash);
    key[32..].copy_from_slice(&digest.size.to_be_bytes());
    key
}

fn seconds_now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn facts_survive_a_restart() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("facts");
        let life = Duration::from_secs(60);
        let (key, digest) = (FileKey::of_file(b"x"), Digest::of(b"x"));

        let facts = Embedded::open(&file, life).expect("opens");
        facts.put_mappings(vec![(key, FileEntry::File(digest))]).await.expect("takes it");
        facts.put_present(vec![digest]).await;
        facts.flush().await;
        drop(facts);

        // The writer lets go of the file a moment after its last sender is gone.
        let facts = loop {
            match Embedded::open(&file, life) {
                Ok(facts) => break facts,
                Err(error) if error.message.contains("already open") => {
                    tokio::task::yield_now().await;
                }
                Err(error) => panic!("{error}"),
            }
        };
        let other = FileKey::of_file(b"y");
        let known = facts.mappings(&[other, key]).await.expect("answers");
        assert_eq!(known, [None, Some(FileEntry::File(digest))]);
        let present = facts.present(&[digest, Digest::of(b"y")]).await;
        assert!(present[0].is_some_and(|age| age < life) && present[1].is_none(), "{present:?}");
        facts.drop_present(vec![digest]).await;
        assert_eq!(facts.present(&[digest]).await, [None]);
        facts.put_present(vec![digest]).await;
        facts.bump_epoch().await.expect("bumps");
        assert_eq!(facts.present(&[digest]).await, [None]);
    }

    #[tokio::test]
    async fn presence_expires() {
        let dir = tempfile::tempdir().expect("a directory");
        let facts = Embedded::open(&dir.path().join("facts"), Duration::ZERO).expect("opens");
        facts.put_present(vec![Digest::of(b"x")]).await;
        facts.flush().await;
        assert_eq!(facts.present(&[Digest::of(b"x")]).await, [None]);
    }
}
