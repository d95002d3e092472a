//! Lists of transactions: what is open comes from memory, what ended from the store. In the order of xids, or the newest first.

mod by_xid;
mod newest;

use settee::txn::{ListOrder, ListPosition, ListTransactions, TransactionPage};
use settee_core::Error;
use settee_core::txn::State;

use super::coordinator::Inner;
use super::view;

/// Lines of a page at most.
const MAX_LINES: usize = 1_000;

/// Transactions looked at for one page. A filter that fits few then gives short pages instead of long silence.
const MAX_SCANNED: usize = 10_000;

/// States that are listed; none: all of them.
struct Wanted(Vec<State>);

impl Wanted {
    /// However often a request names one, it is here once.
    fn by(request: &ListTransactions) -> Self {
        let mut states: Vec<_> = Vec::new();
        for state in request.state.iter().chain(&request.states) {
            if !states.contains(state) {
                states.push(*state);
            }
        }
        Self(states)
    }

    fn fits(&self, state: State) -> bool {
        self.0.is_empty() || self.0.contains(&state)
    }

    /// Whether any has ended, so that history is read.
    fn has_ended(&self) -> bool {
        self.0.is_empty() || self.0.iter().any(|state| state.is_terminal())
    }
}

pub(super) async fn page(inner: &Inner, request: ListTransactions) -> Result<TransactionPage, Error> {
    let wanted = Wanted::by(&request);
    let page = match (&request.reference, request.order) {
        (Some(reference), _) => with_reference(inner, reference, &request, &wanted).await?,
        (None, ListOrder::Newest) => newest::page(inner, &request, &wanted).await?,
        (None, ListOrder::Xid) => by_xid::walk(inner, &wanted, limit(&request), xid_of(&request), by_xid::Which::All).await?,
    };
    inner.shards.all_committed().await?;
    Ok(page)
}

async fn with_reference(
    inner: &Inner,
    reference: &str,
    request: &ListTransactions,
    wanted: &Wanted,
) -> Result<TransactionPage, Error> {
    let mut xids = inner.store.with_reference(reference).await?;
    if request.order == ListOrder::Newest
        && let Some(page) = newest::with_reference(inner, request, wanted, &xids).await?
    {
        return Ok(page);
    }
    let after = xid_of(request);
    xids.retain(|xid| after.is_none_or(|after| *xid > after));
    let limit = limit(request);
    let next = xids.get(limit).and_then(|_| xids.get(limit - 1).copied()).map(ListPosition::from);
    xids.truncate(limit);
    let mut transactions = Vec::new();
    for xid in xids {
        transactions.extend(inner.find(xid).await?.as_ref().map(view::summary));
    }
    transactions.retain(|line| wanted.fits(line.state));
    Ok(TransactionPage { transactions, next })
}

/// Where the order of xids goes on. A position of the other order is of no use here, and what has been shown comes again.
fn xid_of(request: &ListTransactions) -> Option<settee_core::id::Xid> {
    match request.after {
        Some(ListPosition::Xid(xid) | ListPosition::Older(xid)) => Some(xid),
        Some(ListPosition::Newest(..)) | None => None,
    }
}

fn limit(request: &ListTransactions) -> usize {
    usize::try_from(request.limit).unwrap_or(MAX_LINES).clamp(1, MAX_LINES)
}
