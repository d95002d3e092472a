//! Reading transactions from the store: one by its xid, all that are open, and history page by page.

use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use settee_core::Error;
use settee_core::error::{ErrorKind, codes};
use settee_core::id::{ShardId, Xid};
use settee_core::port::{Kv, Page, Range};
use settee_core::txn::{DecisionRegister, Progress, Transaction};

use super::record::{self, Forgotten, LeaseMark};
use crate::record::{Record, decode};

/// Keys of one page: large enough to make round trips cheap, small enough not to hold up other readers.
const PAGE: usize = 1_000;

/// Reads under way at once, while loading and listing.
const CONCURRENCY: usize = 32;

/// One shard, as an owner takes it over.
pub(super) struct LoadedShard {
    pub(super) shard: ShardId,
    pub(super) lease: LeaseMark,
    pub(super) forgotten: Forgotten,
    pub(super) open: Vec<Transaction>,
}

/// A page of xids and where it ended.
pub(super) struct XidPage {
    pub(super) xids: Vec<Xid>,
    pub(super) more: bool,
}

#[derive(Clone)]
pub(super) struct Store(Arc<dyn Kv>);

impl Store {
    pub(super) fn new(kv: Arc<dyn Kv>) -> Self {
        Self(kv)
    }

    /// A transaction that is not in memory: it has ended, or, with `None`, there is no record of it. What is stored but
    /// undecided is always in memory, so most look-ups are one read.
    pub(super) async fn read(&self, xid: Xid) -> Result<Option<Transaction>, Error> {
        let Some(decision) = self.get::<DecisionRegister>(&record::decision_key(xid)).await? else { return Ok(None) };
        let progress = self.get::<Progress>(&record::history_key(xid)).await?;
        restore(xid, Some(decision), progress).map(Some)
    }

    /// Several transactions; those of which nothing is stored any more are left out.
    pub(super) async fn read_all(&self, xids: Vec<Xid>) -> Result<Vec<Transaction>, Error> {
        let reads = stream::iter(xids).map(|xid| self.read(xid)).buffered(CONCURRENCY);
        reads.try_filter_map(async |found| Ok(found)).try_collect().await
    }

    /// Every shard with its open transactions.
    pub(super) async fn load(&self) -> Result<Vec<LoadedShard>, Error> {
        stream::iter(ShardId::all()).map(|shard| self.load_shard(shard)).buffered(CONCURRENCY).try_collect().await
    }

    async fn load_shard(&self, shard: ShardId) -> Result<LoadedShard, Error> {
        let lease = self.get(&record::lease_key(shard)).await?.unwrap_or_default();
        let forgotten = self.get(&record::forgotten_key(shard)).await?.unwrap_or_default();
        let prefix = record::open(shard);
        let mut open = Vec::new();
        let mut range = Some(Range::prefix(&prefix, PAGE));
        while let Some(asked) = range {
            let page = self.0.range(asked.clone()).await?;
            range = behind(&asked, &page);
            let reads = stream::iter(page.entries).map(|(_, stored)| self.read_open(stored.value)).buffered(CONCURRENCY);
            open.append(&mut reads.try_collect::<Vec<_>>().await?);
        }
        Ok(LoadedShard { shard, lease, forgotten, open })
    }

    async fn read_open(&self, stored: Bytes) -> Result<Transaction, Error> {
        let progress: Progress = decode(&stored)?;
        let decision = self.get::<DecisionRegister>(&record::decision_key(progress.xid)).await?;
        restore(progress.xid, decision, Some(progress))
    }

    /// One page of ended transactions of a shard, behind `after`.
    pub(super) async fn history(&self, shard: ShardId, after: Option<Xid>, limit: usize) -> Result<XidPage, Error> {
        let prefix = record::history(shard);
        let from = Range::prefix(&prefix, limit.min(PAGE));
        let range = match after.filter(|after| after.shard() == shard) {
            Some(after) => from.behind(&record::history_key(after)),
            None => from,
        };
        let page = self.0.range(range).await?;
        Ok(XidPage { xids: xids(&prefix, &page), more: page.more })
    }

    /// The transactions of every shard with this reference, in order, at most a page a shard.
    pub(super) async fn with_reference(&self, reference: &str) -> Result<Vec<Xid>, Error> {
        let of_shard = |shard| async move {
            let prefix = record::reference_prefix(reference, shard);
            let page = self.0.range(Range::prefix(&prefix, PAGE)).await?;
            Ok::<_, Error>(xids(&prefix, &page))
        };
        let pages: Vec<Vec<Xid>> = stream::iter(ShardId::all()).map(of_shard).buffered(CONCURRENCY).try_collect().await?;
        Ok(pages.into_iter().flatten().collect())
    }

    /// Calls `see` with every decision of a shard.
    pub(super) async fn each_decision(&self, shard: ShardId, mut see: impl FnMut(&DecisionRegister)) -> Result<(), Error> {
        let mut range = Some(Range::prefix(&record::decisions(shard), PAGE));
        while let Some(asked) = range {
            let page = self.0.range(asked.clone()).await?;
            range = behind(&asked, &page);
            for (_, stored) in page.entries {
                see(&decode(&stored.value)?);
            }
        }
        Ok(())
    }

    async fn get<R: Record>(&self, key: &[u8]) -> Result<Option<R>, Error> {
        let stored = self.0.get(key).await?;
        stored.map(|stored| decode(&stored.value)).transpose()
    }
}

fn restore(xid: Xid, decision: Option<DecisionRegister>, progress: Option<Progress>) -> Result<Transaction, Error> {
    Transaction::restore(xid, decision, progress)
        .map_err(|damaged| Error::new(ErrorKind::Damaged, codes::STORE_DAMAGED, damaged.to_string()).caused_by(damaged))
}

fn xids(prefix: &[u8], page: &Page) -> Vec<Xid> {
    page.entries.iter().filter_map(|(key, _)| record::xid_behind(prefix, key)).collect()
}

fn behind(asked: &Range, page: &Page) -> Option<Range> {
    let (last, _) = page.entries.last().filter(|_| page.more)?;
    Some(asked.clone().behind(last))
}
