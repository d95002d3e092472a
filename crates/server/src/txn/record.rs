//! What is stored of transactions, and under which keys.
//!
//! ```text
//! txn/<shard>/d/<xid>               the decision register: written once
//! txn/<shard>/p/<xid>               progress of an open transaction: all that recovery reads
//! txn/<shard>/h/<xid>               progress of one that ended: history
//! txn/<shard>/r/<reference>\0<xid>  index by reference
//! txn/<shard>/lease                 the next counter to lease
//! txn/<shard>/forgotten             up to which counter history was deleted, and how many were
//! ```
//! An xid in a key is its 16 bytes, so keys sort as counters do, which is roughly by age.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use settee_core::id::{ShardId, Xid};
use settee_core::txn::{Decision, DecisionRegister, Effect, Progress, Register, Transaction};

use crate::record::{Record, encode};
use crate::shard::{Change, key};

const COMPONENT: &str = "txn";
const XID_BYTES: usize = 16;

impl Record for DecisionRegister {
    const NAME: &'static str = "transaction decision";
    const VERSION: u8 = 1;
}

impl Record for Progress {
    const NAME: &'static str = "transaction progress";
    const VERSION: u8 = 1;
}

/// The next counter of a shard that nobody has leased.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LeaseMark {
    pub(super) next: u64,
}

impl Record for LeaseMark {
    const NAME: &'static str = "transaction lease";
    const VERSION: u8 = 1;
}

/// What was deleted of a shard's history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Forgotten {
    /// The highest counter that was deleted: below it, absence proves nothing (P6).
    pub(super) mark: Option<u64>,
    /// How many of them were decided COMMIT.
    pub(super) committed: u64,
    /// How many of them were decided ABORT.
    pub(super) aborted: u64,
}

impl Record for Forgotten {
    const NAME: &'static str = "forgotten transactions";
    const VERSION: u8 = 1;
}

impl Forgotten {
    /// The same, with one more transaction deleted.
    pub(super) fn and(mut self, xid: Xid, decision: Decision) -> Self {
        self.mark = self.mark.max(Some(xid.counter()));
        match decision {
            Decision::Commit => self.committed += 1,
            Decision::Abort => self.aborted += 1,
        }
        self
    }
}

pub(super) fn decision_key(xid: Xid) -> Bytes {
    keyed(xid, b"d/")
}

pub(super) fn open_key(xid: Xid) -> Bytes {
    keyed(xid, b"p/")
}

pub(super) fn history_key(xid: Xid) -> Bytes {
    keyed(xid, b"h/")
}

pub(super) fn reference_key(reference: &str, xid: Xid) -> Bytes {
    [&reference_prefix(reference, xid.shard())[..], &xid.to_bytes()].concat().into()
}

pub(super) fn decisions(shard: ShardId) -> Bytes {
    key(COMPONENT, shard, b"d/")
}

pub(super) fn open(shard: ShardId) -> Bytes {
    key(COMPONENT, shard, b"p/")
}

pub(super) fn history(shard: ShardId) -> Bytes {
    key(COMPONENT, shard, b"h/")
}

pub(super) fn reference_prefix(reference: &str, shard: ShardId) -> Bytes {
    key(COMPONENT, shard, &[b"r/", reference.as_bytes(), &[0]].concat())
}

pub(super) fn lease_key(shard: ShardId) -> Bytes {
    key(COMPONENT, shard, b"lease")
}

pub(super) fn forgotten_key(shard: ShardId) -> Bytes {
    key(COMPONENT, shard, b"forgotten")
}

/// The xid behind `prefix` in a key. `None` if something else is there, as behind a reference that is the start of another.
pub(super) fn xid_behind(prefix: &[u8], key: &[u8]) -> Option<Xid> {
    let rest = key.strip_prefix(prefix)?;
    <[u8; XID_BYTES]>::try_from(rest).ok().map(Xid::from_bytes)
}

/// The writes of one event's effects, all in one group; `None` if it writes nothing. An open transaction has a key under `p/`
/// from its first write to its last, so that recovery finds it there.
pub(super) fn change(transaction: &Transaction, effects: &[Effect]) -> Option<Change> {
    let persists = |register| effects.contains(&Effect::Persist(register));
    let (decides, progresses) = (persists(Register::Decision), persists(Register::Progress));
    if !decides && !progresses {
        return None;
    }
    let (xid, progress) = (transaction.xid(), transaction.progress());
    let mut change = Change::default();
    if let Some(register) = transaction.decision().filter(|_| decides) {
        change = change.and_put_once(decision_key(xid), encode(register));
    }
    if transaction.state().is_terminal() {
        change = change.and_delete(open_key(xid)).and_put(history_key(xid), encode(progress));
    } else if progresses || progress.begun.is_none() {
        change = change.and_put(open_key(xid), encode(progress));
    }
    let reference = progress.begun.as_ref().and_then(|begun| begun.reference.as_ref());
    let begins = effects.iter().any(|effect| matches!(effect, Effect::DeadlineIn(_)));
    match reference {
        Some(reference) if begins => Some(change.and_put(reference_key(reference, xid), Bytes::new())),
        _ => Some(change),
    }
}

fn keyed(xid: Xid, kind: &[u8; 2]) -> Bytes {
    key(COMPONENT, xid.shard(), &[&kind[..], &xid.to_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use settee_core::id::Generation;

    use super::*;

    #[test]
    fn a_reference_that_is_the_start_of_another_does_not_find_it() {
        let xid = Xid::new(ShardId(7), Generation(1), 42, 9);
        let prefix = reference_prefix("E2E", ShardId(7));
        assert_eq!(xid_behind(&prefix, &reference_key("E2E", xid)), Some(xid));
        assert_eq!(xid_behind(&prefix, &reference_key("E2E-1", xid)), None);
        assert_eq!(xid_behind(&prefix, &reference_key("E2E\0-1", xid)), None);
    }
}
