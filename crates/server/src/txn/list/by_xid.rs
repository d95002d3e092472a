//! Lists in the order of xids: the shards one after the other, in each what is open from memory and what ended from the store.

use std::collections::BTreeMap;

use settee::txn::{ListPosition, TransactionPage, TransactionSummary};
use settee_core::Error;
use settee_core::id::{Generation, ShardId, Xid};
use settee_core::txn::Transaction;

use super::{MAX_LINES, MAX_SCANNED, Wanted};
use crate::txn::coordinator::Inner;
use crate::txn::recent::time_of;
use crate::txn::view;

/// Shards whose history is read for one page at most: a filter that fits few gives short pages instead of long silence.
const MAX_SHARDS: usize = 64;

/// Which transactions are walked over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    All,
    /// Those that are not among the newest.
    Older,
}

impl Which {
    fn behind(self, xid: Xid) -> ListPosition {
        match self {
            Self::All => ListPosition::Xid(xid),
            Self::Older => ListPosition::Older(xid),
        }
    }
}

/// Walks the shards from where the last page ended.
pub(super) async fn walk(
    inner: &Inner,
    wanted: &Wanted,
    limit: usize,
    mut after: Option<Xid>,
    which: Which,
) -> Result<TransactionPage, Error> {
    let (mut page, mut scanned, mut histories) = (TransactionPage::default(), 0, 0);
    let mut shard = ShardId(after.map_or(0, |after| after.shard().0));
    loop {
        let part = part(inner, shard, after, wanted, which).await?;
        histories += usize::from(wanted.has_ended());
        scanned += part.left_out;
        for line in part.lines {
            scanned += 1;
            after = Some(line.xid);
            if wanted.fits(line.state) {
                page.transactions.push(line);
            }
            if page.transactions.len() == limit || scanned >= MAX_SCANNED {
                page.next = after.map(|xid| which.behind(xid));
                return Ok(page);
            }
        }
        if part.end.is_some() {
            after = part.end;
            if scanned >= MAX_SCANNED {
                page.next = after.map(|xid| which.behind(xid));
                return Ok(page);
            }
            continue;
        }
        let Some(next) = shard.0.checked_add(1).map(ShardId) else { return Ok(page) };
        if histories >= MAX_SHARDS {
            page.next = Some(which.behind(end_of(shard)));
            return Ok(page);
        }
        (shard, after) = (next, None);
    }
}

/// Some lines of one shard, complete up to `end`; `None`: to the end of the shard.
struct Part {
    lines: Vec<TransactionSummary>,
    left_out: usize,
    end: Option<Xid>,
}

async fn part(inner: &Inner, shard: ShardId, after: Option<Xid>, wanted: &Wanted, which: Which) -> Result<Part, Error> {
    let mut ended = Vec::new();
    let mut end = None;
    if wanted.has_ended() {
        let page = inner.store.history(shard, after, MAX_LINES).await?;
        end = page.xids.last().copied().filter(|_| page.more);
        ended = inner.store.read_all(page.xids).await?;
    }
    let memory = inner.memory.lock();
    let mut all: BTreeMap<Xid, &Transaction> = ended.iter().map(|transaction| (transaction.xid(), transaction)).collect();
    // What is in memory is newer than what is stored of it.
    all.extend(memory.of_shard(shard, after).map(|transaction| (transaction.xid(), transaction)));
    all.retain(|xid, _| end.is_none_or(|end| *xid <= end));
    let found = all.len();
    let is_newest = |transaction: &Transaction| time_of(transaction).is_some_and(|at| memory.recent.has(at, transaction.xid()));
    let is_left_out = |transaction: &Transaction| which == Which::Older && is_newest(transaction);
    let lines: Vec<_> = all.into_values().filter(|transaction| !is_left_out(transaction)).map(view::summary).collect();
    Ok(Part { left_out: found - lines.len(), lines, end })
}

/// The highest xid that a shard can have: a page may end behind a shard that has none.
fn end_of(shard: ShardId) -> Xid {
    Xid::new(shard, Generation(u32::MAX), u64::MAX, u64::MAX)
}
