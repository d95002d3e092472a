//! Jobs on history that recovery does not wait for: counting what earlier owners decided and finding the newest of it, and
//! forgetting what is old.
//!
//! They end with the ownership. Deleting is a job of its own, so a failed delete never holds up a transaction.

use settee_core::id::{ShardId, Xid};
use settee_core::txn::{Decision, Transaction};
use settee_core::{Error, Timestamp, env};
use tokio::time::{Duration, MissedTickBehavior, interval};

use super::coordinator::Inner;
use super::memory::Tally;
use super::recent::{Recent, time_of};
use super::record;
use crate::shard::Change;

/// Transactions deleted by one change: three keys each at most, and the mark; a group takes 120 writes.
const BATCH: usize = 25;

/// Transactions that are read together while the newest are looked for.
const READ_AT_ONCE: usize = 1_000;

/// After a failed read of the store.
const AGAIN: Duration = Duration::from_secs(1);

/// Counts the decisions of earlier owners, once, and looks for the newest of them. This owner's own are counted as they are made, so
/// none is counted twice.
pub(super) async fn look_at_earlier(inner: &Inner) {
    let mut tally = inner.memory.lock().all_forgotten();
    let mut decided = Recent::new(inner.config.newest);
    for shard in ShardId::all() {
        let counted = loop {
            match count_shard(inner, shard, &mut decided).await {
                Ok(counted) => break counted,
                Err(error) => tracing::warn!(%shard, %error, "cannot count transactions"),
            }
            tokio::time::sleep(AGAIN).await;
        };
        tally.committed += counted.committed;
        tally.aborted += counted.aborted;
    }
    inner.earlier.send_replace(Some(tally));
    let begun = begins(inner, &decided).await;
    inner.memory.lock().recent.merge(begun);
    inner.history_is_known.send_replace(true);
}

async fn count_shard(inner: &Inner, shard: ShardId, decided: &mut Recent) -> Result<Tally, Error> {
    let (own, mut tally) = (inner.shards.token(shard), Tally::default());
    let count = |register: &settee_core::txn::DecisionRegister| {
        if register.owner == own {
            return;
        }
        decided.put(register.at, register.xid);
        match register.decision {
            Decision::Commit => tally.committed += 1,
            Decision::Abort => tally.aborted += 1,
        }
    };
    inner.store.each_decision(shard, count).await?;
    Ok(tally)
}

/// The same transactions by their begins. One that was decided after the cut may have begun before it, and none the other way round.
async fn begins(inner: &Inner, decided: &Recent) -> Recent {
    let mut begun = decided.emptied();
    for xids in decided.xids().chunks(READ_AT_ONCE) {
        // What is in memory is listed already; of what has left it the end is durable, and read as a whole.
        let ended: Vec<_> = {
            let memory = inner.memory.lock();
            xids.iter().copied().filter(|xid| memory.transaction(*xid).is_none()).collect()
        };
        let read = loop {
            match inner.store.read_all(ended.clone()).await {
                Ok(read) => break read,
                Err(error) => tracing::warn!(%error, "cannot read the newest transactions"),
            }
            tokio::time::sleep(AGAIN).await;
        };
        for transaction in &read {
            time_of(transaction).into_iter().for_each(|at| begun.put(at, transaction.xid()));
        }
    }
    begun
}

/// Deletes what ended longer ago than the retention, for ever.
pub(super) async fn forget_old(inner: &Inner) {
    let mut ticks = interval(inner.config.sweep_every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let before = env::wall_clock().before(inner.config.retention);
        for shard in ShardId::all() {
            if let Err(error) = forget_shard(inner, shard, before).await {
                tracing::warn!(%shard, %error, "cannot forget old transactions");
            }
        }
    }
}

/// Keys are roughly in the order of age, so a page with nothing old ends the walk.
async fn forget_shard(inner: &Inner, shard: ShardId, before: Timestamp) -> Result<(), Error> {
    let mut after: Option<Xid> = None;
    loop {
        let page = inner.store.history(shard, after, BATCH).await?;
        after = page.xids.last().copied();
        let mut old = inner.store.read_all(page.xids).await?;
        old.retain(|transaction| transaction.progress().ended_at.is_some_and(|ended| ended < before));
        if old.is_empty() {
            return Ok(());
        }
        forget(inner, shard, &old).await?;
        if !page.more {
            return Ok(());
        }
    }
}

async fn forget(inner: &Inner, shard: ShardId, old: &[Transaction]) -> Result<(), Error> {
    let ticket = {
        let mut memory = inner.memory.lock();
        let decisions = old.iter().filter_map(Transaction::decision);
        let forgotten = decisions.fold(memory.forgotten(shard), |sum, register| sum.and(register.xid, register.decision));
        let deletes = old.iter().fold(Change::default(), delete);
        for transaction in old {
            time_of(transaction).into_iter().for_each(|at| memory.recent.remove(at, transaction.xid()));
        }
        memory.forget(shard, forgotten, deletes)
    };
    ticket.committed().await
}

fn delete(change: Change, transaction: &Transaction) -> Change {
    let xid = transaction.xid();
    let change = change.and_delete(record::decision_key(xid)).and_delete(record::history_key(xid));
    match transaction.progress().begun.as_ref().and_then(|begun| begun.reference.as_ref()) {
        Some(reference) => change.and_delete(record::reference_key(reference, xid)),
        None => change,
    }
}
