//! Which messages of which producers a partition already holds, so that a repeated send is answered, not stored again.
//!
//! The state is a function of the log: [`Producers::record`] is called for every message in log order, at load as in life.
//!
//! What is forgotten, and what follows: of one producer the partition remembers the last [`WINDOW`] messages. A repeat of
//! something older is answered [`Verdict::Forgotten`], never stored and never called a success. Of all producers it remembers
//! the [`MAX_PRODUCERS`] that stored last; a repeat by one that has been forgotten *is* stored a second time, which is what
//! the inbox at the consumer is for. A sender that keeps a message under way must therefore repeat it before 256 newer ones
//! of its own; settee's producer has one batch under way at a time.

use std::collections::BTreeMap;

use crate::id::Offset;
use crate::planted::Bug;

use super::record::ProducerMark;

/// Messages of one producer that are remembered exactly: the largest batch, so that a whole batch can be repeated.
pub const WINDOW: usize = 256;

/// Producers that a partition remembers: with full windows 4 MiB a partition.
pub const MAX_PRODUCERS: usize = 1_024;

/// What a partition says to a message before it stores it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is not stored yet.
    New,
    /// It is stored already, at this offset.
    Duplicate(Offset),
    /// A newer epoch of the producer has stored here; this one must stop.
    Fenced,
    /// It is older than what is remembered: whether it is stored cannot be told.
    Forgotten,
}

/// The producers of one partition.
///
/// ```
/// use settee_core::id::Offset;
/// use settee_core::mq::{ProducerMark, Producers, Verdict};
///
/// let mark = ProducerMark { producer: 1, epoch: 1, sequence: 7 };
/// let mut producers = Producers::default();
/// producers.record(mark, Offset(3));
/// assert_eq!(producers.check(mark), Verdict::Duplicate(Offset(3)));
/// assert_eq!(producers.check(ProducerMark { epoch: 0, ..mark }), Verdict::Fenced);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Producers {
    known: BTreeMap<u64, Known>,
    /// The last offset of every producer, to forget the one that has been silent longest.
    by_age: BTreeMap<Offset, u64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    epoch: u64,
    /// The offsets of the last sequences.
    stored: BTreeMap<u64, Offset>,
    /// The highest sequence that has been dropped from `stored`.
    forgotten: Option<u64>,
    last: Offset,
}

impl Producers {
    /// Whether the message with this mark may be stored.
    #[must_use]
    pub fn check(&self, mark: ProducerMark) -> Verdict {
        let Some(known) = self.known.get(&mark.producer) else { return Verdict::New };
        if mark.epoch != known.epoch {
            return if mark.epoch < known.epoch { Verdict::Fenced } else { Verdict::New };
        }
        match known.stored.get(&mark.sequence) {
            Some(_) if Bug::StoresRepeats.is_planted() => Verdict::New,
            Some(offset) => Verdict::Duplicate(*offset),
            None if known.forgotten.is_some_and(|forgotten| mark.sequence <= forgotten) => Verdict::Forgotten,
            None => Verdict::New,
        }
    }

    /// Takes note of a stored message. Called in log order; a mark that [`Producers::check`] calls fenced has no effect.
    pub fn record(&mut self, mark: ProducerMark, offset: Offset) {
        if self.check(mark) == Verdict::Fenced {
            return;
        }
        let known = self.known.entry(mark.producer).or_insert_with(|| Known::new(mark.epoch, offset));
        self.by_age.remove(&known.last);
        self.by_age.insert(offset, mark.producer);
        known.record(mark, offset);
        self.forget_the_oldest();
    }

    /// How many producers are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether none is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    fn forget_the_oldest(&mut self) {
        if self.known.len() <= MAX_PRODUCERS {
            return;
        }
        if let Some((_, producer)) = self.by_age.pop_first() {
            self.known.remove(&producer);
        }
    }
}

impl Known {
    fn new(epoch: u64, last: Offset) -> Self {
        Self { epoch, stored: BTreeMap::new(), forgotten: None, last }
    }

    fn record(&mut self, mark: ProducerMark, offset: Offset) {
        if mark.epoch > self.epoch {
            *self = Self::new(mark.epoch, offset);
        }
        self.last = offset;
        self.stored.insert(mark.sequence, offset);
        if self.stored.len() > WINDOW {
            let dropped = self.stored.pop_first().map(|(sequence, _)| sequence);
            self.forgotten = self.forgotten.max(dropped);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(producer: u64, epoch: u64, sequence: u64) -> ProducerMark {
        ProducerMark { producer, epoch, sequence }
    }

    fn holding(marks: &[ProducerMark]) -> Producers {
        let mut producers = Producers::default();
        for (offset, mark) in (0..).zip(marks) {
            producers.record(*mark, Offset(offset));
        }
        producers
    }

    #[test]
    fn every_mark_gets_the_verdict_of_the_table() {
        let producers = holding(&[mark(1, 2, 10), mark(1, 2, 14), mark(2, 1, 10)]);
        let table = [
            (mark(1, 2, 10), Verdict::Duplicate(Offset(0))),
            (mark(1, 2, 14), Verdict::Duplicate(Offset(1))),
            (mark(1, 2, 12), Verdict::New),
            (mark(1, 2, 15), Verdict::New),
            (mark(1, 1, 99), Verdict::Fenced),
            (mark(1, 3, 10), Verdict::New),
            (mark(2, 1, 10), Verdict::Duplicate(Offset(2))),
            (mark(3, 0, 0), Verdict::New),
        ];
        for (mark, expected) in table {
            assert_eq!(producers.check(mark), expected, "{mark:?}");
        }
    }

    #[test]
    fn a_repeat_older_than_the_window_is_never_called_new_nor_stored() {
        let marks: Vec<_> = (0..=u64::try_from(WINDOW).unwrap()).map(|sequence| mark(1, 1, sequence)).collect();
        let producers = holding(&marks);
        assert_eq!(producers.check(mark(1, 1, 0)), Verdict::Forgotten);
        assert_eq!(producers.check(mark(1, 1, 1)), Verdict::Duplicate(Offset(1)));
    }

    #[test]
    fn a_new_epoch_starts_its_own_numbers_and_fences_the_old() {
        let producers = holding(&[mark(1, 1, 5), mark(1, 2, 5)]);
        assert_eq!(producers.check(mark(1, 2, 5)), Verdict::Duplicate(Offset(1)));
        assert_eq!(producers.check(mark(1, 1, 6)), Verdict::Fenced);
    }

    #[test]
    fn the_producer_that_has_been_silent_longest_is_forgotten_first() {
        let limit = u64::try_from(MAX_PRODUCERS).unwrap();
        let mut marks: Vec<_> = (0..limit).map(|producer| mark(producer, 1, 0)).collect();
        marks.extend([mark(0, 1, 1), mark(limit, 1, 0)]);
        let producers = holding(&marks);
        assert_eq!(producers.len(), MAX_PRODUCERS);
        assert_eq!(producers.check(mark(0, 1, 0)), Verdict::Duplicate(Offset(0)), "it stored again, so it stays");
        assert_eq!(producers.check(mark(1, 1, 0)), Verdict::New, "the silent one is gone");
    }
}
