//! What is to be done when: each item at one time at most, the earliest first.

use std::collections::{BTreeMap, BTreeSet};

use settee_core::Timestamp;
use settee_core::job::RunId;

/// Something to look at. Looking is always safe: the state decides whether there is anything to do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Item {
    /// Plan the next runs of this job.
    Plan(String),
    /// A run of this job is due.
    Fire(String, Timestamp),
    /// Offer this slice to a worker.
    Offer(RunId),
}

#[derive(Debug, Default)]
pub(super) struct Agenda {
    by_time: BTreeSet<(Timestamp, Item)>,
    times: BTreeMap<Item, Timestamp>,
}

impl Agenda {
    /// Puts `item` at `at`, and nowhere else.
    pub(super) fn set(&mut self, item: Item, at: Timestamp) {
        if let Some(before) = self.times.insert(item.clone(), at) {
            self.by_time.remove(&(before, item.clone()));
        }
        self.by_time.insert((at, item));
    }

    /// Takes the earliest item, if its time has come.
    pub(super) fn take(&mut self, now: Timestamp) -> Option<Item> {
        if self.next()? > now {
            return None;
        }
        let (_, item) = self.by_time.pop_first()?;
        self.times.remove(&item);
        Some(item)
    }

    /// The time of the earliest item.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.by_time.first().map(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_is_found_once_at_the_time_that_was_set_last() {
        let at = Timestamp::from_millis;
        let mut agenda = Agenda::default();
        agenda.set(Item::Plan("a".into()), at(5));
        agenda.set(Item::Plan("b".into()), at(7));
        agenda.set(Item::Plan("a".into()), at(9));
        assert_eq!(agenda.take(at(6)), None);
        assert_eq!(
            [agenda.take(at(9)), agenda.take(at(9)), agenda.take(at(9))],
            [Some(Item::Plan("b".into())), Some(Item::Plan("a".into())), None]
        );
    }
}
