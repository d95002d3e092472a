//! The keys with open messages: of each, one message is at work and the others wait in the order of their offsets.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::Offset;

/// One lane for each key.
#[derive(Clone, Debug, Default)]
pub(super) struct Lanes(BTreeMap<String, Lane>);

#[derive(Clone, Debug)]
struct Lane {
    /// Ready, in flight or backing off: holds back the others.
    at_work: Offset,
    waiting: BTreeSet<Offset>,
}

impl Lanes {
    /// Puts `offset` into the lane of `key`: whether it is the one at work.
    pub(super) fn join(&mut self, key: &str, offset: Offset) -> bool {
        let Some(lane) = self.0.get_mut(key) else {
            self.0.insert(key.to_owned(), Lane { at_work: offset, waiting: BTreeSet::new() });
            return true;
        };
        if lane.at_work != offset {
            lane.waiting.insert(offset);
        }
        lane.at_work == offset
    }

    /// Takes `offset` out: the one that is now at work in its place, if another has waited for it.
    pub(super) fn leave(&mut self, key: &str, offset: Offset) -> Option<Offset> {
        let lane = self.0.get_mut(key)?;
        if lane.at_work != offset {
            lane.waiting.remove(&offset);
            return None;
        }
        match lane.waiting.pop_first() {
            Some(successor) => lane.at_work = successor,
            None => return self.0.remove(key).and(None),
        }
        Some(lane.at_work)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_of_a_key_is_at_work_only_when_the_one_before_has_left() {
        let mut lanes = Lanes::default();
        assert!(lanes.join("a", Offset(1)));
        assert!(!lanes.join("a", Offset(5)));
        assert!(!lanes.join("a", Offset(3)));
        assert!(lanes.join("b", Offset(2)));
        assert_eq!(lanes.leave("a", Offset(1)), Some(Offset(3)));
        assert_eq!(lanes.leave("a", Offset(5)), None, "it was waiting");
        assert_eq!(lanes.leave("a", Offset(3)), None, "nobody is left");
        assert!(lanes.join("a", Offset(9)));
    }
}
