//! I2: every transaction ends, everywhere alike. I16: what a customer was told is true.

use std::collections::{BTreeMap, BTreeSet};

use settee::Certainty;
use settee::txn::{BranchProgress, State, TryState};
use settee_core::txn::fence::Row;

use super::Evidence;
use crate::bank::books::Entry;
use crate::bank::journal::{Order, Told};
use crate::history::Violation;

/// Both ledgers together, by transfer.
fn entries(evidence: &Evidence) -> BTreeMap<&str, BTreeSet<&Entry>> {
    let mut all = BTreeMap::<&str, BTreeSet<&Entry>>::new();
    for (transfer, entries) in evidence.ledgers.iter().flat_map(|ledger| &ledger.entries) {
        all.entry(transfer).or_default().extend(entries);
    }
    all
}

/// Transfers that have an effect.
pub(super) fn settled(evidence: &Evidence) -> BTreeSet<String> {
    evidence.ledgers.iter().flat_map(|ledger| ledger.entries.keys().cloned()).collect()
}

/// The coordinator has nothing open, participants hold nothing, every effect has both of its sides, and every customer that
/// came back has an outcome, the same one each time.
pub(in crate::bank) fn i2_every_transaction_ends_everywhere_alike(evidence: &Evidence) -> Vec<Violation> {
    let violation = |detail: String| Violation::new("I2", detail);
    let mut found = Vec::new();
    if evidence.stats.open != 0 || evidence.stats.parked != 0 {
        let open = evidence.transactions.iter().filter(|one| !matches!(one.state, State::Committed | State::Aborted));
        let open: Vec<_> = open.map(|one| format!("{} {:?} {:?}", one.xid, one.state, one.reference)).collect();
        found.push(violation(format!("{:?}, namely {}", evidence.stats, open.join(", "))));
    }
    let fences = evidence.ledgers.iter().flat_map(|ledger| &ledger.fences);
    for ((xid, branch), _) in fences.filter(|(_, row)| **row == Row::Tried) {
        found.push(violation(format!("branch {branch} of {xid} is tried and never ended")));
    }
    for (transfer, sides) in entries(evidence) {
        let sum: i64 = sides.iter().map(|side| side.minor).sum();
        if sides.len() != 2 || sum != 0 {
            found.push(violation(format!("transfer {transfer} has the sides {sides:?}")));
        }
    }
    let unresolved = evidence.orders.iter().filter(|(_, order)| !order.is_abandoned && order.outcome().is_none());
    found.extend(unresolved.map(|(id, order)| violation(format!("order {id} has no outcome: {:?}", order.told))));
    found.extend(decisions(evidence).into_iter().map(violation));
    found.extend(cancelled(evidence).into_iter().map(violation));
    found
}

/// Every branch that was cancelled has its row, even if the cancel was all that ever came: else a late try would take effect.
fn cancelled(evidence: &Evidence) -> Vec<String> {
    let mut found = Vec::new();
    for one in &evidence.aborted {
        let xid = one.summary.xid;
        // A branch that said no rolled back everything, and is never sent a cancel.
        let of_ledgers =
            one.branches.iter().filter(|branch| branch.service.starts_with("pay.") && branch.tried != TryState::Refused);
        for branch in of_ledgers.filter(|branch| matches!(branch.progress, BranchProgress::Done { .. })) {
            let row = evidence.ledgers.iter().find_map(|ledger| ledger.fences.get(&(xid, branch.branch.to_string())));
            if !matches!(row, Some(Row::Cancelled | Row::Suppressed)) {
                found
                    .push(format!("branch {} of {xid} was cancelled ({:?}), its row is {row:?}", branch.branch, branch.progress));
            }
        }
    }
    found
}

/// The coordinator's decisions against the effects: each transfer with an effect was committed once, and no other was.
fn decisions(evidence: &Evidence) -> Vec<String> {
    let mut committed = BTreeMap::<&str, u32>::new();
    for one in evidence.transactions.iter().filter(|one| one.state == State::Committed) {
        *committed.entry(one.reference.as_deref().unwrap_or("")).or_default() += 1;
    }
    let settled = settled(evidence);
    let twice = committed.iter().filter(|(_, times)| **times != 1).map(|(id, times)| format!("{id} was committed {times} times"));
    let lost = committed.keys().filter(|id| !settled.contains(**id)).map(|id| format!("{id} was committed and has no effect"));
    let stray = settled.iter().filter(|id| !committed.contains_key(id.as_str()));
    let stray = stray.map(|id| format!("{id} has an effect and was not committed"));
    twice.chain(lost).chain(stray).collect()
}

/// A receipt has its effect, for ever the same; a refusal has none; nor has an order of which every call was told that it did
/// not happen, nor an errand that was not made.
pub(in crate::bank) fn i16_what_was_told_is_true(evidence: &Evidence) -> Vec<Violation> {
    let settled = settled(evidence);
    let told = evidence.orders.iter().filter_map(|(id, order)| {
        let lie = lie(order, settled.contains(id), evidence.outcomes.get(id).map(String::as_str))?;
        Some(Violation::new("I16", format_args!("order {id} {lie}; told: {:?}", order.told)))
    });
    let errands = evidence.errands.iter().filter_map(|(id, told)| {
        let lie = match (told, settled.contains(id)) {
            (Ok(()), false) => "was made and has no effect",
            (Err(Certainty::NotDone), true) => "was not made, and has an effect",
            _ => return None,
        };
        Some(Violation::new("I16", format_args!("errand {id} {lie}")))
    });
    told.chain(errands).collect()
}

fn lie(order: &Order, has_effect: bool, book: Option<&str>) -> Option<&'static str> {
    let outcomes: BTreeSet<_> = order.told.iter().filter(|told| told.is_final()).map(|told| format!("{told:?}")).collect();
    let receipt = order.told.iter().any(|told| matches!(told, Told::Settled(_)));
    let refusal = order.told.iter().any(|told| matches!(told, Told::Refused(_)));
    let only_not_done = order.told.len() == order.calls && order.told.iter().all(|told| *told == Told::NotDone);
    match () {
        () if outcomes.len() > 1 => Some("was told two outcomes"),
        () if receipt && !has_effect => Some("has a receipt and no effect"),
        () if refusal && has_effect => Some("was refused and has an effect"),
        () if only_not_done && has_effect => Some("was not done, and has an effect"),
        () if receipt && book != Some("settled") => Some("has a receipt that the book does not know"),
        () => None,
    }
}
