//! The keys with open messages: of each, one message is at work and the others wait in the order of their offsets.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::Offset;

/// The messages of each key.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys(BTreeMap<String, Line>);

/// Those of one key, the first in front.
#[derive(Clone, Debug)]
struct Line {
    /// Ready, in flight or backing off: holds back the others.
    at_work: Offset,
    waiting: BTreeSet<Offset>,
}

impl Keys {
    /// Puts `offset` into the line of `key`: whether it is the one at work.
    pub(super) fn join(&mut self, key: &str, offset: Offset) -> bool {
        let Some(line) = self.0.get_mut(key) else {
            self.0.insert(key.to_owned(), Line { at_work: offset, waiting: BTreeSet::new() });
            return true;
        };
        if line.at_work != offset {
            line.waiting.insert(offset);
        }
        line.at_work == offset
    }

    /// Takes `offset` out: the one that is now at work in its place, if another has waited for it.
    pub(super) fn leave(&mut self, key: &str, offset: Offset) -> Option<Offset> {
        let line = self.0.get_mut(key)?;
        if line.at_work != offset {
            line.waiting.remove(&offset);
            return None;
        }
        match line.waiting.pop_first() {
            Some(successor) => line.at_work = successor,
            None => return self.0.remove(key).and(None),
        }
        Some(line.at_work)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_of_a_key_is_at_work_only_when_the_one_before_has_left() {
        let mut keys = Keys::default();
        assert!(keys.join("a", Offset(1)));
        assert!(!keys.join("a", Offset(5)));
        assert!(!keys.join("a", Offset(3)));
        assert!(keys.join("b", Offset(2)));
        assert_eq!(keys.leave("a", Offset(1)), Some(Offset(3)));
        assert_eq!(keys.leave("a", Offset(5)), None, "it was waiting");
        assert_eq!(keys.leave("a", Offset(3)), None, "nobody is left");
        assert!(keys.join("a", Offset(9)));
    }
}
