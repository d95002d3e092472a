//! What is to be done when: each item at one time at most, the earliest first.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

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

#[derive(Debug)]
pub(super) struct Agenda {
    by_time: BTreeSet<(Timestamp, Item)>,
    times: BTreeMap<Item, Timestamp>,
    /// What the clock said when it was last looked at.
    looked_at: Timestamp,
}

/// A clock that is back by less is left alone: what waits is late by as much.
const SET_BACK: Duration = Duration::from_secs(1);

impl Agenda {
    /// An empty one, at what the clock says now: what is put in before the first look is by this clock.
    pub(super) fn new(now: Timestamp) -> Self {
        Self { by_time: BTreeSet::new(), times: BTreeMap::new(), looked_at: now }
    }

    /// Puts `item` at `at`, and nowhere else.
    pub(super) fn set(&mut self, item: Item, at: Timestamp) {
        if let Some(before) = self.times.insert(item.clone(), at) {
            self.by_time.remove(&(before, item.clone()));
        }
        self.by_time.insert((at, item));
    }

    /// Takes the earliest item, if its time has come.
    pub(super) fn take(&mut self, now: Timestamp) -> Option<Item> {
        if now.after(SET_BACK) < std::mem::replace(&mut self.looked_at, now) {
            self.look_again(now);
        }
        if self.next()? > now {
            return None;
        }
        let (_, item) = self.by_time.pop_first()?;
        self.times.remove(&item);
        Some(item)
    }

    /// A clock that was wrong and is set back would keep every pending offer, and every job that is to be planned again, waiting
    /// for as long as it was wrong. A run that falls due is not early by it: it keeps its time.
    fn look_again(&mut self, now: Timestamp) {
        let waiting: Vec<_> = self.times.keys().filter(|item| !matches!(item, Item::Fire(..))).cloned().collect();
        waiting.into_iter().for_each(|item| self.set(item, now));
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
    fn a_clock_that_is_set_back_makes_no_offer_and_no_plan_wait_and_no_run_early() {
        let at = |seconds| Timestamp::EPOCH.after(Duration::from_secs(seconds));
        let offer = Item::Offer(RunId { job: "a".into(), version: 1, due: at(1), slice: 0 });
        let mut agenda = Agenda::new(Timestamp::EPOCH);
        assert_eq!(agenda.take(at(9_000)), None);
        let plan = Item::Plan("b".into());
        agenda.set(offer.clone(), at(9_001));
        agenda.set(plan.clone(), at(9_001));
        agenda.set(Item::Fire("a".into(), at(9_002)), at(9_002));
        assert_eq!([agenda.take(at(10)), agenda.take(at(10)), agenda.take(at(10))], [Some(plan), Some(offer), None]);
    }

    #[test]
    fn a_clock_that_is_set_back_before_the_first_look_keeps_nothing_of_the_start_waiting() {
        let at = |seconds| Timestamp::EPOCH.after(Duration::from_secs(seconds));
        let plan = Item::Plan("b".into());
        let mut agenda = Agenda::new(at(9_000));
        agenda.set(plan.clone(), at(9_000));
        assert_eq!(agenda.take(at(10)), Some(plan));
    }

    #[test]
    fn an_item_is_found_once_at_the_time_that_was_set_last() {
        let at = Timestamp::from_millis;
        let mut agenda = Agenda::new(Timestamp::EPOCH);
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
