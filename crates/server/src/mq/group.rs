//! One group on one partition: the rule, the messages it has read ahead, and who holds which delivery.
//!
//! Every change is decided and queued for writing under one lock, so the order of decisions is the order of writes.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use settee::mq::control::{Answered, Delivery, Place};
use settee_core::id::Offset;
use settee_core::mq::group::{Effect, Event, Snapshot};
use settee_core::mq::{Cause, Group, GroupPolicy, Record, StoredMessage};
use settee_core::port::Write;
use settee_core::{Instant, Timestamp, env};
use tokio::sync::Notify;

use super::consumer::Consumer;
use super::name::PartitionName;
use super::partition::PartitionOwner;
use super::record::{DeadRecord, GroupRecord};
use crate::record::encode;
use crate::shard::{Change, Shards, Ticket};

/// Bytes of messages that a group reads ahead on one partition, give or take a page.
const READ_AHEAD_BYTES: usize = 4 << 20;

/// A group on one partition.
pub(super) struct GroupOwner {
    pub(super) group: String,
    pub(super) partition: Arc<PartitionOwner>,
    pub(super) wake: Notify,
    shards: Shards,
    state: Mutex<State>,
}

struct State {
    rule: Group,
    messages: BTreeMap<Offset, StoredMessage>,
    bytes: usize,
    /// Whose credit the deliveries in flight use.
    holders: BTreeMap<Offset, Arc<Consumer>>,
    /// Dead letters and where they lie in the log.
    dead: BTreeMap<Offset, Offset>,
    /// Who is served first the next time.
    turn: usize,
}

/// What a look at a group shows.
pub(super) struct Standing {
    pub(super) next: Offset,
    pub(super) open: usize,
    pub(super) dead: usize,
    pub(super) position: Offset,
    /// When the oldest message that is not done was published, if it has been read.
    pub(super) oldest: Option<Timestamp>,
}

impl GroupOwner {
    pub(super) fn new(
        group: &str,
        partition: Arc<PartitionOwner>,
        shards: Shards,
        policy: GroupPolicy,
        stored: (&Snapshot, BTreeMap<Offset, Offset>),
    ) -> Self {
        let (snapshot, dead) = stored;
        // Epochs only grow, so no delivery of an earlier owner has the number of one of this owner.
        let first_delivery = shards.token(partition.name.shard).epoch.0 << 32;
        let rule = Group::restore(policy, snapshot, first_delivery);
        let state = State { rule, messages: BTreeMap::new(), bytes: 0, holders: BTreeMap::new(), dead, turn: 0 };
        Self { group: group.to_owned(), partition, wake: Notify::new(), shards, state: Mutex::new(state) }
    }

    fn name(&self) -> &PartitionName {
        &self.partition.name
    }

    /// Where to read on: first what is open since before a restart, then what is new; `None` when there is enough.
    pub(super) fn wants(&self) -> Option<(Offset, usize)> {
        let state = self.state.lock();
        if let Some(position) = state.rule.unread().next() {
            return Some((position, state.rule.open()));
        }
        let room = if state.bytes < READ_AHEAD_BYTES { state.rule.room() } else { 0 };
        (room > 0).then(|| (state.rule.position(), room))
    }

    /// Takes note of records that were read.
    pub(super) fn read(&self, records: Vec<(Offset, Record)>) {
        let (now, wall) = (Instant::now(), env::wall_clock());
        let mut state = self.state.lock();
        for (position, record) in records {
            match record {
                Record::Barrier { .. } => drop(state.rule.apply(Event::Passed { position }, now)),
                Record::Message { stored, .. } => state.read_message(position, stored, now, wall),
            }
        }
    }

