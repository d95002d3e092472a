//! What one consumer group has finished of one partition, has in flight, and holds back.
//!
//! ```text
//! Read -> Delayed -due-> Waiting (behind its key) -> Ready -take-> InFlight -ack-> done
//!                                                     ^  ^             |
//!                                                     |  `-- deadline, consumer lost
//!                                                     `-- due -- BackingOff <-nack   (attempts used up: buried)
//! ```
//! Kept are the offset up to which the group has read and the *open* messages below it, at most [`GroupPolicy::window`]. All
//! else below is done: that is the compact form of "a cursor, and what was acknowledged above it". The cursor is the first open
//! offset. Of each key the first open message is ready, in flight or backing off, and the others wait behind it.
//!
//! What survives a restart is the [`Snapshot`]: in-flight messages come back as ready, with their attempts as far as they were
//! written, which is at the next acknowledgement, failure or loss of a consumer after them.

mod keys;
mod state;

pub use state::{Cause, Effect, Event, GroupPolicy, OpenMessage, Snapshot};

use std::collections::{BTreeMap, BTreeSet};

use crate::id::Offset;
use crate::planted::Bug;
use crate::time::Instant;

use keys::Keys;

/// One group on one partition.
///
/// ```
/// use settee_core::Instant;
/// use settee_core::id::Offset;
/// use settee_core::mq::group::{Effect, Event, Group, GroupPolicy, Snapshot};
///
/// let (mut group, now) = (Group::restore(GroupPolicy::default(), &Snapshot::default(), 0), Instant::now());
/// group.apply(Event::Read { offset: Offset(0), position: Offset(0), key: None, not_before: None }, now);
/// let effects = group.apply(Event::Take { consumer: 1, limit: 8 }, now);
/// assert_eq!(effects, [Effect::Deliver { offset: Offset(0), attempt: 1, delivery: 1 }]);
/// assert_eq!(group.apply(Event::Ack { offset: Offset(0), delivery: 1 }, now), [Effect::Done { offset: Offset(0) }]);
/// assert_eq!(group.cursor(), Offset(1));
/// ```
#[derive(Clone, Debug)]
pub struct Group {
    policy: GroupPolicy,
    /// The first offset that was not read yet, and the position in the log to read it from.
    next: Offset,
    position: Offset,
    /// The number of the last delivery; deliveries of one owner have different numbers.
    delivery: u64,
    open: BTreeMap<Offset, Entry>,
    /// Open messages of a snapshot whose record has not been read again yet.
    unread: usize,
    ready: BTreeSet<Offset>,
    timers: BTreeSet<(Instant, Offset)>,
    keys: Keys,
}

#[derive(Clone, Debug)]
struct Entry {
    position: Offset,
    key: Option<String>,
    attempts: u32,
    /// The number of its last delivery by this owner.
    delivery: Option<u64>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Unread,
    Delayed { until: Instant },
    Waiting,
    Ready,
    InFlight { consumer: u64, deadline: Instant },
    BackingOff { until: Instant },
}

impl Group {
    /// A group as it was last written; [`Snapshot::default`] for one that is new and begins with the first message.
    ///
    /// Deliveries are numbered from `first_delivery`, which must be above those of every earlier owner. Before anything is
    /// delivered, the records of all [`Group::unread`] must be read again.
    #[must_use]
    pub fn restore(policy: GroupPolicy, snapshot: &Snapshot, first_delivery: u64) -> Self {
        let entry = |open: &OpenMessage| Entry {
            position: open.position,
            key: None,
            attempts: open.attempts,
            delivery: None,
            state: State::Unread,
        };
        Self {
            policy,
            next: snapshot.next,
            position: snapshot.position,
            delivery: first_delivery,
            open: snapshot.open.iter().map(|open| (open.offset, entry(open))).collect(),
            unread: snapshot.open.len(),
            ready: BTreeSet::new(),
            timers: BTreeSet::new(),
            keys: Keys::default(),
        }
    }

