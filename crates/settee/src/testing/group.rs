//! A consumer group of a topic: the rule of `core::mq`, its consumers, and what it gave up. Nothing here waits.

use std::collections::BTreeMap;

use settee_core::id::Offset;
use settee_core::mq::group::{Effect, Event, Snapshot};
use settee_core::mq::{Cause, Group, GroupPolicy, Message, StoredMessage};
use settee_core::{Instant, env};

use crate::mq::Place;
use crate::mq::control::{DeadLetter, Delivery};
use crate::rpc::UpdateSender;

/// A consumer group. It begins with the oldest message.
pub(super) struct TopicGroup {
    rule: Group,
    consumers: Vec<Consumer>,
    /// Which consumer has which delivery unanswered.
    held: BTreeMap<Offset, u64>,
    dead: BTreeMap<Offset, DeadLetter>,
}

/// A connected consumer.
pub(super) struct Consumer {
    pub(super) id: u64,
    pub(super) sender: UpdateSender<Delivery>,
    /// Deliveries that it may have unanswered.
    pub(super) credit: usize,
}

impl Default for TopicGroup {
    fn default() -> Self {
        let rule = Group::restore(GroupPolicy::default(), &Snapshot::default(), 0);
        Self { rule, consumers: Vec::new(), held: BTreeMap::new(), dead: BTreeMap::new() }
    }
}

impl TopicGroup {
    pub(super) fn join(&mut self, consumer: Consumer) {
        self.consumers.push(consumer);
    }

    /// What the consumer had goes to others.
    pub(super) fn leave(&mut self, id: u64, stored: &[StoredMessage]) {
        self.consumers.retain(|consumer| consumer.id != id);
        self.apply(Event::ConsumerLost { consumer: id }, stored);
    }

    /// Takes note of an answer to the delivery of `offset`: whether it counted.
    pub(super) fn answer(&mut self, offset: Offset, event: Event, stored: &[StoredMessage]) -> bool {
        let counts = self.apply(event, stored);
        if counts {
            self.held.remove(&offset);
        }
        counts
    }

    /// Reads ahead, and sends what can be sent now to consumers that have credit.
    pub(super) fn deliver(&mut self, stored: &[StoredMessage]) {
        let wall = env::wall_clock();
        for StoredMessage { offset, message, .. } in stored.iter().skip(index(self.rule.next())).take(self.rule.room()) {
            let not_before = message.not_before.map(|at| Instant::now() + at.since(wall));
            self.apply(Event::Read { offset: *offset, position: *offset, key: message.key.clone(), not_before }, stored);
        }
        self.apply(Event::Tick, stored);
        for consumer in &self.consumers {
            let unanswered = self.held.values().filter(|holder| **holder == consumer.id).count();
            let take = Event::Take { consumer: consumer.id, limit: consumer.credit.saturating_sub(unanswered) };
            for effect in self.rule.apply(take, Instant::now()) {
                let Effect::Deliver { offset, attempt, delivery } = effect else { continue };
                self.held.insert(offset, consumer.id);
                // What cannot be sent is delivered again when the consumer's end is noticed.
                let _noticed_by_its_task = consumer.sender.try_send(to_deliver(&stored[index(offset)], attempt, delivery));
            }
        }
    }

    /// When [`TopicGroup::deliver`] can do more though nothing else happened.
    pub(super) fn next_timer(&self) -> Option<Instant> {
        self.rule.next_timer()
    }

    /// Messages that are not done, of `stored`.
    pub(super) fn undone(&self, stored: usize) -> usize {
        stored - index(self.rule.next()) + self.rule.open()
    }

    /// The messages that it gave up, oldest first.
    pub(super) fn dead_letters(&self) -> impl Iterator<Item = &DeadLetter> {
        self.dead.values()
    }

    /// Applies an event that delivers nothing: whether it counted.
    fn apply(&mut self, event: Event, stored: &[StoredMessage]) -> bool {
        let effects = self.rule.apply(event, Instant::now());
        let counts = !effects.iter().any(|effect| matches!(effect, Effect::Stale { .. }));
        for effect in effects {
            match effect {
                Effect::Done { offset } | Effect::Redeliver { offset } => {
                    self.held.remove(&offset);
                }
                Effect::Bury { offset, attempts, cause, .. } => {
                    self.held.remove(&offset);
                    self.dead.insert(offset, dead_letter(&stored[index(offset)], attempts, cause));
                }
                Effect::Deliver { .. } | Effect::Stale { .. } => {}
            }
        }
        counts
    }
}

fn to_deliver(stored: &StoredMessage, attempt: u32, token: u64) -> Delivery {
    let Message { id, key, headers, published, payload, .. } = stored.message.clone();
    Delivery { place: place(stored.offset), attempt, id, key, headers, published, payload, token }
}

fn dead_letter(stored: &StoredMessage, attempts: u32, cause: Cause) -> DeadLetter {
    let Message { id, key, headers, payload, published, .. } = stored.message.clone();
    DeadLetter { place: place(stored.offset), id, key, headers, payload, published, buried: env::wall_clock(), attempts, cause }
}

/// Where a message lies: in the only partition.
pub(super) fn place(offset: Offset) -> Place {
    Place { partition: 0, offset: offset.0 }
}

fn index(offset: Offset) -> usize {
    usize::try_from(offset.0).unwrap_or(usize::MAX)
}