    /// Takes what is ready, for consumers that have credit: the deliveries, and a ticket for all that they observed.
    pub(super) fn take(&self, consumers: &[Arc<Consumer>]) -> (Vec<(Arc<Consumer>, Delivery)>, Ticket) {
        let now = Instant::now();
        let mut state = self.state.lock();
        let expired = state.rule.apply(Event::Tick, now);
        let ticket = self.settle(&mut state, expired, false);
        let mut deliveries = Vec::new();
        let count = consumers.len();
        state.turn = state.turn.wrapping_add(1);
        for index in 0..count {
            let Some(consumer) = consumers.get((state.turn + index) % count) else { continue };
            let share = state.rule.ready().div_ceil(count - index);
            deliveries.extend(self.take_for(&mut state, consumer, share, now));
        }
        (deliveries, ticket)
    }

    fn take_for(
        &self,
        state: &mut State,
        consumer: &Arc<Consumer>,
        share: usize,
        now: Instant,
    ) -> Vec<(Arc<Consumer>, Delivery)> {
        let granted = consumer.reserve(u32::try_from(share).unwrap_or(u32::MAX));
        let limit = usize::try_from(granted).unwrap_or(0);
        let effects = state.rule.apply(Event::Take { consumer: consumer.id, limit }, now);
        consumer.release(granted.saturating_sub(u32::try_from(effects.len()).unwrap_or(0)));
        let mut deliveries = Vec::new();
        for effect in effects {
            let Effect::Deliver { offset, attempt, delivery } = effect else { continue };
            state.holders.insert(offset, consumer.clone());
            let Some(stored) = state.messages.get(&offset) else { continue };
            deliveries.push((consumer.clone(), self.delivery(stored, attempt, delivery)));
        }
        deliveries
    }

    fn delivery(&self, stored: &StoredMessage, attempt: u32, token: u64) -> Delivery {
        let message = stored.message.clone();
        Delivery {
            place: Place { partition: self.name().partition, offset: stored.offset.0 },
            attempt,
            id: message.id,
            key: message.key,
            headers: message.headers,
            published: message.published,
            payload: message.payload,
            token,
        }
    }

    /// Takes note of answers to deliveries: how many counted, and a ticket for that.
    pub(super) fn answer(&self, events: Vec<Event>) -> (Answered, Ticket) {
        let now = Instant::now();
        let mut state = self.state.lock();
        let (mut answered, mut all) = (Answered::default(), Vec::new());
        for event in events {
            let backs_off = match &event {
                Event::Nack { offset, .. } => Some(*offset),
                _ => None,
            };
            let effects = state.rule.apply(event, now);
            if effects.iter().any(|effect| matches!(effect, Effect::Stale { .. })) {
                answered.stale += 1;
                continue;
            }
            answered.accepted += 1;
            backs_off.into_iter().for_each(|offset| state.release(offset));
            all.extend(effects);
        }
        let ticket = self.settle(&mut state, all, answered.accepted > 0);
        drop(state);
        self.wake.notify_one();
        (answered, ticket)
    }

    /// Gives everything that `consumer` holds to others. The attempts are written, as a message may be what ends consumers.
    pub(super) fn consumer_lost(&self, consumer: u64) {
        let mut state = self.state.lock();
        let effects = state.rule.apply(Event::ConsumerLost { consumer }, Instant::now());
        let is_changed = !effects.is_empty();
        let _written_behind = self.settle(&mut state, effects, is_changed);
        drop(state);
        self.wake.notify_one();
    }

    /// Does what follows from a change, and queues its writing: the group's record and its new dead letters in one commit.
    fn settle(&self, state: &mut State, effects: Vec<Effect>, is_changed: bool) -> Ticket {
        let mut writes = Vec::new();
        for effect in effects {
            match effect {
                Effect::Done { offset } => state.forget(offset),
                Effect::Redeliver { offset } => state.release(offset),
                Effect::Bury { offset, position, attempts, cause } => {
                    state.forget(offset);
                    state.dead.insert(offset, position);
                    writes.push(self.dead_letter(offset, position, attempts, cause));
                }
                Effect::Deliver { .. } | Effect::Stale { .. } => {}
            }
        }
        if is_changed || !writes.is_empty() { self.write(state, writes) } else { self.shards.observe(self.name().shard) }
    }

