//! Lists by begin, the newest first: what has not ended straight from memory, the rest by the bounded list of the newest, and what
//! is older than that by xid, in [`by_xid`](super::by_xid).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use settee::txn::{ListPosition, ListTransactions, TransactionPage, TransactionSummary};
use settee_core::id::Xid;
use settee_core::txn::Transaction;
use settee_core::{Error, Timestamp};

use super::by_xid::{self, Which};
use super::{MAX_LINES, MAX_SCANNED, Wanted, limit};
use crate::txn::coordinator::Inner;
use crate::txn::recent::time_of;
use crate::txn::view;

/// Lines read from the store at once: what is looked at beyond a page is small.
const BATCH: usize = 256;

/// How long a list waits for the history of earlier owners to have been looked through: a large one takes seconds, and a page
/// without it says so by ending early.
const WAIT_FOR_HISTORY: Duration = Duration::from_secs(1);

/// Before every xid that is leased.
const FIRST: [u8; 16] = [0; 16];

pub(super) async fn page(inner: &Inner, request: &ListTransactions, wanted: &Wanted) -> Result<TransactionPage, Error> {
    let limit = limit(request);
    let behind = match request.after {
        Some(ListPosition::Older(after)) => return by_xid::walk(inner, wanted, limit, Some(after), Which::Older).await,
        Some(ListPosition::Xid(after)) => return by_xid::walk(inner, wanted, limit, Some(after), Which::All).await,
        Some(ListPosition::Newest(at, xid)) => Some((at, xid)),
        None => None,
    };
    match wanted.has_ended() {
        false => Ok(not_ended(inner, behind, wanted, limit)),
        true => newest(inner, behind, wanted, limit).await,
    }
}

/// All that have not ended are in memory.
fn not_ended(inner: &Inner, behind: Option<(Timestamp, Xid)>, wanted: &Wanted, limit: usize) -> TransactionPage {
    let memory = inner.memory.lock();
    let mut newest = BinaryHeap::new();
    for transaction in memory.all().filter(|transaction| wanted.fits(transaction.state())) {
        let Some(at) = time_of(transaction) else { continue };
        let place = (at, transaction.xid());
        if behind.is_none_or(|behind| place < behind) {
            newest.push(Reverse(place));
        }
        // One more than the page holds says that there is a next one.
        if newest.len() > limit + 1 {
            newest.pop();
        }
    }
    let places: Vec<_> = newest.into_sorted_vec().into_iter().map(|Reverse(place)| place).collect();
    let next = places.get(limit).map(|_| places[limit - 1]).map(|(at, xid)| ListPosition::Newest(at, xid));
    let lines = places.iter().take(limit).filter_map(|(_, xid)| memory.transaction(*xid).map(view::summary));
    TransactionPage { transactions: lines.collect(), next }
}

async fn newest(
    inner: &Inner,
    mut behind: Option<(Timestamp, Xid)>,
    wanted: &Wanted,
    limit: usize,
) -> Result<TransactionPage, Error> {
    let is_whole = history_is_known(inner).await;
    let (mut page, mut scanned) = (TransactionPage::default(), 0);
    loop {
        let batch = Batch::behind(inner, behind, is_whole).await?;
        if batch.places.is_empty() {
            page.next = batch.next;
            return Ok(page);
        }
        for (at, xid) in batch.places {
            scanned += 1;
            behind = Some((at, xid));
            page.transactions.extend(batch.lines.get(&xid).filter(|line| wanted.fits(line.state)).cloned());
            if page.transactions.len() == limit || scanned >= MAX_SCANNED {
                page.next = Some(ListPosition::Newest(at, xid));
                return Ok(page);
            }
        }
    }
}

/// Some of the newest, as they stand now.
struct Batch {
    places: Vec<(Timestamp, Xid)>,
    lines: BTreeMap<Xid, TransactionSummary>,
    /// Where to go on when there are no more.
    next: Option<ListPosition>,
}

impl Batch {
    /// Without the history of earlier owners, of which any may have begun before this owner, only those that began since are looked at.
    async fn behind(inner: &Inner, behind: Option<(Timestamp, Xid)>, is_whole: bool) -> Result<Self, Error> {
        let mut lines = BTreeMap::new();
        let (places, next) = {
            let memory = inner.memory.lock();
            let is_known = |(at, _): &(Timestamp, Xid)| is_whole || *at >= inner.since;
            let places: Vec<_> = memory.recent.behind(behind).take_while(is_known).take(BATCH).collect();
            let found = places.iter().filter_map(|(_, xid)| memory.transaction(*xid));
            lines.extend(found.map(|transaction| (transaction.xid(), view::summary(transaction))));
            let older = memory.recent.is_cut().then(|| ListPosition::Older(Xid::from_bytes(FIRST)));
            let since = ListPosition::Newest(inner.since, Xid::from_bytes(FIRST));
            (places, if is_whole { older } else { Some(since) })
        };
        // What has left memory has ended, and its end is durable.
        let ended = places.iter().map(|(_, xid)| *xid).filter(|xid| !lines.contains_key(xid)).collect();
        let ended = inner.store.read_all(ended).await?;
        lines.extend(ended.iter().map(|transaction| (transaction.xid(), view::summary(transaction))));
        Ok(Self { places, lines, next })
    }
}

async fn history_is_known(inner: &Inner) -> bool {
    let mut known = inner.history_is_known.subscribe();
    tokio::time::timeout(WAIT_FOR_HISTORY, known.wait_for(|known| *known)).await.is_ok_and(|known| known.is_ok())
}

/// Those with one reference, in the order in which they began. `None` if there are more than a page sorts: those come by xid.
pub(super) async fn with_reference(
    inner: &Inner,
    request: &ListTransactions,
    wanted: &Wanted,
    xids: &[Xid],
) -> Result<Option<TransactionPage>, Error> {
    if xids.len() > MAX_LINES || matches!(request.after, Some(ListPosition::Xid(_) | ListPosition::Older(_))) {
        return Ok(None);
    }
    let mut found: Vec<(Timestamp, Transaction)> = Vec::new();
    for xid in xids {
        found.extend(inner.find(*xid).await?.and_then(|transaction| Some((time_of(&transaction)?, transaction))));
    }
    let behind = match request.after {
        Some(ListPosition::Newest(at, xid)) => Some((at, xid)),
        _ => None,
    };
    let place = |(at, transaction): &(Timestamp, Transaction)| (*at, transaction.xid());
    found.retain(|of| wanted.fits(of.1.state()) && behind.is_none_or(|behind| place(of) < behind));
    found.sort_by_key(|of| Reverse(place(of)));
    let limit = limit(request);
    let next = found.get(limit).map(|_| place(&found[limit - 1])).map(|(at, xid)| ListPosition::Newest(at, xid));
    let transactions = found.iter().take(limit).map(|(_, transaction)| view::summary(transaction)).collect();
    Ok(Some(TransactionPage { transactions, next }))
}
