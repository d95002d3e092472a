//! Lists of transactions, in the order of their xids: what is open comes from memory, what ended from the store.

use settee::txn::{ListTransactions, TransactionPage, TransactionSummary};
use settee_core::Error;
use settee_core::id::{ShardId, Xid};
use settee_core::txn::State;

use super::coordinator::Inner;
use super::view;

/// Lines of a page at most.
const MAX_LINES: usize = 1_000;

/// Transactions looked at for one page. A filter that fits few then gives short pages instead of long silence.
const MAX_SCANNED: usize = 10_000;

/// Shards whose history is read for one page at most, for the same reason.
const MAX_SHARDS: usize = 64;

pub(super) async fn page(inner: &Inner, request: ListTransactions) -> Result<TransactionPage, Error> {
    let page = match &request.reference {
        Some(reference) => with_reference(inner, reference, &request).await?,
        None => walk(inner, &request).await?,
    };
    inner.shards.all_committed().await?;
    Ok(page)
}

async fn with_reference(inner: &Inner, reference: &str, request: &ListTransactions) -> Result<TransactionPage, Error> {
    let mut xids = inner.store.with_reference(reference).await?;
    xids.retain(|xid| request.after.is_none_or(|after| *xid > after));
    let limit = limit(request);
    let next = xids.get(limit).and_then(|_| xids.get(limit - 1).copied());
    xids.truncate(limit);
    let mut transactions = Vec::new();
    for xid in xids {
        transactions.extend(inner.find(xid).await?.as_ref().map(view::summary));
    }
    transactions.retain(|line| fits(line, request.state));
    Ok(TransactionPage { transactions, next })
}

/// Walks the shards from where the last page ended.
async fn walk(inner: &Inner, request: &ListTransactions) -> Result<TransactionPage, Error> {
    let limit = limit(request);
    let (mut page, mut scanned, mut after) = (TransactionPage::default(), 0, request.after);
    let first = request.after.map_or(0, |after| after.shard().0);
    let mut histories = 0;
    let mut shard = ShardId(first);
    loop {
        let part = part(inner, shard, after, request.state).await?;
        histories += usize::from(wants_history(request.state));
        for line in part.lines {
            scanned += 1;
            after = Some(line.xid);
            if fits(&line, request.state) {
                page.transactions.push(line);
            }
            if page.transactions.len() == limit || scanned >= MAX_SCANNED {
                page.next = after;
                return Ok(page);
            }
        }
        if part.end.is_some() {
            after = part.end;
            continue;
        }
        let Some(next) = shard.0.checked_add(1).map(ShardId) else { return Ok(page) };
        if histories >= MAX_SHARDS {
            page.next = Some(end_of(shard));
            return Ok(page);
        }
        (shard, after) = (next, None);
    }
}

/// Some lines of one shard, complete up to `end`; `None`: to the end of the shard.
struct Part {
    lines: Vec<TransactionSummary>,
    end: Option<Xid>,
}

async fn part(inner: &Inner, shard: ShardId, after: Option<Xid>, state: Option<State>) -> Result<Part, Error> {
    let mut ended = Vec::new();
    let mut end = None;
    if wants_history(state) {
        let page = inner.store.history(shard, after, MAX_LINES).await?;
        end = page.xids.last().copied().filter(|_| page.more);
        ended = inner.store.read_all(page.xids).await?;
    }
    let mut lines: std::collections::BTreeMap<Xid, TransactionSummary> =
        ended.iter().map(|transaction| (transaction.xid(), view::summary(transaction))).collect();
    let memory = inner.memory.lock();
    // What is in memory is newer than what is stored of it.
    lines.extend(memory.of_shard(shard, after).map(|transaction| (transaction.xid(), view::summary(transaction))));
    let lines = lines.into_values().filter(|line| end.is_none_or(|end| line.xid <= end)).collect();
    Ok(Part { lines, end })
}

fn wants_history(state: Option<State>) -> bool {
    state.is_none_or(State::is_terminal)
}

fn fits(line: &TransactionSummary, state: Option<State>) -> bool {
    state.is_none_or(|state| line.state == state)
}

fn limit(request: &ListTransactions) -> usize {
    usize::try_from(request.limit).unwrap_or(MAX_LINES).clamp(1, MAX_LINES)
}

/// The highest xid that a shard can have: a page may end behind a shard that has none.
fn end_of(shard: ShardId) -> Xid {
    Xid::new(shard, settee_core::id::Generation(u32::MAX), u64::MAX, u64::MAX)
}