    fn write(&self, state: &State, mut writes: Vec<Write>) -> Ticket {
        let PartitionName { topic, partition, .. } = self.name().clone();
        let record = GroupRecord { topic, partition, group: self.group.clone(), snapshot: state.rule.snapshot() };
        writes.push(Write::Put(self.name().group_key(&self.group), encode(&record)));
        self.shards.submit(self.name().shard, Change { compares: Vec::new(), writes })
    }

    fn dead_letter(&self, offset: Offset, position: Offset, attempts: u32, cause: Cause) -> Write {
        let PartitionName { topic, partition, .. } = self.name().clone();
        tracing::warn!(
            topic,
            partition,
            group = self.group,
            offset = offset.0,
            attempts,
            ?cause,
            "a message becomes a dead letter"
        );
        let (group, buried) = (self.group.clone(), env::wall_clock());
        let record = DeadRecord { topic, partition, group, offset, position, attempts, cause, buried };
        Write::Put(self.name().dead_key(&self.group, offset), encode(&record))
    }

    /// Writes the group for the first time, so that it is known after a restart.
    pub(super) fn create(&self) -> Ticket {
        self.write(&self.state.lock(), Vec::new())
    }

    /// Where a dead letter lies in the log, if it still is one.
    pub(super) fn dead_position(&self, offset: Offset) -> Option<Offset> {
        self.state.lock().dead.get(&offset).copied()
    }

    /// The dead letters behind `after`, at most `limit`.
    pub(super) fn dead_after(&self, after: Option<Offset>, limit: usize) -> Vec<Offset> {
        let from = after.map_or(Offset(0), |after| after.plus(1));
        self.state.lock().dead.range(from..).map(|(offset, _)| *offset).take(limit).collect()
    }

    /// Brings a dead letter back, if it still is one and there is room.
    pub(super) fn revive(&self, stored: StoredMessage) -> Option<Ticket> {
        let mut state = self.state.lock();
        let offset = stored.offset;
        if state.rule.room() == 0 {
            return None;
        }
        let position = state.dead.remove(&offset)?;
        state.rule.apply(Event::Revive { offset, position, key: stored.message.key.clone() }, Instant::now());
        state.keep(stored);
        let ticket = self.write(&state, vec![Write::Delete(self.name().dead_key(&self.group, offset))]);
        drop(state);
        self.wake.notify_one();
        Some(ticket)
    }

    /// When the delivery task must look again though nothing woke it.
    pub(super) fn next_timer(&self) -> Option<Instant> {
        self.state.lock().rule.next_timer()
    }

    /// How many messages it has read and not done.
    pub(super) fn open(&self) -> usize {
        self.state.lock().rule.open()
    }

    /// How the group stands, and a ticket for that.
    pub(super) fn standing(&self) -> (Standing, Ticket) {
        let state = self.state.lock();
        let standing = Standing {
            next: state.rule.next(),
            open: state.rule.open(),
            dead: state.dead.len(),
            position: state.rule.position(),
            oldest: state.messages.first_key_value().map(|(_, stored)| stored.message.published),
        };
        (standing, self.shards.observe(self.name().shard))
    }
}

impl State {
    fn read_message(&mut self, position: Offset, stored: StoredMessage, now: Instant, wall: Timestamp) {
        let not_before = stored.message.not_before.map(|at| now + at.since(wall));
        let (offset, key) = (stored.offset, stored.message.key.clone());
        self.rule.apply(Event::Read { offset, position, key, not_before }, now);
        if self.rule.is_open(offset) {
            self.keep(stored);
        }
    }

    fn keep(&mut self, stored: StoredMessage) {
        self.bytes += stored.message.stored_size();
        if let Some(before) = self.messages.insert(stored.offset, stored) {
            self.bytes -= before.message.stored_size();
        }
    }

    fn forget(&mut self, offset: Offset) {
        self.release(offset);
        if let Some(stored) = self.messages.remove(&offset) {
            self.bytes -= stored.message.stored_size();
        }
    }

    fn release(&mut self, offset: Offset) {
        if let Some(holder) = self.holders.remove(&offset) {
            holder.release(1);
        }
    }
}
