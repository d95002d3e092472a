//! I3: no acknowledged message is lost. I4: no effect is invented or repeated. I5: effects of a key keep their order.

use std::collections::{BTreeMap, BTreeSet};

use settee_payments::api::TRANSFERS;
use settee_payments::notify;

use super::{Evidence, transfers};
use crate::bank::letters::{GROUP, Letter, TOPIC};
use crate::history::Violation;

/// Letters: what was acknowledged had its effect or is a dead letter. Transfers: what left a ledger was notified.
pub(in crate::bank) fn i3_no_acknowledged_message_is_lost(evidence: &Evidence) -> Vec<Violation> {
    let violation = |detail: String| Violation::new("I3", detail);
    let effects: BTreeSet<_> = evidence.letters.effects.iter().collect();
    let dead: BTreeSet<_> = evidence.dead_letters.iter().filter_map(|dead| Letter::read(&dead.id)).collect();
    let acknowledged = evidence.letters.acknowledged.iter();
    let lost = acknowledged.filter(|(letter, _)| !effects.contains(letter) && !dead.contains(letter));
    let lost = lost.map(|(letter, place)| violation(format!("{letter:?} at {place:?} was acknowledged and is gone")));
    let unsent = evidence.ledgers.iter().flat_map(|ledger| &ledger.outbox);
    let unsent = unsent.map(|(id, why)| violation(format!("the message of {id} is still in its outbox: {why:?}")));
    lost.chain(unsent).chain(lagging(evidence).into_iter().map(violation)).collect()
}

/// At the end every group has done everything, and nothing is parked.
fn lagging(evidence: &Evidence) -> Vec<String> {
    let mut found = Vec::new();
    for topic in &evidence.topics {
        if topic.parked != 0 {
            found.push(format!("{} partitions of {} are parked", topic.parked, topic.name));
        }
        for group in topic.groups.iter().filter(|group| group.lag_messages != 0) {
            found.push(format!("{} of {} are not done by {}", group.lag_messages, topic.name, group.name));
        }
        let consumed = [(TOPIC, GROUP), (TRANSFERS, notify::GROUP)];
        for (_, group) in consumed.iter().filter(|(name, _)| *name == topic.name) {
            if !topic.groups.iter().any(|known| known.name == *group) {
                found.push(format!("nobody knows the group {group} of {}", topic.name));
            }
        }
    }
    found
}

/// Notifications are exactly the transfers that were made; letters with an effect were written.
pub(in crate::bank) fn i4_no_effect_is_invented_or_repeated(evidence: &Evidence) -> Vec<Violation> {
    let violation = |detail: String| Violation::new("I4", detail);
    let settled = transfers::settled(evidence);
    let notified: BTreeSet<_> = evidence.notifications.iter().cloned().collect();
    let invented = notified.difference(&settled);
    let invented = invented.map(|id| violation(format!("{id} was notified and never made")));
    let missing = settled.difference(&notified);
    let missing = missing.map(|id| violation(format!("{id} was made and never notified")));
    let (rows, transfers) = (evidence.notifications.len(), notified.len());
    let repeated = (rows > transfers).then(|| violation(format!("{transfers} transfers were notified {rows} times")));
    let twice = evidence.letters.stored.iter().filter(|(_, places)| places.len() > 1);
    let twice = twice.map(|(letter, places)| violation(format!("{letter:?} was sent once and is stored at {places:?}")));
    let dead = evidence.dead_transfers.iter().map(|dead| violation(format!("the message of {} died: {:?}", dead.id, dead.cause)));
    let unwritten = evidence.letters.effects.iter().filter(|letter| !evidence.letters.attempted.contains(letter));
    let unwritten = unwritten.map(|letter| violation(format!("{letter:?} was told as not sent, and had an effect")));
    invented.chain(missing).chain(repeated).chain(twice).chain(dead).chain(unwritten).collect()
}

/// The first effects of a key are in the order in which its letters were sent.
pub(in crate::bank) fn i5_effects_of_a_key_keep_their_order(evidence: &Evidence) -> Vec<Violation> {
    let mut highest = BTreeMap::<&str, u64>::new();
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for letter in evidence.letters.effects.iter().filter(|letter| seen.insert(*letter)) {
        let before = highest.entry(&letter.key).or_default();
        if letter.number < *before {
            found.push(Violation::new("I5", format_args!("{letter:?} had its first effect after number {before}")));
        }
        *before = letter.number.max(*before);
    }
    found
}
