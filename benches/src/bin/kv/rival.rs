//! fjall, with one task that makes groups of the commits that wait, as the embedded engine's own committer does.

use std::path::Path;

use anyhow::Context;
use bytes::Bytes;
use fjall::{Keyspace, KeyspaceCreateOptions, PersistMode};
use settee_core::env;
use tokio::sync::{mpsc, oneshot};

use crate::engine::{Engine, Pairs};

/// The most commits of one batch: the embedded engine's own bound.
const GROUP_COMMITS: usize = 256;
/// Commits that may wait, as there.
const QUEUE: usize = 2_048;

pub(crate) struct Fjall {
    keys: Keyspace,
    queue: mpsc::Sender<Job>,
    committer: env::JoinHandle<anyhow::Result<()>>,
}

struct Job {
    pairs: Pairs,
    answer: oneshot::Sender<()>,
}

impl Engine for Fjall {
    async fn open(place: &Path) -> anyhow::Result<Self> {
        let database = fjall::Database::builder(place).open()?;
        let keys = database.keyspace("keys", KeyspaceCreateOptions::default)?;
        let (queue, jobs) = mpsc::channel(QUEUE);
        let committer = env::spawn(commit_in_groups(database, keys.clone(), jobs));
        Ok(Self { keys, queue, committer })
    }

    async fn commit(&self, pairs: Pairs) -> anyhow::Result<()> {
        let (answer, answered) = oneshot::channel();
        self.queue.send(Job { pairs, answer }).await.ok().context("the committer ended")?;
        Ok(answered.await?)
    }

    async fn contains(&self, key: Bytes) -> anyhow::Result<bool> {
        Ok(self.keys.contains_key(key)?)
    }

    async fn close(self) -> anyhow::Result<()> {
        let Self { keys, queue, committer } = self;
        drop((keys, queue));
        committer.await?
    }
}

async fn commit_in_groups(database: fjall::Database, keys: Keyspace, mut jobs: mpsc::Receiver<Job>) -> anyhow::Result<()> {
    let mut group = Vec::new();
    while jobs.recv_many(&mut group, GROUP_COMMITS).await > 0 {
        let (database, keys, batch) = (database.clone(), keys.clone(), std::mem::take(&mut group));
        env::blocking(move || write(&database, &keys, batch)).await?;
    }
    Ok(database.persist(PersistMode::SyncAll)?)
}

fn write(database: &fjall::Database, keys: &Keyspace, batch: Vec<Job>) -> anyhow::Result<()> {
    let mut write = database.batch();
    for (key, value) in batch.iter().flat_map(|job| &job.pairs) {
        write.insert(keys, key.as_ref(), value.as_ref());
    }
    write.commit()?;
    database.persist(PersistMode::SyncAll)?;
    for job in batch {
        let _who_stopped_waiting_needs_no_answer = job.answer.send(());
    }
    Ok(())
}
