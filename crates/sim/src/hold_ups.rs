//! When the world held something up: a link was cut, a process stood still. A check that excuses what was held up looks here, and
//! not at whether its seed can suffer that at all.

use std::time::Duration;

use parking_lot::Mutex;

use crate::faults::Fault;

/// The hold-ups of one seed; times are virtual, since the start.
#[derive(Default)]
pub(crate) struct HoldUps(Mutex<Notes>);

#[derive(Default)]
struct Notes {
    lasting: Vec<(Fault, Duration)>,
    over: Vec<(Fault, Duration, Duration)>,
}

impl HoldUps {
    pub(crate) fn begin(&self, fault: Fault, now: Duration) {
        self.0.lock().lasting.push((fault, now));
    }

    /// Ends the longest-lasting one of this class. Where two overlap it may be the other that ends, which changes nothing: only the
    /// times together are asked for.
    pub(crate) fn end(&self, fault: Fault, now: Duration) {
        let mut notes = self.0.lock();
        if let Some(place) = notes.lasting.iter().position(|(lasting, _)| *lasting == fault) {
            let (fault, since) = notes.lasting.remove(place);
            notes.over.push((fault, since, now));
        }
    }

    pub(crate) fn end_all(&self, now: Duration) {
        let mut notes = self.0.lock();
        let lasting = std::mem::take(&mut notes.lasting);
        notes.over.extend(lasting.into_iter().map(|(fault, since)| (fault, since, now)));
    }

    /// Whether one of this class lasted at any time between these two.
    pub(crate) fn between(&self, fault: Fault, from: Duration, to: Duration) -> bool {
        let notes = self.0.lock();
        let lasting = notes.lasting.iter().any(|(other, since)| *other == fault && *since <= to);
        lasting || notes.over.iter().any(|(other, since, until)| *other == fault && *since <= to && *until >= from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_held_up_is_excused() {
        let at = Duration::from_secs;
        let hold_ups = HoldUps::default();
        hold_ups.begin(Fault::Pause, at(10));
        hold_ups.begin(Fault::Pause, at(12));
        hold_ups.end(Fault::Pause, at(13));
        hold_ups.begin(Fault::Partition, at(30));
        let paused = |from, to| hold_ups.between(Fault::Pause, at(from), at(to));
        assert!(paused(9, 10) && paused(11, 11) && paused(20, 21), "one of the two lasts");
        assert!(!paused(8, 9), "before any");
        hold_ups.end_all(at(40));
        assert!(paused(39, 50) && !paused(41, 50), "all have ended");
        assert!(hold_ups.between(Fault::Partition, at(35), at(36)) && !hold_ups.between(Fault::Partition, at(20), at(29)));
    }
}
