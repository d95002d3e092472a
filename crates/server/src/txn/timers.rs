//! Every moment that a transaction waits for, in one ordered map: deadlines, and retries of branches.

use std::collections::BTreeMap;

use settee_core::Instant;
use settee_core::id::{BranchId, Xid};

/// What is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// The deadline of a transaction.
    Deadline(Xid),
    /// A branch is to be sent again.
    Retry(Xid, BranchId),
}

/// Names a timer, to cancel it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TimerKey(Instant, u64);

impl TimerKey {
    /// When it is due.
    pub(super) fn at(self) -> Instant {
        self.0
    }
}

/// The timers of a process.
#[derive(Debug, Default)]
pub(super) struct Timers {
    due: BTreeMap<TimerKey, Due>,
    made: u64,
}

impl Timers {
    pub(super) fn add(&mut self, at: Instant, due: Due) -> TimerKey {
        self.made += 1;
        let key = TimerKey(at, self.made);
        self.due.insert(key, due);
        key
    }

    pub(super) fn cancel(&mut self, key: TimerKey) {
        self.due.remove(&key);
    }

    /// When the next one is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.due.first_key_value().map(|(key, _)| key.0)
    }

    /// Takes the first one, if it is due at `now`.
    pub(super) fn take(&mut self, now: Instant) -> Option<Due> {
        let first = self.due.first_entry().filter(|first| first.key().0 <= now)?;
        Some(first.remove())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use settee_core::id::{Generation, ShardId};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn timers_are_taken_in_order_and_only_when_due() {
        let (mut timers, now) = (Timers::default(), Instant::now());
        let xid = |counter| Xid::new(ShardId(0), Generation(1), counter, 0);
        let second = Duration::from_secs(1);
        timers.add(now + 2 * second, Due::Deadline(xid(2)));
        timers.add(now + second, Due::Deadline(xid(1)));
        let cancelled = timers.add(now, Due::Deadline(xid(0)));
        timers.cancel(cancelled);
        assert_eq!(timers.take(now), None);
        assert_eq!(timers.take(now + 2 * second), Some(Due::Deadline(xid(1))));
        assert_eq!(timers.next(), Some(now + 2 * second));
    }
}
