//! The newest transactions in the order of their begins, by which lists show them first.
//!
//! Xids do not tell it: the counters of a shard are leased in ranges, and a range lasts up to an hour. An index in the store would
//! cost every transaction a write; so this one is in memory, bounded, and filled anew by whoever takes the store over.
//!
//! Left out: what the transactions are. That stays where it is, in memory or in the store.

use std::collections::BTreeSet;

use settee_core::Timestamp;
use settee_core::id::Xid;
use settee_core::txn::{State, Transaction};

/// The newest transactions, up to a bound.
#[derive(Debug)]
pub(super) struct Recent {
    newest: BTreeSet<(Timestamp, Xid)>,
    bound: usize,
    /// The latest begin of those that found no room.
    cut: Option<Timestamp>,
}

/// When a transaction began, as lists order it; of one whose begin never came, when it was decided, or else before all others.
/// `None` if there is no record of it.
pub(super) fn time_of(transaction: &Transaction) -> Option<Timestamp> {
    let begun = transaction.progress().begun.as_ref().map(|begun| begun.at);
    let decided = || transaction.decision().map(|register| register.at);
    let known = || (transaction.state() != State::Absent).then_some(Timestamp::EPOCH);
    begun.or_else(decided).or_else(known)
}

impl Recent {
    pub(super) fn new(bound: usize) -> Self {
        Self { newest: BTreeSet::new(), bound, cut: None }
    }

    pub(super) fn put(&mut self, at: Timestamp, xid: Xid) {
        self.newest.insert((at, xid));
        if self.newest.len() > self.bound
            && let Some((oldest, _)) = self.newest.pop_first()
        {
            self.cut = self.cut.max(Some(oldest));
        }
    }

    /// Something happened to a transaction: the first thing puts it in, and its begin may be known only later.
    pub(super) fn changed(&mut self, xid: Xid, before: Option<Timestamp>, after: Option<Timestamp>) {
        if before == after {
            return;
        }
        if let Some(before) = before {
            self.remove(before, xid);
        }
        if let Some(after) = after {
            self.put(after, xid);
        }
    }

    pub(super) fn remove(&mut self, at: Timestamp, xid: Xid) {
        self.newest.remove(&(at, xid));
    }

    /// Adds `others`, of which none that began after their cut is missing.
    pub(super) fn merge(&mut self, others: Self) {
        let is_whole = |at: Timestamp| others.cut.is_none_or(|cut| at > cut);
        self.cut = self.cut.max(others.cut);
        for (at, xid) in others.newest.into_iter().filter(|(at, _)| is_whole(*at)) {
            self.put(at, xid);
        }
    }

    pub(super) fn has(&self, at: Timestamp, xid: Xid) -> bool {
        self.newest.contains(&(at, xid))
    }

    /// Those behind `position`, the newest first; all of them without one.
    pub(super) fn behind(&self, position: Option<(Timestamp, Xid)>) -> impl Iterator<Item = (Timestamp, Xid)> {
        let behind = match position {
            Some(position) => self.newest.range(..position),
            None => self.newest.range(..),
        };
        behind.rev().copied()
    }

    /// Whether there may be others, which are older.
    pub(super) fn is_cut(&self) -> bool {
        self.cut.is_some()
    }

    pub(super) fn len(&self) -> usize {
        self.newest.len()
    }

    /// All of them, oldest first.
    pub(super) fn xids(&self) -> Vec<Xid> {
        self.newest.iter().map(|(_, xid)| *xid).collect()
    }

    /// The same bound and cut, with nothing in it.
    pub(super) fn emptied(&self) -> Self {
        Self { newest: BTreeSet::new(), bound: self.bound, cut: self.cut }
    }
}

#[cfg(test)]
mod tests {
    use settee_core::id::{Generation, ShardId};

    use super::*;

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    fn xid(counter: u64) -> Xid {
        Xid::new(ShardId(u8::try_from(counter % 5).unwrap()), Generation(1), counter, 0)
    }

    fn times(recent: &Recent) -> Vec<i64> {
        recent.behind(None).map(|(at, _)| at.micros()).collect()
    }

    #[test]
    fn the_oldest_leaves_first_and_that_some_left_is_remembered() {
        let mut recent = Recent::new(3);
        [30, 10, 20].into_iter().for_each(|micros| recent.put(at(micros), xid(1)));
        assert_eq!((times(&recent), recent.is_cut()), (vec![30, 20, 10], false));
        recent.put(at(15), xid(1));
        assert_eq!((times(&recent), recent.is_cut()), (vec![30, 20, 15], true));
        recent.put(at(1), xid(1));
        assert_eq!(times(&recent), [30, 20, 15], "too old to come in");
    }

    #[test]
    fn a_begin_that_becomes_known_later_moves_the_line_and_never_doubles_it() {
        let mut recent = Recent::new(9);
        recent.changed(xid(1), None, Some(at(5)));
        recent.changed(xid(1), Some(at(5)), Some(at(5)));
        recent.changed(xid(1), Some(at(5)), Some(at(9)));
        assert_eq!(times(&recent), [9]);
        recent.changed(xid(1), Some(at(9)), None);
        assert_eq!(recent.len(), 0);
    }

    #[test]
    fn what_an_earlier_owner_left_is_taken_only_as_far_back_as_none_is_missing() {
        let mut earlier = Recent::new(2);
        [10, 20, 30].into_iter().for_each(|micros| earlier.put(at(micros), xid(1)));
        // Decided at 20 and at 30; the one that was cut was decided at 10, and this one began before that.
        let mut begun = earlier.emptied();
        [9, 25].into_iter().for_each(|micros| begun.put(at(micros), xid(1)));
        let mut recent = Recent::new(9);
        recent.put(at(40), xid(2));
        recent.merge(begun);
        assert_eq!((times(&recent), recent.is_cut()), (vec![40, 25], true));
    }

    #[test]
    fn a_page_begins_behind_the_last_line_of_the_one_before() {
        let mut recent = Recent::new(9);
        for (micros, counter) in [(10, 1), (20, 2), (20, 3), (30, 4)] {
            recent.put(at(micros), xid(counter));
        }
        let behind: Vec<_> = recent.behind(Some((at(20), xid(3)))).collect();
        assert_eq!(behind, [(at(20), xid(2)), (at(10), xid(1))]);
    }
}
