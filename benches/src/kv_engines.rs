//! The embedded `Kv` beside fjall: durable commits a second, and how long opening takes with a million keys.
//!
//! Both sides group commits the same way: one task takes what waits, writes it as one batch, syncs, and answers. fjall is given no
//! compares, no revisions, no watches and no checksum of its own beside each value, so its figures are what the raw engine could give.
//!
//! `cargo run --release -p settee-benches --bin kv_engines`

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use fjall::{Keyspace, KeyspaceCreateOptions, PersistMode};
use futures::future::{BoxFuture, try_join_all};
use settee_core::env;
use settee_core::id::fnv1a;
use settee_core::port::{Commit, Kv, Range, Write};
use settee_engines::embedded::{EmbeddedKv, FileDisk};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// As many tasks as a busy server has transactions under way.
const COMMITTERS: usize = 128;
/// A record of a coordinator.
const VALUE_BYTES: usize = 200;
/// Long enough for page reuse and compaction to begin.
const RUN: Duration = Duration::from_secs(5);
/// What a server may hold after a busy day.
const KEYS: u64 = 1_000_000;
/// Keys written by one commit while loading.
const KEYS_A_COMMIT: u64 = 250;
/// The most commits of one batch: the embedded engine's own bound.
const GROUP_COMMITS: usize = 256;

type Pairs = Vec<(Bytes, Bytes)>;

/// What both engines can do.
trait Engine: Send + Sync {
    fn commit(&self, pairs: Pairs) -> BoxFuture<'_, anyhow::Result<()>>;
    fn count(&self) -> BoxFuture<'_, anyhow::Result<u64>>;
    fn close(self: Box<Self>) -> BoxFuture<'static, anyhow::Result<()>>;
}

struct Redb(EmbeddedKv);

impl Engine for Redb {
    fn commit(&self, pairs: Pairs) -> BoxFuture<'_, anyhow::Result<()>> {
        let writes = pairs.into_iter().map(|(key, value)| Write::Put(key, value)).collect();
        Box::pin(async move { Ok(self.0.commit(Commit { compares: Vec::new(), writes }).await.map(drop)?) })
    }

    fn count(&self) -> BoxFuture<'_, anyhow::Result<u64>> {
        Box::pin(async move {
            let (mut count, mut range) = (0, Range::prefix(b"k", 1_000));
            loop {
                let page = self.0.range(range.clone()).await?;
                count += u64::try_from(page.entries.len())?;
                let Some((last, _)) = page.entries.last().filter(|_| page.more) else { return Ok(count) };
                range = range.behind(last);
            }
        })
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, anyhow::Result<()>> {
        Box::pin(async move {
            self.0.close().await;
            Ok(())
        })
    }
}

struct Fjall {
    database: fjall::Database,
    keys: Keyspace,
    queue: mpsc::Sender<Job>,
}

struct Job {
    pairs: Pairs,
    answer: oneshot::Sender<()>,
}

impl Fjall {
    fn open(path: &Path) -> anyhow::Result<Self> {
        let database = fjall::Database::builder(path).open()?;
        let keys = database.keyspace("keys", KeyspaceCreateOptions::default)?;
        let (queue, jobs) = mpsc::channel(2_048);
        env::spawn(commit_in_groups(database.clone(), keys.clone(), jobs));
        Ok(Self { database, keys, queue })
    }
}

async fn commit_in_groups(database: fjall::Database, keys: Keyspace, mut jobs: mpsc::Receiver<Job>) -> anyhow::Result<()> {
    let mut group = Vec::new();
    while jobs.recv_many(&mut group, GROUP_COMMITS).await > 0 {
        let (database, keys, batch) = (database.clone(), keys.clone(), std::mem::take(&mut group));
        env::blocking(move || {
            let mut write = database.batch();
            for (key, value) in batch.iter().flat_map(|job| &job.pairs) {
                write.insert(&keys, key.as_ref(), value.as_ref());
            }
            write.commit()?;
            database.persist(PersistMode::SyncAll)?;
            for job in batch {
                // Whoever stopped waiting does not need the answer.
                let _ = job.answer.send(());
            }
            anyhow::Ok(())
        })
        .await?;
    }
    Ok(())
}

