//! The control plane, answered: requests become events, answers become replies.

use std::time::Duration;

use settee::rpc::Reply;
use settee::txn::{
    Begin, Close, Decide, Decided, Inquire, Inquiry, LeaseXids, ListTransactions, Resume, TransactionControl, TransactionPage,
    TransactionStats, TransactionView, XidRange, answers,
};
use settee_core::error::{ErrorKind, codes};
use settee_core::id::{SHARDS, ShardId, Xid};
use settee_core::txn::{self, Event, Transaction};
use settee_core::{Context, Error, env};

use super::coordinator::{Coordinator, Inner};
use super::{list, view};

/// Counters leased at once at most: 2^48 a shard last long, but a mistaken client must not use them up.
const MAX_LEASE: u32 = 65_536;

/// Bytes of a reference: it is part of a key.
const MAX_REFERENCE_BYTES: usize = 256;

/// When a begin that found too many open transactions may come again.
const RETRY_AFTER: Duration = Duration::from_millis(100);

impl TransactionControl for Coordinator {
    async fn lease(&self, request: LeaseXids) -> Reply<XidRange> {
        let inner = self.inner();
        let shard = ShardId(u8::try_from(env::random_below(SHARDS)).unwrap_or(0));
        let count = request.count.clamp(1, MAX_LEASE);
        inner.shards.admit(shard)?;
        let range = inner.memory.lock().lease(shard, count, inner.config.lease_valid);
        inner.shards.observe(shard).committed().await?;
        Ok(range)
    }

    async fn begin(&self, request: Begin) -> Reply<()> {
        let inner = self.inner();
        let Begin { xid, name, reference, timeout_ms, application } = request;
        admit(inner, xid, reference.as_deref())?;
        let timeout = Duration::from_millis(timeout_ms);
        let trace = Context::try_current().map(|context| context.trace);
        let event = Event::Begin(txn::Begin { name, reference, application, timeout, trace });
        Ok(answers::begun(xid, inner.deliver(xid, event, |_, answer| answer).await?)?)
    }

    async fn decide(&self, request: Decide) -> Reply<Decided> {
        let Decide { xid, decision, branches } = request;
        let answer = self.inner().deliver(xid, Event::Decide { decision, branches }, |_, answer| answer).await?;
        Ok(answers::decided(xid, answer)?)
    }

    async fn inquire(&self, request: Inquire) -> Reply<Inquiry> {
        let Inquire { xid, branch } = request;
        let read = |transaction: &Transaction, answer| answers::inquiry(transaction, branch.as_ref(), answer);
        Ok(self.inner().deliver(xid, Event::Inquired, read).await?)
    }

    async fn ended(&self, xid: Xid) -> Reply<Inquiry> {
        let wait = self.inner().memory.lock().wait_for_end(xid);
        if let Some(wait) = wait {
            let _gone_with_the_ownership = wait.await;
        }
        Ok(self.inner().deliver(xid, Event::Inquired, answers::ended).await?)
    }

    async fn show(&self, xid: Xid) -> Reply<TransactionView> {
        let found = self.inner().find(xid).await?;
        Ok(found.as_ref().map(view::whole).ok_or_else(|| answers::no_record(xid))?)
    }

    async fn list(&self, request: ListTransactions) -> Reply<TransactionPage> {
        Ok(list::page(self.inner(), request).await?)
    }

    async fn stats(&self) -> Reply<TransactionStats> {
        let inner = self.inner();
        let mut counted = inner.earlier.subscribe();
        let earlier = match counted.wait_for(Option::is_some).await {
            Ok(earlier) => earlier.unwrap_or_default(),
            Err(_) => return Err(closed().into()),
        };
        let stats = {
            let memory = inner.memory.lock();
            let (open, parked) = memory.count_open();
            TransactionStats {
                committed: earlier.committed + memory.tally.committed,
                aborted: earlier.aborted + memory.tally.aborted,
                parked,
                open,
            }
        };
        // What was counted was submitted before.
        inner.shards.all_committed().await?;
        Ok(stats)
    }

    async fn resume(&self, request: Resume) -> Reply<()> {
        tracing::warn!(xid = %request.xid, user = request.user, "an operator resumes a transaction");
        Ok(self.inner().deliver(request.xid, Event::OperatorResume, |_, _| ()).await?)
    }

    async fn close(&self, request: Close) -> Reply<()> {
        let Close { xid, user, evidence, decision } = request;
        tracing::warn!(%xid, user, evidence, ?decision, "an operator closes a transaction");
        let event = Event::OperatorClose(txn::Close { user, evidence, decision });
        Ok(self.inner().deliver(xid, event, |_, _| ()).await?)
    }
}

/// New work is turned away before it costs anything; what has begun is always let through.
fn admit(inner: &Inner, xid: Xid, reference: Option<&str>) -> Result<(), Error> {
    if reference.is_some_and(|reference| reference.len() > MAX_REFERENCE_BYTES) {
        let message = format!("begin {xid}: its reference is over {MAX_REFERENCE_BYTES} bytes");
        return Err(Error::new(ErrorKind::Invalid, codes::TRANSACTION_TOO_LARGE, message));
    }
    let open = inner.memory.lock().len();
    if open >= inner.config.max_open {
        let message = format!("begin {xid}: {open} transactions are open");
        return Err(Error::new(ErrorKind::Limited, codes::CONCURRENCY_LIMITED, message).with_retry_after(RETRY_AFTER));
    }
    inner.shards.admit(xid.shard())
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, codes::DRAINING, "count transactions: the coordinator has stopped")
}