    /// What must be written so that [`Group::restore`] can go on from here. What was read ahead and never delivered is left out:
    /// it is read again.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let (mut next, mut position) = (self.next, self.position);
        let read_ahead = self.open.iter().rev().take_while(|(offset, entry)| {
            let is_last_and_untouched = entry.attempts == 0 && offset.plus(1) == next;
            if is_last_and_untouched {
                (next, position) = (**offset, entry.position);
            }
            is_last_and_untouched
        });
        let kept = if Bug::CursorRunsAhead.is_planted() { 0 } else { self.open.len() - read_ahead.count() };
        let open = |(offset, entry): (&Offset, &Entry)| OpenMessage {
            offset: *offset,
            position: entry.position,
            attempts: entry.attempts,
        };
        Snapshot { next, position, open: self.open.iter().take(kept).map(open).collect() }
    }

    /// Everything below this offset is done.
    #[must_use]
    pub fn cursor(&self) -> Offset {
        self.open.first_key_value().map_or(self.next, |(offset, _)| *offset)
    }

    /// The first offset that was not read yet.
    #[must_use]
    pub fn next(&self) -> Offset {
        self.next
    }

    /// The position in the log from which to read on.
    #[must_use]
    pub fn position(&self) -> Offset {
        self.position
    }

    /// How many messages below [`Group::next`] are not done.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open.len()
    }

    /// Whether the message was read and is not done.
    #[must_use]
    pub fn is_open(&self, offset: Offset) -> bool {
        self.open.contains_key(&offset)
    }

    /// How many more messages may be read: none before all of [`Group::unread`] have been read again.
    #[must_use]
    pub fn room(&self) -> usize {
        if self.unread > 0 { 0 } else { self.policy.window.saturating_sub(self.open.len()) }
    }

    /// The positions of open messages whose records must be read again after [`Group::restore`], in order.
    pub fn unread(&self) -> impl Iterator<Item = Offset> {
        self.open.values().filter(|entry| entry.state == State::Unread).map(|entry| entry.position)
    }

    /// When [`Event::Tick`] is due next.
    #[must_use]
    pub fn next_timer(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// How many messages could be delivered now.
    #[must_use]
    pub fn ready(&self) -> usize {
        if self.unread > 0 { 0 } else { self.ready.len() }
    }

    /// Takes note of `event`; what follows from it, in order. The snapshot changes with every event but `Tick` without effects.
    pub fn apply(&mut self, event: Event, now: Instant) -> Vec<Effect> {
        match event {
            Event::Read { offset, position, key, not_before } => self.read(offset, position, key, not_before, now),
            Event::Passed { position } => self.position = self.position.max(position.plus(1)),
            Event::Take { consumer, limit } => return self.take(consumer, limit, now),
            Event::Ack { offset, delivery } => return self.ack(offset, delivery),
            Event::Nack { offset, delivery, cause, jitter } => return self.nack(offset, delivery, cause, jitter, now),
            Event::Tick => return self.tick(now),
            Event::ConsumerLost { consumer } => return self.consumer_lost(consumer),
            Event::Revive { offset, position, key } => self.revive(offset, position, key),
        }
        Vec::new()
    }

    fn read(&mut self, offset: Offset, position: Offset, key: Option<String>, not_before: Option<Instant>, now: Instant) {
        if offset < self.next {
            return self.read_again(offset, key, not_before, now);
        }
        if self.unread > 0 {
            return;
        }
        self.next = offset.plus(1);
        self.position = position.plus(1);
        let entry = Entry { position, key, attempts: 0, delivery: None, state: State::Waiting };
        self.open.insert(offset, entry);
        self.delay_or_queue(offset, not_before, now);
    }

    fn read_again(&mut self, offset: Offset, key: Option<String>, not_before: Option<Instant>, now: Instant) {
        let Some(entry) = self.open.get_mut(&offset).filter(|entry| entry.state == State::Unread) else { return };
        entry.key = key;
        self.unread -= 1;
        self.delay_or_queue(offset, not_before, now);
    }

    fn delay_or_queue(&mut self, offset: Offset, not_before: Option<Instant>, now: Instant) {
        match not_before.filter(|until| *until > now) {
            Some(until) => self.set(offset, State::Delayed { until }),
            None => self.queue(offset),
        }
    }

    /// Puts a message behind its key; ready if nothing of the key is before it.
    fn queue(&mut self, offset: Offset) {
        let Some(entry) = self.open.get(&offset) else { return };
        let is_first = entry.key.as_deref().is_none_or(|key| self.keys.join(key, offset) || Bug::MixesKeys.is_planted());
        self.set(offset, if is_first { State::Ready } else { State::Waiting });
    }

    fn take(&mut self, consumer: u64, limit: usize, now: Instant) -> Vec<Effect> {
        let offsets: Vec<Offset> = self.ready.iter().copied().take(limit.min(self.ready())).collect();
        let deadline = now + self.policy.visibility;
        offsets.into_iter().filter_map(|offset| self.deliver(offset, State::InFlight { consumer, deadline })).collect()
    }

    fn deliver(&mut self, offset: Offset, state: State) -> Option<Effect> {
        self.set(offset, state);
        self.delivery += 1;
        let entry = self.open.get_mut(&offset)?;
        entry.attempts = entry.attempts.saturating_add(1);
        entry.delivery = Some(self.delivery);
        Some(Effect::Deliver { offset, attempt: entry.attempts, delivery: self.delivery })
    }

    /// The last delivery counts even after its deadline, as long as no other has been made: the work was done.
    fn ack(&mut self, offset: Offset, delivery: u64) -> Vec<Effect> {
        if self.open.get(&offset).is_none_or(|entry| entry.delivery != Some(delivery)) {
            return vec![Effect::Stale { offset }];
        }
        self.finish(offset);
        vec![Effect::Done { offset }]
    }

    fn nack(&mut self, offset: Offset, delivery: u64, cause: Cause, jitter: std::time::Duration, now: Instant) -> Vec<Effect> {
        let Some(entry) = self.open.get(&offset).filter(|entry| entry.delivery == Some(delivery) && entry.is_in_flight()) else {
            return vec![Effect::Stale { offset }];
        };
        if entry.attempts >= self.policy.max_attempts || matches!(cause, Cause::Rejected(_)) {
            return self.bury(offset, cause).into_iter().collect();
        }
        let until = now + self.policy.backoff(entry.attempts) + jitter;
        self.set(offset, State::BackingOff { until });
        Vec::new()
    }

    fn tick(&mut self, now: Instant) -> Vec<Effect> {
        let mut effects = Vec::new();
        while let Some((_, offset)) = self.timers.first().copied().filter(|(at, _)| *at <= now) {
            match self.open.get(&offset).map(|entry| entry.state) {
                Some(State::Delayed { .. }) => self.queue(offset),
                Some(State::BackingOff { .. }) => self.set(offset, State::Ready),
                _ => effects.extend(self.give_up_or_redeliver(offset, Cause::Unanswered)),
            }
        }
        effects
    }

    fn consumer_lost(&mut self, lost: u64) -> Vec<Effect> {
        let is_lost = |entry: &Entry| matches!(entry.state, State::InFlight { consumer, .. } if consumer == lost);
        let offsets: Vec<Offset> = self.open.iter().filter(|(_, entry)| is_lost(entry)).map(|(offset, _)| *offset).collect();
        offsets.into_iter().filter_map(|offset| self.give_up_or_redeliver(offset, Cause::ConsumerLost)).collect()
    }

    fn give_up_or_redeliver(&mut self, offset: Offset, cause: Cause) -> Option<Effect> {
        if self.open.get(&offset).is_some_and(|entry| entry.attempts >= self.policy.max_attempts) {
            return self.bury(offset, cause);
        }
        self.set(offset, State::Ready);
        Some(Effect::Redeliver { offset })
    }

    fn bury(&mut self, offset: Offset, cause: Cause) -> Option<Effect> {
        let entry = self.finish(offset)?;
        Some(Effect::Bury { offset, position: entry.position, attempts: entry.attempts, cause })
    }

    fn revive(&mut self, offset: Offset, position: Offset, key: Option<String>) {
        if offset >= self.next || self.open.contains_key(&offset) {
            return;
        }
        let entry = Entry { position, key, attempts: 0, delivery: None, state: State::Waiting };
        self.open.insert(offset, entry);
        self.queue(offset);
    }

    fn finish(&mut self, offset: Offset) -> Option<Entry> {
        self.set(offset, State::Waiting);
        let entry = self.open.remove(&offset)?;
        if let Some(successor) = entry.key.as_deref().and_then(|key| self.keys.leave(key, offset)) {
            self.set(successor, State::Ready);
        }
        Some(entry)
    }

    /// Changes the state of a message, and the ready set and the timers with it.
    fn set(&mut self, offset: Offset, state: State) {
        let Some(entry) = self.open.get_mut(&offset) else { return };
        let before = std::mem::replace(&mut entry.state, state);
        if let Some(at) = before.timer() {
            self.timers.remove(&(at, offset));
        }
        if let Some(at) = state.timer() {
            self.timers.insert((at, offset));
        }
        match state {
            State::Ready => self.ready.insert(offset),
            _ => self.ready.remove(&offset),
        };
    }
}

impl Entry {
    fn is_in_flight(&self) -> bool {
        matches!(self.state, State::InFlight { .. })
    }
}

impl State {
    fn timer(self) -> Option<Instant> {
        match self {
            Self::Delayed { until } | Self::BackingOff { until } => Some(until),
            Self::InFlight { deadline, .. } => Some(deadline),
            Self::Unread | Self::Waiting | Self::Ready => None,
        }
    }
}

#[cfg(test)]
#[path = "group_test.rs"]
mod tests;
