//! `Kv` on redb, in one file that is written through a [`Disk`].
//!
//! ```text
//! commit() --bounded queue--> committer task --one redb transaction, synced--> answers
//! get(), range() -----------> one redb read transaction each
//! watch() ------------------> the bounded history that the committer publishes to
//! ```
//!
//! - [`store`]: opening, failing, and opening again; [`database`]: the tables and what a group of commits does to them.
//! - [`queue`]: what waits, and what shares a sync.
//! - [`backend`] and [`failure`]: what the disk reports, and what it means; [`seal`]: a checksum over redb's header.

mod backend;
mod database;
mod failure;
mod queue;
mod seal;
mod store;

use std::sync::Arc;

use bytes::Bytes;
use settee_core::env;
use settee_core::id::Revision;
use settee_core::port::{BoxFuture, Commit, Disk, Kv, Outcome, Page, Range, StoreError, Versioned, Watch};

use self::queue::{Queue, Waiting};
use self::store::Store;
use crate::kv::limits;

/// The file that holds everything.
const FILE: &str = "state.redb";

/// What redb may cache, in bytes: inner pages of a million keys fit, and an idle server stays below 50 MiB.
const CACHE_BYTES: usize = 8 * 1024 * 1024;

/// A [`Kv`] in one file of one process; what it acknowledged survives power cuts. Limits: [`limits`].
///
/// Commits that come while others are being written share the next transaction and its sync. After a failed sync the store refuses
/// everything with `Poisoned`; damage is reported as `Damaged`; a full disk refuses commits with `Full` until there is room again.
///
/// The folder must be locked by the caller. Dropping it closes the file in the background; [`EmbeddedKv::close`] waits for that.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use std::sync::Arc;
/// use settee_core::port::{Commit, Compare, Kv, Outcome, Write};
/// use settee_engines::embedded::EmbeddedKv;
/// # use settee_engines::memory::MemoryDisk;
///
/// let kv = EmbeddedKv::open(Arc::new(MemoryDisk::new())).await?;
/// let commit = Commit {
///     compares: vec![Compare::Absent("seat/4".into())],
///     writes: vec![Write::Put("seat/4".into(), "ada".into())],
/// };
/// assert!(matches!(kv.commit(commit.clone()).await?, Outcome::Committed(_)));
/// assert_eq!(kv.commit(commit).await?, Outcome::Conflict);
/// kv.close().await;
/// # Ok::<(), settee_core::port::StoreError>(()) }).unwrap();
/// ```
pub struct EmbeddedKv {
    store: Arc<Store>,
    queue: Queue,
}

impl EmbeddedKv {
    /// Opens the store in the folder `disk`, making it if there is none, and verifies the whole file.
    ///
    /// # Errors
    /// `Damaged`, `Newer`, `ReadOnly`, `Full` or `Unavailable`, naming the file. Nothing that was acknowledged is lost by trying.
    ///
    /// # Cancel safety
    /// The file may be opened and closed again.
    pub async fn open(disk: Arc<dyn Disk>) -> Result<Self, StoreError> {
        let store = Arc::new(env::blocking(move || Store::open(disk)).await?);
        let (queue, waiting) = queue::queue();
        env::spawn(commit_in_groups(store.clone(), waiting));
        Ok(Self { store, queue })
    }

    /// Waits for what is under way, then closes the file. Everything after is refused with `Unavailable`, and watches end.
    ///
    /// # Cancel safety
    /// The file is closed anyway, later.
    pub async fn close(&self) {
        let store = self.store.clone();
        env::blocking(move || store.close()).await;
    }
}

/// The committer: ends when the last handle is gone.
async fn commit_in_groups(store: Arc<Store>, mut waiting: Waiting) {
    while let Some((commits, answers)) = waiting.group().await {
        let writer = store.clone();
        let outcomes = env::blocking(move || writer.write(&commits)).await;
        for (answer, outcome) in answers.into_iter().zip(outcomes) {
            // Whoever stopped waiting does not need the answer.
            let _ = answer.send(outcome);
        }
    }
    env::blocking(move || store.close()).await;
}

impl Kv for EmbeddedKv {
    fn get<'a>(&'a self, key: &'a [u8]) -> BoxFuture<'a, Result<Option<Versioned>, StoreError>> {
        let (store, key) = (self.store.clone(), Bytes::copy_from_slice(key));
        Box::pin(env::blocking(move || store.read(|opened| opened.get(&key))))
    }

    fn range(&self, range: Range) -> BoxFuture<'_, Result<Page, StoreError>> {
        let store = self.store.clone();
        Box::pin(env::blocking(move || store.read(|opened| opened.range(&range))))
    }

    fn commit(&self, commit: Commit) -> BoxFuture<'_, Result<Outcome, StoreError>> {
        Box::pin(async move {
            limits::check(&commit)?;
            self.queue.commit(commit).await
        })
    }

    fn watch(&self, prefix: Bytes, after: Revision) -> BoxFuture<'_, Result<Box<dyn Watch>, StoreError>> {
        Box::pin(async move { self.store.changes().watch(prefix, after) })
    }
}

#[cfg(all(test, feature = "memory"))]
mod crash_test;
#[cfg(all(test, feature = "memory"))]
mod fault_test;
#[cfg(all(test, feature = "memory"))]
mod rot_test;
#[cfg(test)]
mod short_write_test;