impl Engine for Fjall {
    fn commit(&self, pairs: Pairs) -> BoxFuture<'_, anyhow::Result<()>> {
        Box::pin(async move {
            let (answer, answered) = oneshot::channel();
            self.queue.send(Job { pairs, answer }).await.ok().context("the committer ended")?;
            Ok(answered.await?)
        })
    }

    fn count(&self) -> BoxFuture<'_, anyhow::Result<u64>> {
        let keys = self.keys.clone();
        Box::pin(env::blocking(move || {
            let mut count = 0;
            for pair in keys.iter() {
                pair.into_inner()?;
                count += 1;
            }
            Ok(count)
        }))
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, anyhow::Result<()>> {
        Box::pin(async move {
            let Self { database, keys, queue } = *self;
            drop((keys, queue));
            // The committer lets go of its clone when it sees that the queue is closed.
            tokio::task::yield_now().await;
            Ok(database.persist(PersistMode::SyncAll)?)
        })
    }
}

async fn open(name: &str, path: &Path) -> anyhow::Result<Box<dyn Engine>> {
    match name {
        "redb" => Ok(Box::new(Redb(EmbeddedKv::open(Arc::new(FileDisk::open(path)?)).await?))),
        _ => Ok(Box::new(Fjall::open(path)?)),
    }
}

fn pair(n: u64) -> (Bytes, Bytes) {
    // Ids come in no order, so keys do not either.
    let key = format!("k/{:016x}{n:08x}", fnv1a(&n.to_le_bytes()));
    (key.into(), vec![u8::try_from(n % 251).unwrap_or_default(); VALUE_BYTES].into())
}

async fn commits_a_second(name: &str) -> anyhow::Result<()> {
    let folder = tempfile::tempdir_in(".")?;
    let engine = open(name, folder.path()).await?;
    let start = Instant::now();
    let committer = |first: usize| {
        let engine = &engine;
        async move {
            let mut times = Vec::new();
            let mut n = u64::try_from(first)?;
            while start.elapsed() < RUN {
                let asked = Instant::now();
                engine.commit(vec![pair(n)]).await?;
                times.push(asked.elapsed());
                n += u64::try_from(COMMITTERS)?;
            }
            anyhow::Ok(times)
        }
    };
    let mut times = try_join_all((0..COMMITTERS).map(committer)).await?.concat();
    times.sort();
    let at = |percent: usize| times.get(times.len() * percent / 100).copied().unwrap_or_default();
    let rate = times.len() as f64 / start.elapsed().as_secs_f64();
    println!("{name}: {rate:.0} commits/s, p50 {:.1?}, p99 {:.1?}", at(50), at(99));
    engine.close().await
}

async fn load(engine: &dyn Engine) -> anyhow::Result<()> {
    let starts = (0..KEYS).step_by(usize::try_from(KEYS_A_COMMIT)?).collect::<Vec<_>>();
    for group in starts.chunks(16) {
        try_join_all(group.iter().map(|start| engine.commit((*start..start + KEYS_A_COMMIT).map(pair).collect()))).await?;
    }
    Ok(())
}

async fn reopening(name: &str) -> anyhow::Result<()> {
    let folder = tempfile::tempdir_in(".")?;
    let engine = open(name, folder.path()).await?;
    let start = Instant::now();
    load(engine.as_ref()).await?;
    let loaded = start.elapsed();
    engine.close().await?;
    // Background work of closing must not blur the figure.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let start = Instant::now();
    let engine = open(name, folder.path()).await?;
    let opened = start.elapsed();
    let start = Instant::now();
    let count = engine.count().await?;
    anyhow::ensure!(count == KEYS, "{count} of {KEYS} keys are there");
    println!("{name}: {KEYS} keys loaded in {loaded:.1?}, opened in {opened:.2?}, all read in {:.2?}", start.elapsed());
    engine.close().await
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    for name in ["redb", "fjall"] {
        commits_a_second(name).await?;
    }
    for name in ["redb", "fjall"] {
        reopening(name).await?;
    }
    Ok(())
}
